"""Everything that shapes a training run, as one frozen value; the presets are data."""

from dataclasses import dataclass

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.networks.config import MemberConfig, SegmenterConfig, TrunkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast one network is trained; the rate falls to 0 along a cosine."""

    epochs: int
    batch: int
    """Frames, stacks or nodules that make one step."""
    rate: float
    """Learning rate at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSize:
    """How many phantoms a cohort has."""

    nodules: int
    malignant: int
    without_nodule: int = 0
    """Sweeps over tissue alone, beside the nodules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One training run on phantoms."""

    segmenter: SegmenterConfig
    trunk: TrunkConfig
    member: MemberConfig
    preprocessing: Preprocessing
    folds: int
    """Members of the ensemble; each is trained without one fold."""
    pretraining: CohortSize
    """On these the segmenter and the trunk are trained, as the paper's come trained from elsewhere."""
    development: CohortSize
    """On these, segmented by that segmenter, the members are trained and calibrated."""
    test: CohortSize
    """Unseen until everything is fixed."""
    frames: tuple[int, int]
    """Shortest and longest sweep."""
    segmenter_schedule: Schedule
    trunk_schedule: Schedule
    head_schedule: Schedule
    mask_schedule: Schedule
    fusion_schedule: Schedule


_TRUNK = TrunkConfig(img_size=64, patch_size=8, embed_dim=64, depth=4, num_heads=4, global_pool="avg")

DEMO = Preset(
    segmenter=SegmenterConfig(widths=(8, 16, 32, 64)),
    trunk=_TRUNK,
    member=MemberConfig(trunk_dim=_TRUNK.embed_dim, ffn_dim=256),
    preprocessing=Preprocessing(segmenter_size=96, image_size=_TRUNK.img_size, mask_size=64, min_frames=6),
    folds=5,
    pretraining=CohortSize(nodules=100, malignant=50, without_nodule=14),
    development=CohortSize(nodules=200, malignant=70),
    test=CohortSize(nodules=120, malignant=40, without_nodule=16),
    frames=(30, 42),
    segmenter_schedule=Schedule(epochs=4, batch=16, rate=3e-3),
    trunk_schedule=Schedule(epochs=12, batch=32, rate=2e-3),
    head_schedule=Schedule(epochs=60, batch=64, rate=5e-2),
    mask_schedule=Schedule(epochs=10, batch=64, rate=2e-3),
    fusion_schedule=Schedule(epochs=45, batch=16, rate=5e-4),
)
"""The bundle that ships: minutes on two CPU cores."""

_TINY_TRUNK = TrunkConfig(img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, global_pool="avg")

SMOKE = Preset(
    segmenter=SegmenterConfig(widths=(4, 8, 16)),
    trunk=_TINY_TRUNK,
    member=MemberConfig(trunk_dim=_TINY_TRUNK.embed_dim, embedding_dim=16, heads=2, ffn_dim=16, hidden_dim=8),
    preprocessing=Preprocessing(segmenter_size=48, image_size=_TINY_TRUNK.img_size, mask_size=16),
    folds=2,
    pretraining=CohortSize(nodules=6, malignant=3, without_nodule=1),
    development=CohortSize(nodules=8, malignant=4),
    test=CohortSize(nodules=4, malignant=2, without_nodule=1),
    frames=(10, 12),
    segmenter_schedule=Schedule(epochs=40, batch=8, rate=1e-2),
    trunk_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    head_schedule=Schedule(epochs=1, batch=16, rate=1e-2),
    mask_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    fusion_schedule=Schedule(epochs=1, batch=4, rate=1e-3),
)
"""Proves in seconds that every step runs; its scores are worthless."""

PRESETS = {"demo": DEMO, "smoke": SMOKE}
