"""See the development cohort as the service will: segmented, followed and embedded by the networks that ship."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stact_pacs.cine.crops import nodule_input
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.pipeline.embed import trunk_features
from stact_pacs.pipeline.load import Networks
from stact_pacs.pipeline.nodules import Track, track_nodules
from stact_pacs.pipeline.segment import segment
from stact_pacs.train.metrics import dice
from stact_pacs.train.phantom import PhantomCine

_BATCH = 8
"""Frames, or stacks, that go through a network together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenNodule:
    """One nodule as the frozen networks saw it: what the members are trained on."""

    features: Tensor
    """float32 (S, D): trunk features of its stacks."""
    masks: Tensor
    """float32 (S, 3, m, m): predicted mask stacks."""
    malignant: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Development:
    """The cohort that the members are trained on."""

    nodules: tuple[SeenNodule, ...]
    missed: int
    """Nodules of the cohort that the segmenter did not find; they train nothing."""
    dice: tuple[float, ...]
    """Dice of each cine's masks, none of which the segmenter was trained on."""


def see(cines: Iterable[PhantomCine], networks: Networks, preprocessing: Preprocessing) -> Development:
    """Segment, follow and embed each cine; keep the nodule that lies on the true one."""
    nodules, overlaps, missed = [], [], 0
    for cine in cines:
        found = segment(cine.region_frames, networks, preprocessing, batch_frames=_BATCH, tick=_unheard)
        overlaps.append(dice(found, cine.region_masks))
        track = _on_truth(track_nodules(found, preprocessing).tracks, cine.region_masks)
        if track is None:
            missed += 1
        else:
            nodules.append(_seen(cine, track, networks, preprocessing))
    return Development(nodules=tuple(nodules), missed=missed, dice=tuple(overlaps))


def _on_truth(tracks: tuple[Track, ...], truth: np.ndarray) -> Track | None:
    """Return the track that shares most pixels with the true nodule, bool (T, H, W); None when none shares any."""
    shared = [_shared_px(track, truth) for track in tracks]
    return tracks[int(np.argmax(shared))] if any(shared) else None


def _shared_px(track: Track, truth: np.ndarray) -> int:
    masks = track.masks(*truth.shape[1:])
    return int((masks & truth[track.first_frame : track.last_frame + 1]).sum())


def _seen(cine: PhantomCine, track: Track, networks: Networks, preprocessing: Preprocessing) -> SeenNodule:
    frames = cine.region_frames
    given = nodule_input(
        frames[track.first_frame : track.last_frame + 1], track.masks(*frames.shape[1:]), preprocessing
    )
    return SeenNodule(
        features=trunk_features(given.image_stacks, networks, batch_stacks=_BATCH, tick=_unheard).clone(),
        masks=torch.from_numpy(given.mask_stacks),
        malignant=cine.malignant,
    )


def _unheard(_done: int) -> None:
    """Do nothing with the progress inside one cine."""
