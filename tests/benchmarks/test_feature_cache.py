"""What caching the frozen trunk's features saves: an epoch of the image head beside one that runs the trunk again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stact_pacs.networks.image_encoder import ImageHead, build_trunk
from stact_pacs.pipeline.embed import trunk_features
from stact_pacs.pipeline.load import Networks
from stact_pacs.train.encoder_stage import fit_encoder
from stact_pacs.train.run_folder import RunFolder
from stact_pacs.train.run_presets import PAPER, PHANTOM, RunPreset
from stact_pacs.train.run_setup import BATCH, RunSetup, unheard

pytestmark = pytest.mark.slow

LEAST_RATIO = {"paper": 50, "phantom": 10}
"""Times cheaper. The small trunk has 0.2 million parameters, so there a step of the head costs something beside it."""
STACKS = {"paper": 16, "phantom": 512}
"""Several batches for the small trunk; a handful for ViT-B/16, 35 GFLOP for each."""
ROUNDS = 3
"""The two take turns; the fastest of each counts."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the workers of a run do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one thread, which other work on the machine hardly changes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


@pytest.mark.parametrize("preset", [PAPER, PHANTOM], ids=lambda preset: preset.name)
def test_an_epoch_of_the_image_head_is_many_times_cheaper_from_the_cache(
    preset: RunPreset, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks, size = STACKS[preset.name], preset.trunk.img_size
    images = np.random.default_rng(1).standard_normal((stacks, 3, size, size), dtype=np.float32)
    trunk = build_trunk(preset.trunk).eval().requires_grad_(False)
    networks = Networks(segmenter=trunk, trunk=trunk, members=(), device=torch.device("cpu"), dtype=torch.float32)
    cached = torch.randn(stacks, preset.trunk.embed_dim)
    labels = (torch.arange(stacks) % 2).float()
    one_epoch = replace(preset, head_schedule=replace(preset.head_schedule, epochs=1))
    setup = RunSetup(data=Path(), folder=RunFolder(Path()), preset=one_epoch, seed=1)
    head = ImageHead(preset.trunk.embed_dim, preset.member.embedding_dim)

    rounds = [
        (
            seconds(lambda: trunk_features(images, networks, batch_stacks=BATCH, tick=unheard)),
            seconds(lambda: fit_encoder(head, cached, labels, setup)),
        )
        for _ in range(ROUNDS)
    ]
    recomputed_s, epoch_s = (min(column) for column in zip(*rounds, strict=True))
    with capsys.disabled():
        ratio = recomputed_s / epoch_s
        print(f"\n{preset.name}, {stacks} stacks: trunk {recomputed_s:.3f} s, epoch {epoch_s:.4f} s, {ratio:.0f} times")
    assert recomputed_s >= LEAST_RATIO[preset.name] * epoch_s
