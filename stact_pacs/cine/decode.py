"""A cine's instances become its frames: `decode_cine`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stact_pacs.cine.colour import STRIDE_PX, colour_shares, sampled_frames
from stact_pacs.cine.frames import DecodedFrame, decode_frames
from stact_pacs.cine.header import ultrasound_regions
from stact_pacs.cine.pixel_data import MAX_CINE_PIXELS, PixelDescription, describe, not_decodable
from stact_pacs.cine.reading import Header, read_header
from stact_pacs.cine.region import RegionChoice, choose_region
from stact_pacs.cine.timing import frame_time_ms
from stact_pacs.domain.findings import Box, Cine, FrameRef
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect, Reason, Refused

Allocate = Callable[[tuple[int, int, int]], np.ndarray]
"""Returns a place for luminance, uint8 of the shape (frames, rows, columns)."""


def _in_memory(shape: tuple[int, int, int]) -> np.ndarray:
    return np.empty(shape, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One instance of the cine, read and checked, not yet decoded."""

    instance: Instance
    header: Header
    description: PixelDescription

    def frames(self) -> Iterator[DecodedFrame]:
        return decode_frames(self.instance.path, self.header, self.description)

    def frame_refs(self) -> Iterator[FrameRef]:
        count = self.description.number_of_frames
        for number in range(1, count + 1):
            yield FrameRef(
                sop_class_uid=self.instance.sop_class_uid,
                sop_instance_uid=self.instance.sop_instance_uid,
                frame_number=number if count > 1 else None,
            )


def decode_cine(source: CineSource, *, refuse_colour_flow: bool = True, allocate: Allocate = _in_memory) -> Cine:
    """Decode the luminance of every frame, and choose the region that is scored.

    One colour frame is held at a time, besides the luminance of the whole cine, which lies where `allocate` says.

    Raises
    ------
    Refused
        `not_decodable`, `too_many_frames` (too many pixels), or `colour_doppler` when the pixels show colour flow and
        `refuse_colour_flow` is set. The text says what does not fit, and the remedy what to send instead.
    Defect
        A stored file is gone or cannot be opened.
    """
    parts = [_part(instance) for instance in source.instances]
    _check_equal_geometry(parts)
    choice = _choose_region(parts)
    sampled = sampled_frames(_number_of_frames(parts)) if refuse_colour_flow else frozenset()
    frames, samples = _decode(parts, choice.box, sampled, allocate)
    if samples is not None and colour_shares(samples).shows_flow:
        raise Refused(
            Reason.COLOUR_DOPPLER,
            "The frames show colour flow over the tissue.",
            remedy="Send the grey-scale clip of the nodule; or set eligibility.allow_colour_doppler = true.",
        )
    return Cine(
        frames=frames,
        frame_refs=tuple(ref for part in parts for ref in part.frame_refs()),
        region=choice.box,
        calibration=choice.calibration,
        frame_time_ms=frame_time_ms(parts[0].header.dataset),
        warnings=choice.warnings,
    )


def _number_of_frames(parts: list[_Part]) -> int:
    return sum(part.description.number_of_frames for part in parts)


def _part(instance: Instance) -> _Part:
    _check_file(instance.path)
    header = read_header(instance.path)
    return _Part(instance=instance, header=header, description=describe(header))


def _check_file(path: Path) -> None:
    """See that a stored file is there: that it is not is no fault of the sender."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise Defect(
            f"The stored file {path} cannot be opened: {error.strerror}.",
            remedy="Restore the file from the backup or the archive, then retry the job.",
        ) from error


def _check_equal_geometry(parts: list[_Part]) -> None:
    sizes = {(part.description.rows, part.description.columns) for part in parts}
    if len(sizes) > 1:
        raise not_decodable("The frames of the cine differ in size.")
    pixels = sum(p.description.rows * p.description.columns * p.description.number_of_frames for p in parts)
    if pixels > MAX_CINE_PIXELS:
        raise Refused(
            Reason.TOO_MANY_FRAMES,
            f"The cine has {pixels} pixels, the limit is {MAX_CINE_PIXELS}.",
            remedy="Send a shorter clip of the nodule.",
        )


def _choose_region(parts: list[_Part]) -> RegionChoice:
    """Return the region of the cine; single frames that disagree on it make the whole frame the region."""
    rows, columns = parts[0].description.rows, parts[0].description.columns
    choices = {choose_region(ultrasound_regions(part.header.dataset), rows, columns) for part in parts}
    if len(choices) == 1:
        return choices.pop()
    text = "The frames differ in tissue region or calibration: the whole frame is scored, sizes are unknown."
    return RegionChoice(box=Box(x0=0, y0=0, x1=columns, y1=rows), calibration=None, warnings=(text,))


def _decode(
    parts: list[_Part], box: Box, sampled: frozenset[int], allocate: Allocate
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the luminance, uint8 (frames, rows, columns), and RGB samples of the region for the colour test.

    Samples are taken from the frame indices in `sampled`; they are None when every frame is grey by nature.
    """
    first = parts[0].description
    T = _number_of_frames(parts)
    luminance = allocate((T, first.rows, first.columns))
    samples = []
    for index, frame in enumerate(frame for part in parts for frame in part.frames()):
        luminance[index] = frame.luminance
        if index in sampled and (rgb := frame.colour()) is not None:
            samples.append(rgb[box.y0 : box.y1 : STRIDE_PX, box.x0 : box.x1 : STRIDE_PX].copy())
    return luminance, np.stack(samples) if samples else None
