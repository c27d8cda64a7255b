"""How large a run's networks are and how long each is trained, as data: `paper`, `phantom` and `smoke`."""

from dataclasses import dataclass
from typing import Literal

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.networks.config import MemberConfig, SegmenterConfig, TrunkConfig
from stact_pacs.train.preset import PhantomStart, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPreset:
    """Everything that shapes a run but the data, the folds, the seed and the recipes."""

    name: str
    phantoms: PhantomStart | None
    """Phantoms on which segmenter and trunk start; None: both start from given weights, the segmenter also without."""
    segmenter: SegmenterConfig
    trunk: TrunkConfig
    member: MemberConfig
    preprocessing: Preprocessing
    frame_step: int
    """Every so many frames one trains the segmenter; neighbours are nearly the same picture."""
    segmenter_schedule: Schedule
    """Fine-tuning on the training folds, from where the segmenter starts."""
    head_schedule: Schedule
    """The image head over the frozen trunk, by SGD; the batch counts stacks."""
    backbone_schedule: Schedule
    """Frame encoders whose every layer is trained (ShuffleNet, MobileNet), by SGD; the batch counts stacks."""
    mask_schedule: Schedule
    """The mask encoder, by AdamW; the batch counts stacks."""
    fusion_schedule: Schedule
    """Whatever makes one score of a nodule's stacks, by AdamW; the batch counts nodules."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What segmenter, trunk and frame encoders compute in on a GPU; a CPU always takes float32."""


PAPER = RunPreset(
    name="paper",
    phantoms=None,
    segmenter=SegmenterConfig(),  # Su et al. 2021: 32 to 512 channels
    trunk=TrunkConfig(),  # paper, Section 2.3: the ViT pre-trained on ImageNet; ViT-B/16 in the authors' notebooks
    member=MemberConfig(),  # paper, Section 2.3: 256 features in both branches
    preprocessing=Preprocessing(
        segmenter_size=256,  # Su et al. 2021
        image_size=224,  # ViT-B/16
        mask_size=64,  # the paper does not say; 64 keeps a nodule's outline
        image_mean=(0.485, 0.456, 0.406),  # of ImageNet, as the weights expect
        image_std=(0.229, 0.224, 0.225),
    ),  # margin of 5 pixels by default: paper, Section 2.3
    frame_step=1,
    segmenter_schedule=Schedule(epochs=50, batch=4, rate=1e-3),  # 50 epochs: paper, Section 2.5; batch: authors' code
    head_schedule=Schedule(epochs=100, batch=16, rate=1e-4),  # paper, Section 2.5; batch: authors' notebooks
    backbone_schedule=Schedule(epochs=100, batch=16, rate=1e-3),  # Yamashita et al. 2022, whose rows these are
    mask_schedule=Schedule(epochs=100, batch=16, rate=1e-3),  # the paper does not say
    fusion_schedule=Schedule(epochs=100, batch=8, rate=1e-4),  # paper, Section 2.5; the batch is not published
    precision="bfloat16",
)
"""The paper's numbers: for a GPU and the Stanford cohort."""

_TRUNK = TrunkConfig(img_size=64, patch_size=8, embed_dim=64, depth=4, num_heads=4, global_pool="avg")

PHANTOM = RunPreset(
    name="phantom",
    phantoms=PhantomStart(
        nodules=100,
        malignant=50,
        without_nodule=14,
        frames=(30, 42),
        segmenter_schedule=Schedule(epochs=4, batch=16, rate=3e-3),
        trunk_schedule=Schedule(epochs=12, batch=32, rate=2e-3),
    ),
    segmenter=SegmenterConfig(widths=(8, 16, 32, 64)),
    trunk=_TRUNK,
    member=MemberConfig(trunk_dim=_TRUNK.embed_dim, ffn_dim=256),
    preprocessing=Preprocessing(
        segmenter_size=96,
        image_size=_TRUNK.img_size,
        mask_size=64,
        crop="paper",  # the image branch is to see texture, the mask branch shape: see train/cases.py
        min_frames=6,
    ),
    frame_step=6,
    segmenter_schedule=Schedule(epochs=3, batch=16, rate=1e-3),
    head_schedule=Schedule(epochs=60, batch=64, rate=5e-2),
    backbone_schedule=Schedule(epochs=6, batch=32, rate=1e-2),
    mask_schedule=Schedule(epochs=10, batch=64, rate=2e-3),
    fusion_schedule=Schedule(epochs=45, batch=16, rate=5e-4),
)
"""Small networks from nothing: an hour on two CPU cores for 300 synthetic nodules."""

_TINY_TRUNK = TrunkConfig(img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, global_pool="avg")

SMOKE_RUN = RunPreset(
    name="smoke",
    phantoms=PhantomStart(
        nodules=6,
        malignant=3,
        without_nodule=1,
        frames=(10, 12),
        segmenter_schedule=Schedule(epochs=40, batch=8, rate=1e-2),
        trunk_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    ),
    segmenter=SegmenterConfig(widths=(4, 8, 16)),
    trunk=_TINY_TRUNK,
    member=MemberConfig(trunk_dim=_TINY_TRUNK.embed_dim, embedding_dim=16, heads=2, ffn_dim=16, hidden_dim=8),
    preprocessing=Preprocessing(segmenter_size=48, image_size=_TINY_TRUNK.img_size, mask_size=16),
    frame_step=4,
    segmenter_schedule=Schedule(epochs=15, batch=8, rate=1e-2),
    head_schedule=Schedule(epochs=1, batch=16, rate=1e-2),
    backbone_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    mask_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    fusion_schedule=Schedule(epochs=1, batch=4, rate=1e-3),
)
"""Proves in minutes that every stage of every recipe runs; its scores are worthless."""

RUN_PRESETS = {preset.name: preset for preset in (PAPER, PHANTOM, SMOKE_RUN)}
