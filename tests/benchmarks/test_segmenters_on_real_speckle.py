"""How well MSU-Net outlines nerves in real speckle, beside a plain U-Net that costs as much.

Both are trained from nothing by the trainer's own loop, loss and augmentation, on the same pictures in the same order.
Every picture is segmented by a network that saw neither it nor a near copy of it. Batch and rate are those of the
`paper` preset; epochs are as many as minutes allow on one core. These were
chosen for MSU-Net and may suit it better: the U-Net got no search of its own.

STACT_PACS_BENCH_SEEDS sets how often all of it is repeated from other first weights (1).
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stact_pacs.cine.crops import Letterbox, masks_from_probabilities, segmenter_input
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.loop import fit
from stact_pacs.train.losses import mask_loss
from stact_pacs.train.metrics import dice
from stact_pacs.train.pretraining import other_gain
from stact_pacs.train.run_presets import PAPER, PHANTOM
from tests.benchmarks.plain_unet import PlainUnet
from tests.benchmarks.real_speckle import Pictures, real_speckle

SIZE = PHANTOM.preprocessing.segmenter_size
SCHEDULE = replace(PAPER.segmenter_schedule, epochs=12)
FOLDS = 3
SEEDS = range(1, 1 + int(os.environ.get("STACT_PACS_BENCH_SEEDS", "1")))
RESAMPLES = 10_000

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MSU-Net": lambda: MsuNet(PHANTOM.segmenter),
    "U-Net": lambda: PlainUnet((20, 40, 80, 160)),  # the width at which it costs as much
}


# -- cost ----------------------------------------------------------------------------------------------


def multiply_adds(network: nn.Module) -> int:
    """Count those of one frame."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 1, SIZE, SIZE))
    return int(counter.get_total_flops()) // 2


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_plain_unet_has_the_size_of_the_usual_one() -> None:
    with torch.device("meta"):
        assert parameters(PlainUnet((32, 64, 128, 256, 512))) == 7_765_409


def test_both_networks_cost_the_same() -> None:
    msu_net, unet = (build() for build in NETWORKS.values())
    assert multiply_adds(unet) == pytest.approx(multiply_adds(msu_net), rel=0.05)
    assert parameters(unet) == pytest.approx(parameters(msu_net), rel=0.05)


# -- training ------------------------------------------------------------------------------------------


def trained(build: Callable[[], nn.Module], inputs: Tensor, masks: Tensor, seed: int) -> nn.Module:
    """Train a network on float32 inputs and masks (N, 1, SIZE, SIZE)."""
    torch.manual_seed(seed)
    network = build().to(memory_format=torch.channels_last)
    torch.manual_seed(seed)  # the same batches, mirrors and gains for either, whatever its weights have drawn
    optimizer = torch.optim.AdamW(network.parameters(), lr=SCHEDULE.rate)

    def loss_of(batch: Tensor) -> Tensor:
        images, truth = inputs[batch], masks[batch]
        mirrored = torch.rand(len(batch)) < 0.5
        images[mirrored], truth[mirrored] = images[mirrored].flip(-1), truth[mirrored].flip(-1)
        return mask_loss(network(other_gain(images)), truth)

    fit(optimizer, len(inputs), SCHEDULE, loss_of, lambda _done, _total: None)
    return network.eval()


def squares(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Return what the networks are given and what they should answer, float32 (N, 1, SIZE, SIZE)."""
    inputs = [segmenter_input(frame[np.newaxis], PHANTOM.preprocessing) for frame in pictures.frames]
    masks = [Letterbox(height=len(m), width=m.shape[1], size=SIZE).enter(m.astype(np.float32)) for m in pictures.nerves]
    return torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.stack(masks)[:, np.newaxis] >= 0.5).float()


def found(network: nn.Module, square: Tensor, height: int, width: int) -> np.ndarray:
    """Return what the network outlines in one input (1, SIZE, SIZE): bool (height, width), the picture's own size."""
    with torch.inference_mode():
        probabilities = network(square[np.newaxis])[0].sigmoid().numpy()
    return masks_from_probabilities(probabilities, height, width, PHANTOM.preprocessing)[0]


def out_of_fold_dice(build: Callable[[], nn.Module], pictures: Pictures, seed: int) -> np.ndarray:
    """Return the Dice of every picture (N,), by the network of the fold that did not train on its place."""
    inputs, masks = squares(pictures)
    values = np.full(len(inputs), np.nan)
    for train, test in GroupKFold(FOLDS).split(inputs, groups=pictures.places):
        network = trained(build, inputs[train], masks[train], seed)
        for n in test:
            truth = pictures.nerves[n]
            values[n] = dice(found(network, inputs[n], *truth.shape), truth)
    return values


# -- comparison ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over pictures with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def interval(values: np.ndarray, places: np.ndarray) -> Interval:
    """Return the mean of (N,) values, its interval by drawing places, for near copies are no two witnesses."""
    sums, counts = np.bincount(places, values), np.bincount(places)
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def best_constant_dice(pictures: Pictures) -> float:
    """Return the mean Dice of the one mask for all pictures that fits them best: where nerves usually lie."""
    truth = squares(pictures)[1].bool().numpy()
    share = truth.mean(axis=0)
    return max(float(np.mean([dice(share >= level, one) for one in truth])) for level in np.linspace(0.02, 0.4, 20))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch add up in one order, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.usefixtures("one_thread")
def test_both_networks_learn_to_outline_nerves(capsys: pytest.CaptureFixture[str]) -> None:
    pictures = real_speckle()
    constant = best_constant_dice(pictures)
    by_seed = {
        name: np.stack([out_of_fold_dice(build, pictures, seed) for seed in SEEDS]) for name, build in NETWORKS.items()
    }
    with capsys.disabled():
        print(f"\nDice on {len(pictures.frames)} pictures; the best constant mask has {constant:.3f}")
        print("\n".join(comparison(by_seed, pictures.places)))
    assert all(interval(values.mean(axis=0), pictures.places).low > constant for values in by_seed.values())


def comparison(by_seed: dict[str, np.ndarray], places: np.ndarray) -> list[str]:
    """Return lines for a person: every network's cost and Dice, of (seeds, N) values, and how far they are apart."""
    lines = []
    for name, values in by_seed.items():
        network = NETWORKS[name]()
        cost = f"{multiply_adds(network) / 1e6:.0f} million multiply-adds, {parameters(network):,} parameters"
        lines.append(f"{name}: {interval(values.mean(axis=0), places)}; {cost}")
    gains = by_seed["MSU-Net"] - by_seed["U-Net"]
    lines.append(f"MSU-Net less U-Net, picture by picture: {interval(gains.mean(axis=0), places)}")
    lines += [f"  seed {seed}: {interval(gain, places)}" for seed, gain in zip(SEEDS, gains, strict=True)]
    return lines
