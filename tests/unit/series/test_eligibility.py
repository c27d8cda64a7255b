from typing import Any

import pytest

from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason
from stact_pacs.series.eligibility import refusal
from stact_pacs.settings.scoring import Eligibility, Rule

DEFAULT = Eligibility()
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.4"


def reason(*instances: Any, settings: Eligibility = DEFAULT) -> Reason | None:
    refused = refusal(CineSource(instances=instances), settings)
    return None if refused is None else refused.reason


def test_an_ultrasound_cine_is_scored(make_instance: Any) -> None:
    assert reason(make_instance()) is None


def test_single_frames_count_together(make_instance: Any) -> None:
    frames = [make_instance(sop_class_uid=US_IMAGE, number_of_frames=1) for _ in range(10)]
    assert reason(*frames) is None
    assert reason(*frames[1:]) is Reason.TOO_FEW_FRAMES


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "modality": "CT"}, Reason.NOT_ULTRASOUND),
        ({"modality": "IVUS"}, Reason.NOT_ULTRASOUND),
        ({"sop_class_uid": SECONDARY_CAPTURE, "modality": "OT"}, Reason.NOT_ULTRASOUND),
        ({"sop_class_uid": SECONDARY_CAPTURE, "modality": ""}, Reason.NOT_ULTRASOUND),
        ({"has_pixel_data": False}, Reason.NOT_DECODABLE),
        ({"number_of_frames": 0}, Reason.NOT_DECODABLE),
        ({"number_of_frames": -1}, Reason.NOT_DECODABLE),
        ({"transfer_syntax_uid": "1.2.840.10008.1.2.4.102"}, Reason.NOT_DECODABLE),
        ({"transfer_syntax_uid": "1.2.840.10008.1.2.1.99"}, Reason.NOT_DECODABLE),
        ({"number_of_frames": 9}, Reason.TOO_FEW_FRAMES),
        ({"number_of_frames": 1}, Reason.TOO_FEW_FRAMES),
        ({"number_of_frames": 1001}, Reason.TOO_MANY_FRAMES),
        ({"colour_flow_region": True}, Reason.COLOUR_DOPPLER),
    ],
)
def test_a_cine_that_is_not_scored_has_a_named_reason(
    make_instance: Any, changes: dict[str, Any], expected: Reason
) -> None:
    assert reason(make_instance(**changes)) is expected


@pytest.mark.parametrize("changes", [{"modality": ""}, {"sop_class_uid": SECONDARY_CAPTURE}, {"number_of_frames": 10}])
def test_what_is_ultrasound_all_the_same_is_scored(make_instance: Any, changes: dict[str, Any]) -> None:
    assert reason(make_instance(**changes)) is None


def test_one_strange_frame_spoils_the_cine(make_instance: Any) -> None:
    frames = [make_instance(number_of_frames=1) for _ in range(20)]
    assert reason(*frames, make_instance(number_of_frames=1, has_pixel_data=False)) is Reason.NOT_DECODABLE


def test_an_exclusion_matches_any_instance_without_regard_to_case(make_instance: Any) -> None:
    settings = Eligibility(exclude=(Rule(field="series_description", pattern="BIOPSY|elasto"),))
    assert reason(make_instance(series_description="Left Elastography"), settings=settings) is Reason.EXCLUDED_BY_RULE
    assert reason(make_instance(series_description="Left lobe"), settings=settings) is None


def test_a_requirement_must_match_every_instance(make_instance: Any) -> None:
    settings = Eligibility(require=(Rule(field="body_part_examined", pattern="^(thyroid|neck)$"),))
    thyroid = make_instance(body_part_examined="THYROID", number_of_frames=10)
    assert reason(thyroid, settings=settings) is None
    assert reason(thyroid, make_instance(body_part_examined="LIVER"), settings=settings) is Reason.EXCLUDED_BY_RULE
    assert reason(make_instance(), settings=settings) is Reason.EXCLUDED_BY_RULE


def test_colour_doppler_may_be_allowed(make_instance: Any) -> None:
    assert reason(make_instance(colour_flow_region=True), settings=Eligibility(allow_colour_doppler=True)) is None


def test_the_first_reason_in_the_order_of_the_contract_is_given(make_instance: Any) -> None:
    settings = Eligibility(exclude=(Rule(field="modality", pattern="US"),))
    everything = {"number_of_frames": 1, "colour_flow_region": True, "has_pixel_data": False}
    assert reason(make_instance(**everything, modality="CT"), settings=settings) is Reason.NOT_ULTRASOUND
    assert reason(make_instance(**everything), settings=settings) is Reason.EXCLUDED_BY_RULE
    assert reason(make_instance(**everything)) is Reason.NOT_DECODABLE
    del everything["has_pixel_data"]
    assert reason(make_instance(**everything)) is Reason.TOO_FEW_FRAMES


def test_every_refusal_names_the_value_and_the_remedy(make_instance: Any) -> None:
    refused = refusal(CineSource(instances=(make_instance(number_of_frames=7),)), DEFAULT)
    assert refused is not None
    assert "7 frame(s), eligibility.min_frames is 10" in refused.text
    assert "cine clip" in refused.remedy
