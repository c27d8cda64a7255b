"""How much time lies between two frames (PS3.3 C.7.6.5, Cine module)."""

from pydicom.dataset import Dataset

from stact_pacs.cine.reading import number_of, numbers_of


def frame_time_ms(dataset: Dataset) -> float | None:
    """Return the mean time between frames in ms, or None when the header does not say.

    From Frame Time Vector, Frame Time, Cine Rate or Recommended Display Frame Rate, in this order: measured
    before intended.
    """
    increments = numbers_of(dataset, "FrameTimeVector")[1:]  # the first is the offset of the first frame, always 0
    if increments and sum(increments) > 0:
        return sum(increments) / len(increments)
    if (frame_time := number_of(dataset, "FrameTime")) and frame_time > 0:
        return frame_time
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):  # frames per second
        if (rate := number_of(dataset, keyword)) and rate > 0:
            return 1000 / rate
    return None
