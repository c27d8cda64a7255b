"""A real bundle with tiny networks, and cines of bright discs that its segmenter was shown."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stact_pacs.bundle import (
    CARD,
    CHECKS,
    SEGMENTER,
    TRUNK,
    Bundle,
    Estimate,
    Manifest,
    MeasuredPoint,
    ScoreCalibration,
    member_file,
    read_bundle,
    write_manifest,
)
from stact_pacs.cine.crops import segmenter_input
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.domain.findings import Box, Calibration, Cine, FrameRef
from stact_pacs.networks.config import MemberConfig, SegmenterConfig, TrunkConfig
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.member import Member
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import golden_check

_PREPROCESSING = Preprocessing(segmenter_size=32, image_size=32, mask_size=32)
_SEGMENTER = SegmenterConfig(widths=(4, 8))
_TRUNK = TrunkConfig(img_size=32, patch_size=16, embed_dim=16, depth=1, num_heads=2)
_MEMBER = MemberConfig(trunk_dim=16, embedding_dim=16, mask_channels=(2, 4), heads=2, ffn_dim=16, hidden_dim=8)
_MEMBERS = 2

Disc = tuple[float, float, float]
"""x, y and radius, as shares of the region's width."""


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks spend their time on starting threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def discs() -> Callable[..., np.ndarray]:
    """Draw bright discs on dark speckle: uint8 (frames, height, width)."""

    def draw(frames: list[list[Disc]], *, height: int = 80, width: int = 100, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width] + 0.5
        drawn = rng.uniform(20, 60, (len(frames), height, width))
        for t, of_frame in enumerate(frames):
            for cx, cy, radius in of_frame:
                inside = (x - cx * width) ** 2 + (y - cy * width) ** 2 <= (radius * width) ** 2
                drawn[t][inside] += 150
        return drawn.astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def cine(discs: Callable[..., np.ndarray]) -> Callable[..., Cine]:
    """Put region frames into a bigger frame with a white border, which nothing may look at."""

    def build(frames: list[list[Disc]], *, calibration: Calibration | None = None, seed: int = 0) -> Cine:
        region = discs(frames, seed=seed)
        whole = np.full((len(region), 120, 160), 255, dtype=np.uint8)
        whole[:, 20:100, 40:140] = region
        refs = tuple(
            FrameRef(sop_class_uid="1.2.3", sop_instance_uid="2.25.1", frame_number=t + 1) for t in range(len(region))
        )
        return Cine(
            frames=whole,
            frame_refs=refs,
            region=Box(x0=40, y0=20, x1=140, y1=100),
            calibration=calibration,
            frame_time_ms=33.3,
        )

    return build


@pytest.fixture(scope="session")
def sweep(cine: Callable[..., Cine]) -> Cine:
    """One nodule on the frames 2 to 13 of 16; largest on frame 7."""
    radii = [0, 0, 0.10, 0.12, 0.14, 0.16, 0.18, 0.20, 0.18, 0.16, 0.14, 0.13, 0.12, 0.10, 0, 0]
    frames = [[(0.4 + 0.01 * t, 0.4, radius)] if radius else [] for t, radius in enumerate(radii)]
    return cine(frames, calibration=Calibration(row_spacing_mm=0.1, column_spacing_mm=0.1))


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    estimate = Estimate(value=0.9, ci_low=0.8, ci_high=0.95, n=40)
    return Manifest(
        name="tiny",
        version="1.0.0",
        statement="Untrained; for tests only.",
        members=_MEMBERS,
        segmenter=dataclasses.asdict(_SEGMENTER),
        trunk=dataclasses.asdict(_TRUNK),
        member=dataclasses.asdict(_MEMBER),
        preprocessing=_PREPROCESSING,
        calibration=ScoreCalibration(temperature=1.5, bias=-0.2),
        operating_points=(
            MeasuredPoint(name="youden", threshold=0.5, sensitivity=estimate, specificity=estimate, default=True),
            MeasuredPoint(name="everything", threshold=0.0, sensitivity=estimate, specificity=estimate),
        ),
    )


@pytest.fixture(scope="session")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, discs: Callable[..., np.ndarray], sweep: Cine
) -> Bundle:
    """A bundle on disk: a segmenter that knows bright discs, and encoders with random weights."""
    folder: Path = tmp_path_factory.mktemp("models") / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(_segmenter_of_discs(discs).state_dict(), folder / SEGMENTER)
        save_file(build_trunk(_TRUNK).state_dict(), folder / TRUNK)
        for number in range(1, _MEMBERS + 1):
            save_file(Member(_MEMBER).state_dict(), folder / member_file(number))
    (folder / CARD).write_text("# tiny\n")
    write_manifest(folder, manifest)
    findings = Scorer(read_bundle(folder), device="cpu").score(sweep, job_key="golden")
    (folder / CHECKS).write_bytes(golden_check(sweep, findings))
    write_manifest(folder, manifest)
    return read_bundle(folder)


@pytest.fixture(scope="session")
def scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle, device="cpu")


def _segmenter_of_discs(discs: Callable[..., np.ndarray]) -> MsuNet:
    rng = np.random.default_rng(1)
    shown = [
        [(x, y, r)] for x, y, r in zip(rng.random(32), rng.random(32) * 0.8, rng.uniform(0.05, 0.25, 32), strict=True)
    ]
    frames = discs(shown)
    inputs = torch.from_numpy(segmenter_input(frames, _PREPROCESSING))
    targets = (inputs > 120 / 255).float()
    network = MsuNet(_SEGMENTER).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(80):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), targets).backward()
        optimiser.step()
    return network.eval()
