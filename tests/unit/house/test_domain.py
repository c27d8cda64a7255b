"""Identity: what makes two jobs, or two objects, the same."""

import numpy as np
import pytest

from stact_pacs.domain.findings import Box, Cine, Findings, FrameRef
from stact_pacs.domain.identity import derived_uid, job_key
from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import Reason


def test_a_job_key_does_not_depend_on_the_order_of_instances() -> None:
    assert job_key(["b", "a"], "model") == job_key(["a", "b"], "model")


@pytest.mark.parametrize(("digests", "bundle"), [(["a"], "model"), (["a", "b", "b"], "model"), (["a", "b"], "other")])
def test_a_job_key_changes_with_what_is_scored_and_with_the_model(digests: list[str], bundle: str) -> None:
    assert job_key(digests, bundle) != job_key(["a", "b"], "model")


def test_a_derived_uid_is_valid_and_always_the_same() -> None:
    uid = derived_uid("key", "SEG")
    assert uid == derived_uid("key", "SEG") != derived_uid("key", "SR")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64


def test_an_empty_box_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="empty"):
        Box(x0=3, y0=0, x1=3, y1=5)


def test_a_cine_needs_one_reference_per_frame() -> None:
    ref = FrameRef(sop_class_uid="1.2", sop_instance_uid="1.2.3", frame_number=1)
    with pytest.raises(ValueError, match="2 frames and 1 frame_refs"):
        Cine(
            frames=np.zeros((2, 4, 4), np.uint8),
            frame_refs=(ref,),
            region=Box(x0=0, y0=0, x1=4, y1=4),
            calibration=None,
            frame_time_ms=None,
        )


def test_only_what_is_not_scored_has_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Findings(outcome=Outcome.NO_NODULE, reason=Reason.NOT_DECODABLE)
    with pytest.raises(ValueError, match="reason"):
        Findings(outcome=Outcome.NOT_SCORED)
