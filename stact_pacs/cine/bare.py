"""A cine that comes from no DICOM file: phantoms, golden checks, and the clips of a cohort."""

import numpy as np

from stact_pacs.domain.findings import Box, Calibration, Cine, FrameRef


def bare_cine(frames: np.ndarray, region: Box, calibration: Calibration | None = None) -> Cine:
    """Return frames, uint8 (T, H, W), as the cine that the service would decode; its frames refer to no instance."""
    numbers = range(1, len(frames) + 1)
    refs = tuple(FrameRef(sop_class_uid="", sop_instance_uid="", frame_number=number) for number in numbers)
    return Cine(frames=frames, frame_refs=refs, region=region, calibration=calibration, frame_time_ms=None)
