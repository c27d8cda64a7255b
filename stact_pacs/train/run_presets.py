"""How large a run's networks are and how long each is trained, as data: `paper`, `phantom` and `smoke`."""

from dataclasses import dataclass
from typing import Literal

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.networks.config import MemberConfig, SegmenterConfig, TrunkConfig
from stact_pacs.train.preset import DEMO, SMOKE, Preset, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPreset:
    """Everything that shapes a run but the data, the folds, the seed and the recipes."""

    name: str
    phantoms: Preset | None
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

PHANTOM = RunPreset(
    name="phantom",
    phantoms=DEMO,
    segmenter=DEMO.segmenter,
    trunk=DEMO.trunk,
    member=DEMO.member,
    preprocessing=DEMO.preprocessing,
    frame_step=6,
    segmenter_schedule=Schedule(epochs=3, batch=16, rate=1e-3),
    head_schedule=DEMO.head_schedule,
    backbone_schedule=Schedule(epochs=6, batch=32, rate=1e-2),
    mask_schedule=DEMO.mask_schedule,
    fusion_schedule=DEMO.fusion_schedule,
)
"""Small networks from nothing: an hour on two CPU cores for 300 synthetic nodules."""

SMOKE_RUN = RunPreset(
    name="smoke",
    phantoms=SMOKE,
    segmenter=SMOKE.segmenter,
    trunk=SMOKE.trunk,
    member=SMOKE.member,
    preprocessing=SMOKE.preprocessing,
    frame_step=4,
    segmenter_schedule=Schedule(epochs=15, batch=8, rate=1e-2),
    head_schedule=SMOKE.head_schedule,
    backbone_schedule=Schedule(epochs=1, batch=16, rate=1e-3),
    mask_schedule=SMOKE.mask_schedule,
    fusion_schedule=SMOKE.fusion_schedule,
)
"""Proves in minutes that every stage of every recipe runs; its scores are worthless."""

RUN_PRESETS = {preset.name: preset for preset in (PAPER, PHANTOM, SMOKE_RUN)}
