"""Cases with defaults for the tests of the pages: builders that each test changes where it matters."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.records import CaseRecord, DeliveryRecord, Event
from stact_pacs.domain.results import Attachment, ObjectKind

AT = datetime(2026, 11, 23, 14, 6, 31, tzinfo=UTC)
KEY = "0123456789abcdef" * 4
SERIES = SeriesKey(study_instance_uid="1.2.840.99.1", series_instance_uid="1.2.840.99.1.2")


def build_instance(**changes):
    instance = Instance(
        series=SERIES,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
        sop_instance_uid="1.2.840.99.1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.4.50",
        sha256="5f" * 32,
        size_bytes=43_202_522,
        path=Path("DOE^JANE.dcm"),
        number_of_frames=90,
        rows=480,
        columns=640,
        study_description="DOE^JANE thyroid",
        series_description="DOE^JANE left lobe",
        calling_ae="US_ROOM_2",
        received_at=AT,
    )
    return dataclasses.replace(instance, **changes)


def build_nodule(**changes):
    weights = [0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.18, 0.12, 0.08, 0.05, 0.04, 0.03]
    return {
        "tracking_uid": "2.25.320947120394871203948",
        "probability": 0.8314,
        "probability_sd": 0.0312,
        "member_probabilities": [0.79, 0.81, 0.83, 0.85, 0.877],
        "operating_point": {"name": "rule-out", "threshold": 0.12, "positive": True},
        "frames": [22, 59],
        "key_frame": 40,
        "long_axis_mm": 14.25,
        "short_axis_mm": 8.99,
        "stack_attention": weights,
        "stack_first_frames": [22 + 3 * stack for stack in range(len(weights))],
    } | changes


def build_record(**changes):
    return {
        "study_instance_uid": SERIES.study_instance_uid,
        "series_instance_uid": SERIES.series_instance_uid,
        "source_sop_instance_uids": ["1.2.840.99.1.2.3"],
        "job_key": KEY,
        "outcome": "scored",
        "reason": None,
        "reason_text": "",
        "nodules": [build_nodule()],
        "model": {
            "name": "phantom-demo",
            "version": "1.0.0",
            "sha256": "c4" * 32,
            "statement": "Trained on synthetic phantoms only: not for clinical use.",
        },
        "objects": [
            {"kind": "SEG", "sop_instance_uid": "2.25.111", "file": "seg.dcm"},
            {"kind": "SR", "sop_instance_uid": "2.25.222", "file": "sr.dcm"},
        ],
        "frames": 90,
        "frame_time_ms": 40.0,
        "calibrated": True,
        "timings_ms": {"segment": 2310.4, "track": 84.2, "embed": 1502.7, "score": 9.3},
        "warnings": ["The ultrasound region reached one pixel beyond the image and was clamped."],
    } | changes


def build_delivery(**changes):
    delivery = DeliveryRecord(
        id=1,
        job_id=12,
        job_key=KEY,
        kind=ObjectKind.SR,
        sop_instance_uid="2.25.222",
        destination="pacs-main",
        state=DeliveryState.CONFIRMED,
        attempts=1,
        next_attempt_at=None,
        detail="Success (0x0000)",
    )
    return dataclasses.replace(delivery, **changes)


def build_event(after_s=0.0, action="job_claimed", detail="A worker took the job, attempt 1."):
    return Event(at=AT + timedelta(seconds=after_s), action=action, detail=detail)


def build_png(size=64):
    done, encoded = cv2.imencode(".png", np.full((size, size, 3), 90, np.uint8))
    assert done
    return encoded.tobytes()


def build_attachments():
    areas = [0] * 21 + [int(900 * np.sin(np.pi * (i + 1) / 39)) for i in range(38)] + [0] * 31
    pictures = ["nodule-1.png", *(f"nodule-1-stack-{stack}.png" for stack in (5, 6, 7, 8))]
    return (
        *(Attachment(name=name, media_type="image/png", content=build_png()) for name in pictures),
        Attachment(name="nodule-1-areas.json", media_type="application/json", content=json.dumps(areas).encode()),
    )


def build_case(**changes):
    values = {
        "id": 12,
        "job_key": KEY,
        "state": JobState.DONE,
        "series_revision": 1,
        "attempts": 1,
        "created_at": AT,
        "instances": (build_instance(),),
        "record": build_record(),
        "attachments": build_attachments(),
        "deliveries": (build_delivery(kind=ObjectKind.SEG, sop_instance_uid="2.25.111", id=2), build_delivery()),
        "events": (
            build_event(0, "instance_received", "One instance came from US_ROOM_2."),
            build_event(60.2, "series_closed", "No instance came for 60 s: 1 cine, 1 job."),
            build_event(60.9),
            build_event(65.1, "job_scored", "1 nodule scored by phantom-demo 1.0.0."),
            build_event(65.8, "object_confirmed", "pacs-main accepted the SEG (0x0000)."),
            build_event(66.0, "object_confirmed", "pacs-main accepted the SR (0x0000)."),
        ),
    }
    return CaseRecord(**(values | changes))


@pytest.fixture
def a_case():
    return build_case


@pytest.fixture
def a_record():
    return build_record


@pytest.fixture
def a_nodule():
    return build_nodule


@pytest.fixture
def an_instance():
    return build_instance


@pytest.fixture
def a_delivery():
    return build_delivery


@pytest.fixture
def an_event():
    return build_event
