"""Where segmenter and trunk start, before the cohort is seen: given weights, or phantoms that are in no cohort."""

from torch import nn

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.cohort import start_cases
from stact_pacs.train.given_weights import load_given
from stact_pacs.train.phantom import PhantomCine, render
from stact_pacs.train.preset import PhantomStart
from stact_pacs.train.pretraining import fit_segmenter, fit_trunk, segmenter_frames, trunk_stacks
from stact_pacs.train.run_folder import write_weights
from stact_pacs.train.run_setup import RunSetup, derived_seed

SEGMENTER, TRUNK = "segmenter", "trunk"


def require_start(setup: RunSetup) -> None:
    """Refuse a run whose trunk would start from nothing: it is frozen, so it would stay there.

    Raises
    ------
    Misconfigured
        The preset has no phantoms to train the trunk on, and no weights are given.
    """
    if setup.preset.phantoms is None and setup.trunk_weights is None:
        raise Misconfigured(
            f"The preset {setup.preset.name} takes its trunk ready-made, and no weights are given.",
            remedy="Give the ImageNet weights of ViT-B/16, such as torchvision's vit_b_16.",
        )


def start_segmenter(setup: RunSetup) -> None:
    """Write the weights that the segmenter of every fold is fine-tuned from."""
    phantoms = setup.preset.phantoms
    with setup.chance("start", SEGMENTER):
        segmenter: nn.Module = MsuNet(setup.preset.segmenter)
        if setup.segmenter_weights is not None:
            segmenter = load_given(segmenter, setup.segmenter_weights)
        elif phantoms is not None:
            frames = segmenter_frames(_cines(phantoms, setup.seed), setup.preset.preprocessing)
            segmenter = fit_segmenter(frames, setup.preset.segmenter, phantoms.segmenter_schedule, setup.tick)
    write_weights(setup.folder.start(SEGMENTER), segmenter)


def start_trunk(setup: RunSetup) -> None:
    """Write the weights of the trunk, which stays as it is from here on."""
    phantoms = setup.preset.phantoms
    if setup.trunk_weights is not None:
        trunk = load_given(build_trunk(setup.preset.trunk), setup.trunk_weights)
    else:
        assert phantoms is not None, "`require_start` was asked before the run began"
        with setup.chance("start", TRUNK):
            cines = _cines(phantoms, setup.seed)
            stacks = trunk_stacks(cines, setup.preset.preprocessing, derived_seed(setup.seed, "boxes"))
            trunk = fit_trunk(stacks, setup.preset.trunk, phantoms.trunk_schedule, setup.tick)
    write_weights(setup.folder.start(TRUNK), trunk)


def _cines(phantoms: PhantomStart, seed: int) -> list[PhantomCine]:
    return [render(case) for case in start_cases(phantoms, seed)]
