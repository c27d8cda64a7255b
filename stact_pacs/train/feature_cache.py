"""What every recipe reads, computed once: trunk features, mask stacks and image stacks of each nodule.

The trunk is frozen, so a nodule's features depend on its frames, its out-of-fold mask, the preprocessing and the trunk
and on nothing that a recipe or a fold changes. They are kept with a key over these four.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stact_pacs.cine.crops import NoduleInput, nodule_input
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.errors import Defect
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.pipeline.embed import trunk_features
from stact_pacs.train.data import Cohort
from stact_pacs.train.run_folder import key_of, load_weights, read_json, read_tensors, write_tensors
from stact_pacs.train.run_setup import BATCH, RunSetup, unheard
from stact_pacs.train.segmentation_stage import read_mask, region_of
from stact_pacs.train.start_stage import TRUNK

_WHITE = 255.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CachedNodule:
    """One nodule as the encoders see it."""

    features: Tensor
    """float32 (S, D)."""
    masks: Tensor
    """float32 (S, 3, m, m) in [0, 1]; all 0 for a nodule that the segmenter missed."""


def cache_features(setup: RunSetup, cohort: Cohort, fold: int) -> None:
    """Write trunk features and mask stacks of the nodules of this fold."""
    trunk = load_weights(build_trunk(setup.preset.trunk), setup.folder.start(TRUNK))
    networks = setup.networks(trunk=trunk)
    tensors = {}
    for annot_id, given in _inputs(setup, cohort, fold):
        features = trunk_features(given.image_stacks, networks, batch_stacks=BATCH, tick=unheard)
        tensors[f"features/{annot_id}"] = features.clone()
        tensors[f"masks/{annot_id}"] = torch.from_numpy(given.mask_stacks)
    write_tensors(setup.folder.features(fold), tensors, features_key(setup, fold))


def cache_crops(setup: RunSetup, cohort: Cohort, fold: int) -> None:
    """Write the image stacks of the nodules of this fold, uint8 (S, 3, size, size), for encoders that are trained."""
    preprocessing = setup.preset.preprocessing
    tensors = {
        f"crops/{annot_id}": torch.from_numpy(_as_bytes(given.image_stacks, preprocessing))
        for annot_id, given in _inputs(setup, cohort, fold)
    }
    write_tensors(setup.folder.crops(fold), tensors, features_key(setup, fold))


def _inputs(setup: RunSetup, cohort: Cohort, fold: int) -> Iterator[tuple[str, NoduleInput]]:
    """Yield the network inputs of each nodule of this fold, by its out-of-fold mask."""
    of_fold = [(number, annot_id) for number, (annot_id, at) in enumerate(setup.fold_of.items()) if at == fold]
    for done, (number, annot_id) in enumerate(of_fold):
        setup.tick(done, len(of_fold))
        frames, _ = region_of(cohort.clip(annot_id))
        yield annot_id, input_of(frames, read_mask(setup, number), setup.preset.preprocessing)


def input_of(frames: np.ndarray, mask: np.ndarray, preprocessing: Preprocessing) -> NoduleInput:
    """Cut a nodule out of its clip: uint8 and bool (T, H, W).

    A missed nodule, whose mask is empty, is seen as the whole region with nothing marked in it: it must have a score,
    since leaving it out would hide the miss.
    """
    seen = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(seen):
        sweep = slice(int(seen[0]), int(seen[-1]) + 1)
        return nodule_input(frames[sweep], mask[sweep], preprocessing)
    whole = nodule_input(frames, np.ones_like(mask), preprocessing)
    return replace(whole, mask_stacks=np.zeros_like(whole.mask_stacks))


def _as_bytes(image_stacks: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return normalised stacks (S, 3, h, w) as grey values, uint8: a quarter of the size."""
    mean, std = (np.array(values, dtype=np.float32)[:, np.newaxis, np.newaxis] for values in _norm(preprocessing))
    grey: np.ndarray = np.rint(np.clip((image_stacks * std + mean) * _WHITE, 0, _WHITE)).astype(np.uint8)
    return grey


def normalised(crops: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return grey values in [0, 1], (B, 3, h, w), as frame encoders take them."""
    mean, std = (torch.tensor(values)[:, None, None].to(crops) for values in _norm(preprocessing))
    return (crops - mean) / std


def _norm(preprocessing: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return preprocessing.image_mean, preprocessing.image_std


def read_features(setup: RunSetup) -> dict[str, CachedNodule]:
    """Return every nodule of the cohort, by annot_id, in its order."""
    tensors = _read_all(setup, setup.folder.features)
    return {
        annot_id: CachedNodule(features=tensors[f"features/{annot_id}"], masks=tensors[f"masks/{annot_id}"])
        for annot_id in setup.fold_of
    }


def read_crops(setup: RunSetup) -> dict[str, Tensor]:
    """Return the image stacks of every nodule, uint8 (S, 3, size, size), by annot_id, in the order of the cohort."""
    tensors = _read_all(setup, setup.folder.crops)
    return {annot_id: tensors[f"crops/{annot_id}"] for annot_id in setup.fold_of}


def _read_all(setup: RunSetup, path_of: Callable[[int], Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for fold in sorted(set(setup.fold_of.values())):
        if key_of(path_of(fold)) != features_key(setup, fold):
            raise Defect(
                f"{path_of(fold)} was made of other data, masks or weights than the run has now.",
                remedy="Delete the folders features, crops, predictions and fold-* of the run, and resume it.",
            )
        tensors |= read_tensors(path_of(fold))
    return tensors


def features_key(setup: RunSetup, fold: int) -> str:
    """Return what the cached tensors of a fold were made of: 64 hex digits."""
    parts = {
        "data": read_json(setup.folder.settings)["data"]["digest"],
        "masks": read_json(setup.folder.segmentation(fold))["masks_sha256"],
        "preprocessing": asdict(setup.preset.preprocessing),
        "trunk": hashlib.sha256(setup.folder.start(TRUNK).read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
