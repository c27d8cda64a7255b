import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from stact_pacs.domain.findings import (
    Box,
    Calibration,
    Cine,
    Findings,
    FrameRef,
    ModelIdentity,
    Nodule,
    OperatingPoint,
    Score,
)
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason
from stact_pacs.record import result_record

MODEL = ModelIdentity(name="phantom-demo", version="1.0.0", sha256="c" * 64, statement="Synthetic data.")


def an_instance(**changes):
    instance = Instance(
        series=SeriesKey(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256="a" * 64,
        size_bytes=1000,
        path=Path("cine.dcm"),
        number_of_frames=12,
    )
    return dataclasses.replace(instance, **changes)


def a_cine(**changes):
    ref = FrameRef(sop_class_uid="1.2", sop_instance_uid="1.2.3.4.5", frame_number=1)
    values = {
        "frames": np.zeros((12, 8, 8), np.uint8),
        "frame_refs": (ref,) * 12,
        "region": Box(x0=0, y0=0, x1=8, y1=8),
        "calibration": Calibration(row_spacing_mm=0.1, column_spacing_mm=0.1),
        "frame_time_ms": np.float32(40),
        "warnings": ("The region was clamped.",),
    }
    return Cine(**(values | changes))


def a_nodule(probability: float = 0.75):
    score = Score(
        probability=np.float32(probability),
        probability_sd=np.float64(0.05),
        member_probabilities=(np.float32(0.5), 0.75, 1.0),
        operating_point=OperatingPoint(name="rule-out", threshold=0.125),
        positive=np.bool_(True),
        stack_attention=(np.float32(0.25), 0.75),
        stack_first_frames=(np.int64(2), 5),
    )
    return Nodule(
        number=1,
        tracking_uid="2.25.1",
        first_frame=2,
        last_frame=8,
        key_frame=np.int64(5),
        contour=np.zeros((3, 2)),
        long_axis=np.zeros((2, 2)),
        short_axis=np.zeros((2, 2)),
        long_axis_mm=14.25,
        short_axis_mm=None,
        score=score,
    )


def the_record(findings, cine=None, instances=None, objects=()):
    source = CineSource(instances=instances or (an_instance(),))
    return result_record(source=source, cine=cine, findings=findings, model=MODEL, job_key="b" * 64, objects=objects)


def scored(**changes):
    values = {
        "outcome": Outcome.SCORED,
        "nodules": (a_nodule(),),
        "labels": np.zeros((12, 8, 8), np.uint8),
        "timings_ms": {"segment": np.float64(12.5)},
        "warnings": ("The region was clamped.", "Two specks were dropped."),
    }
    return Findings(**(values | changes))


def test_a_scored_cine_has_every_field_of_the_contract_with_frames_from_one():
    seg = ResultObject(
        kind=ObjectKind.SEG, sop_class_uid="1.2", sop_instance_uid="2.25.7", series_instance_uid="2.25.8", content=b""
    )
    assert the_record(scored(), a_cine(), objects=[seg]) == {
        "study_instance_uid": "1.2.3",
        "series_instance_uid": "1.2.3.4",
        "source_sop_instance_uids": ["1.2.3.4.5"],
        "job_key": "b" * 64,
        "outcome": "scored",
        "reason": None,
        "reason_text": "",
        "nodules": [
            {
                "tracking_uid": "2.25.1",
                "tracking_uid_kept": False,
                "probability": 0.75,
                "probability_sd": 0.05,
                "member_probabilities": [0.5, 0.75, 1.0],
                "operating_point": {"name": "rule-out", "threshold": 0.125, "positive": True},
                "frames": [3, 9],
                "key_frame": 6,
                "long_axis_mm": 14.25,
                "short_axis_mm": None,
                "reaches_edge": False,
                "stack_attention": [0.25, 0.75],
                "stack_first_frames": [3, 6],
            }
        ],
        "model": {"name": "phantom-demo", "version": "1.0.0", "sha256": "c" * 64, "statement": "Synthetic data."},
        "objects": [{"kind": "SEG", "profile": "", "sop_instance_uid": "2.25.7", "file": "seg.dcm"}],
        "frames": 12,
        "frame_time_ms": 40.0,
        "calibrated": True,
        "timings_ms": {"segment": 12.5},
        "warnings": ["The region was clamped.", "Two specks were dropped."],
    }


def test_numbers_of_numpy_come_out_as_plain_json_numbers():
    record = the_record(scored(), a_cine())
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_sr_is_named_sr_dcm():
    sr = ResultObject(
        kind=ObjectKind.SR, sop_class_uid="1.2", sop_instance_uid="2.25.9", series_instance_uid="2.25.8", content=b""
    )
    assert the_record(scored(), a_cine(), objects=[sr])["objects"][0]["file"] == "sr.dcm"


def test_a_refused_cine_carries_its_reason_and_what_the_headers_promise():
    refused = Findings(outcome=Outcome.NOT_SCORED, reason=Reason.TOO_FEW_FRAMES, reason_text="It has 2 frames.")
    record = the_record(refused, instances=(an_instance(number_of_frames=2),))
    assert (record["outcome"], record["reason"], record["reason_text"]) == (
        "not_scored",
        "too_few_frames",
        "It has 2 frames.",
    )
    assert (record["frames"], record["frame_time_ms"], record["calibrated"]) == (2, None, False)
    assert record["nodules"] == []


def test_a_header_that_promises_less_than_nothing_counts_as_no_frames():
    refused = Findings(outcome=Outcome.NOT_SCORED, reason=Reason.NOT_DECODABLE, reason_text="No frames.")
    assert the_record(refused, instances=(an_instance(number_of_frames=-1),))["frames"] == 0


def test_an_uncalibrated_cine_says_so():
    record = the_record(scored(), a_cine(calibration=None, frame_time_ms=None))
    assert (record["calibrated"], record["frame_time_ms"]) == (False, None)


def test_single_frame_instances_are_listed_in_frame_order():
    instances = (an_instance(sop_instance_uid="1.9"), an_instance(sop_instance_uid="1.10"))
    record = the_record(Findings(outcome=Outcome.NO_NODULE), a_cine(), instances)
    assert record["source_sop_instance_uids"] == ["1.9", "1.10"]
    assert record["outcome"] == "no_nodule"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_probability_that_is_not_a_number_is_never_written_down(value):
    with pytest.raises(ValueError, match=r"probability is (nan|inf), a finite number is needed"):
        the_record(scored(nodules=(a_nodule(value),)), a_cine())
