from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.domain.instances import Instance, SeriesKey


@pytest.fixture
def make_instance() -> Callable[..., Instance]:
    """A plain ultrasound cine of 90 frames, with changes."""

    def make(**changes: Any) -> Instance:
        facts: dict[str, Any] = {
            "series": SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"),
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.3.1",
            "sop_instance_uid": "1.2.3.4",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "sha256": "0" * 64,
            "size_bytes": 1,
            "path": Path("x"),
            "modality": "US",
            "number_of_frames": 90,
            "rows": 480,
            "columns": 640,
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
        }
        return Instance(**(facts | changes))

    return make
