"""Follow nodules over the frames: patches of the masks, linked into tracks, specks dropped, the largest kept.

Pure: masks in, tracks out. All coordinates are pixels of the scored region.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from stact_pacs.cine.crops import mask_box
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.domain.findings import Box

_PATCHES_PER_NODULE = 2
"""Patches kept per frame, for each nodule that may be reported: noise must not make the work explode."""

_FRAGMENT_SHARE = 0.5
"""A patch that lies at least so much inside a nodule's last mask is a piece of it, not another nodule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """One connected piece of one frame's mask."""

    frame: int
    box: Box
    mask: np.ndarray
    """bool, (box.height, box.width)."""
    area_px: int
    centre: tuple[float, float]
    """x, y of the centre of gravity, in pixel indices."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One nodule, followed over the frames."""

    patches: tuple[Patch, ...]
    """In the order of the frames; a frame may have several, or none."""

    @property
    def first_frame(self) -> int:
        return self.patches[0].frame

    @property
    def last_frame(self) -> int:
        """Index of the last frame that shows it (included)."""
        return self.patches[-1].frame

    @property
    def total_area_px(self) -> int:
        return sum(patch.area_px for patch in self.patches)

    @cached_property
    def area_by_frame(self) -> dict[int, int]:
        """Area in pixels, for each frame that shows it."""
        areas: dict[int, int] = {}
        for patch in self.patches:
            areas[patch.frame] = areas.get(patch.frame, 0) + patch.area_px
        return areas

    @property
    def key_frame(self) -> int:
        """The frame with the largest area; the first of several."""
        return max(self.area_by_frame, key=lambda frame: (self.area_by_frame[frame], -frame))

    @property
    def longest_run(self) -> int:
        """Most frames in a row that show it."""
        longest, run, before = 0, 0, -2
        for frame in self.area_by_frame:
            run = run + 1 if frame == before + 1 else 1
            longest, before = max(longest, run), frame
        return longest

    def masks(self, height: int, width: int) -> np.ndarray:
        """Return its masks from its first to its last frame: bool (frames, height, width)."""
        masks = np.zeros((self.last_frame - self.first_frame + 1, height, width), dtype=np.bool_)
        for patch in self.patches:
            box = patch.box
            masks[patch.frame - self.first_frame, box.y0 : box.y1, box.x0 : box.x1] |= patch.mask
        return masks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracking:
    """The nodules of a cine."""

    tracks: tuple[Track, ...]
    """Largest first, by area summed over the frames."""
    dropped: int
    """Nodules beyond `max_nodules`: found, but not scored."""


def track_nodules(masks: np.ndarray, preprocessing: Preprocessing) -> Tracking:
    """Find the nodules in the masks of a cine, bool (T, H, W)."""
    tracks = [Track(patches=tuple(patches)) for patches in _linked(masks, preprocessing)]
    seen = [track for track in tracks if track.longest_run >= preprocessing.min_frames]
    by_size = sorted(seen, key=lambda track: (-track.total_area_px, track.first_frame, track.patches[0].centre))
    kept = tuple(by_size[: preprocessing.max_nodules])
    return Tracking(tracks=kept, dropped=len(by_size) - len(kept))


def patches_of(mask: np.ndarray, frame: int, preprocessing: Preprocessing) -> list[Patch]:
    """Return the connected pieces of one mask, bool (H, W), without specks; the largest first."""
    around = mask_box(mask)
    if around is None:
        return []
    # Labelling only what is around the nodules is several times faster than labelling the frame.
    inside = mask[around.y0 : around.y1, around.x0 : around.x1].astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(inside, connectivity=8)
    least_px = max(1.0, preprocessing.min_area_share * mask.size)
    areas = stats[:, cv2.CC_STAT_AREA]
    large = sorted((n for n in range(1, count) if areas[n] >= least_px), key=lambda n: (-int(areas[n]), n))
    kept = large[: _PATCHES_PER_NODULE * preprocessing.max_nodules]
    return [_patch(frame, labels == n, around, centres[n]) for n in kept]


def _patch(frame: int, inside: np.ndarray, around: Box, centre: np.ndarray) -> Patch:
    """Return the patch that a mask inside the box `around` shows, cut to its own box."""
    box = mask_box(inside)
    assert box is not None, "a connected component has a pixel"
    mask = inside[box.y0 : box.y1, box.x0 : box.x1]
    return Patch(
        frame=frame,
        box=Box(x0=around.x0 + box.x0, y0=around.y0 + box.y0, x1=around.x0 + box.x1, y1=around.y0 + box.y1),
        mask=mask,
        area_px=int(np.count_nonzero(mask)),
        centre=(around.x0 + float(centre[0]), around.y0 + float(centre[1])),
    )


def _linked(masks: np.ndarray, preprocessing: Preprocessing) -> list[list[Patch]]:
    tracks: list[list[Patch]] = []
    for frame, mask in enumerate(masks):
        alive = [track for track in tracks if frame - track[-1].frame - 1 <= preprocessing.max_gap_frames]
        tracks += _linked_frame(patches_of(mask, frame, preprocessing), alive)
    return tracks


def _linked_frame(patches: list[Patch], alive: list[list[Patch]]) -> list[list[Patch]]:
    """Add each patch to the track that it continues; return the tracks that begin with the others."""
    last = [[patch for patch in track if patch.frame == track[-1].frame] for track in alive]
    taken = _best_matches(patches, last)
    begun = []
    for j, patch in enumerate(patches):
        i = taken.get(j, _surrounding(patch, last))
        if i is None:
            begun.append([patch])
        else:
            alive[i].append(patch)
    return begun


def _best_matches(patches: list[Patch], last: list[list[Patch]]) -> dict[int, int]:
    """Pair patches with tracks, one to one, best overlap first: index of patch to index of track."""
    candidates = []
    for i, pieces in enumerate(last):
        for j, patch in enumerate(patches):
            shared = sum(_overlap_px(piece, patch) for piece in pieces)
            distance = min(math.dist(piece.centre, patch.centre) for piece in pieces)
            if shared or distance <= max(map(_radius_px, [*pieces, patch])):
                whole = sum(piece.area_px for piece in pieces) + patch.area_px - shared
                candidates.append((-shared / whole, distance, i, j))
    taken: dict[int, int] = {}
    for _, _, i, j in sorted(candidates):
        if j not in taken and i not in taken.values():
            taken[j] = i
    return taken


def _surrounding(patch: Patch, last: list[list[Patch]]) -> int | None:
    """Return the track whose last mask covers most of a patch that has no track of its own."""
    covered = [sum(_overlap_px(piece, patch) for piece in pieces) for pieces in last]
    if not covered or max(covered) < _FRAGMENT_SHARE * patch.area_px:
        return None
    return covered.index(max(covered))


def _radius_px(patch: Patch) -> float:
    return math.sqrt(patch.area_px / math.pi)


def _overlap_px(one: Patch, other: Patch) -> int:
    x0, x1 = max(one.box.x0, other.box.x0), min(one.box.x1, other.box.x1)
    y0, y1 = max(one.box.y0, other.box.y0), min(one.box.y1, other.box.y1)
    if x0 >= x1 or y0 >= y1:
        return 0
    ours, theirs = (
        patch.mask[y0 - patch.box.y0 : y1 - patch.box.y0, x0 - patch.box.x0 : x1 - patch.box.x0]
        for patch in (one, other)
    )
    return int(np.count_nonzero(ours & theirs))
