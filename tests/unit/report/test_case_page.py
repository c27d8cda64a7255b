import dataclasses
from pathlib import Path
from unicodedata import category

import html5lib
import pytest

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.results import Attachment
from stact_pacs.report.pages import case_page

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def parsed(page):
    return html5lib.parse(page, treebuilder="etree")


def text_of(page):
    """The words that a reader sees, with single spaces."""
    body = parsed(page).find(f"{NAMESPACE}body")
    return " ".join("".join(body.itertext()).split())


def test_the_page_gives_probability_spread_threshold_and_sizes(a_case):
    text = text_of(case_page(a_case()))
    assert "83.1 % probability of malignancy" in text
    assert "± 3.1 points between 5 members of the ensemble (79.0 % to 87.7 %)" in text
    assert "At or above the threshold “rule-out” (12.0 %)" in text
    assert "Long axis 14.2 mm" in text
    assert "Seen in frames 22 to 59" in text


def test_a_nodule_below_the_threshold_is_said_to_be_below(a_case, a_record, a_nodule):
    below = a_nodule(probability=0.05, operating_point={"name": "rule-out", "threshold": 0.12, "positive": False})
    assert "Below the threshold" in text_of(case_page(a_case(record=a_record(nodules=[below]))))


def test_an_uncalibrated_nodule_has_no_millimetres(a_case, a_record, a_nodule):
    nodule = a_nodule(long_axis_mm=None, short_axis_mm=None)
    text = text_of(case_page(a_case(record=a_record(nodules=[nodule], calibrated=False))))
    assert "Long axis uncalibrated" in text
    assert " mm" not in text


def test_every_page_says_that_nobody_confirmed_it_and_what_the_model_is_not_for(a_case):
    text = text_of(case_page(a_case()))
    assert text.startswith("Unverified. Computed automatically, not confirmed by a person, not for diagnosis.")
    assert "Trained on synthetic phantoms only: not for clinical use." in text


def test_the_page_holds_what_came_the_model_the_objects_and_the_deliveries(a_case):
    text = text_of(case_page(a_case()))
    for fact in ("5f" * 32, "c4" * 32, "US_ROOM_2", "43.2 MB", "640 × 480", "2.25.111", "2.25.222", "Success (0x0000)"):
        assert fact in text


def test_every_event_is_listed_with_its_time_and_its_distance_from_the_first(a_case):
    case = a_case()
    text = text_of(case_page(case))
    assert all(event.detail in text and event.action in text for event in case.events)
    assert "2026-11-23 14:07:31 UTC + 1 min 0 s No instance came" in text


def test_a_clock_that_was_set_back_shows_as_a_minus(a_case, an_event):
    assert "− 2.0 s" in text_of(case_page(a_case(events=(an_event(0), an_event(-2)))))


def test_no_nodule_is_not_sold_as_good_news(a_case, a_record):
    record = a_record(outcome="no_nodule", nodules=[])
    text = text_of(case_page(a_case(record=record)))
    assert "No nodule found The model outlined no nodule in 90 frames. That does not show that there is none." in text
    assert "probability of malignancy" not in text


def test_a_refusal_gives_its_reason_with_the_remedy(a_case, a_record):
    record = a_record(
        outcome="not_scored", nodules=[], reason="too_few_frames", reason_text="2 frames. Remedy: send a sweep."
    )
    text = text_of(case_page(a_case(record=record, state=JobState.NOT_SCORED)))
    assert "Not scored: too few frames 2 frames. Remedy: send a sweep." in text
    assert "Calibrated" not in text  # it was not read


def test_a_failed_job_shows_its_last_event_and_calls_for_a_person(a_case, an_event):
    events = (an_event(0), an_event(9, "job_failed", "The worker was killed. Remedy: look at its log."))
    text = text_of(case_page(a_case(record=None, state=JobState.FAILED, attachments=(), deliveries=(), events=events)))
    assert "Failed: a person must look The worker was killed. Remedy: look at its log." in text


def test_a_dead_letter_is_an_alert_on_a_scored_case(a_case, a_delivery):
    dead = a_delivery(state=DeliveryState.FAILED, detail="0x0122: SOP class not supported.")
    text = text_of(case_page(a_case(state=JobState.FAILED, deliveries=(dead,))))
    assert "A person must look. The SR could not be delivered to pacs-main: 0x0122" in text
    assert "83.1 %" in text


@pytest.mark.parametrize("state", [*JobState, None])
def test_a_case_in_any_state_has_a_page_with_and_without_a_result(a_case, a_record, state):
    for record in (None, a_record(nodules=[])):
        assert "<h1>" in case_page(a_case(state=state, record=record, events=(), deliveries=()))


def test_a_case_without_a_database_says_why_it_has_no_history(a_case):
    text = text_of(case_page(a_case(id=None, state=None, events=(), deliveries=())))
    assert "Nothing is on record: the case was processed without a database." in text


def test_a_record_of_before_the_additions_still_has_a_page(a_case, a_record, a_nodule):
    nodule, record = a_nodule(), a_record()
    for later in ("member_probabilities", "stack_first_frames"):
        del nodule[later]
    for later in ("reason_text", "frames", "frame_time_ms", "calibrated"):
        del record[later]
    text = text_of(case_page(a_case(record=record | {"nodules": [nodule]})))
    assert "± 3.1 points between the members of the ensemble" in text


def test_no_patient_attribute_reaches_the_page(a_case):
    assert "DOE" not in case_page(a_case())


def test_the_pictures_lie_inside_the_page(a_case):
    images = list(parsed(case_page(a_case())).iter(f"{NAMESPACE}img"))
    assert len(images) == 5
    assert all(image.get("src").startswith("data:image/png;base64,") and image.get("alt") for image in images)


def test_an_attachment_that_is_no_png_is_not_shown(a_case):
    svg = Attachment(name="nodule-1.png", media_type="image/png", content=b"<svg onload='alert(1)'>")
    page = case_page(a_case(attachments=(svg,)))
    assert not list(parsed(page).iter(f"{NAMESPACE}img"))
    assert "No picture of the key frame was stored." in page


def test_a_long_list_of_instances_is_on_the_page_in_full(a_case, an_instance):
    instances = tuple(an_instance(sop_instance_uid=f"1.2.3.{number}") for number in range(1, 91))
    text = text_of(case_page(a_case(instances=instances)))
    assert "90 rows" in text
    assert all(f"1.2.3.{number} " in text for number in range(1, 91))


def test_the_same_case_gives_the_same_page(a_case):
    assert case_page(a_case()) == case_page(a_case())


def test_the_page_is_valid_html_and_its_identifiers_are_unique(a_case, a_record, a_nodule):
    page = case_page(a_case(record=a_record(nodules=[a_nodule(), a_nodule()])))
    html5lib.HTMLParser(strict=True).parse(page)
    identifiers = [element.get("id") for element in parsed(page).iter() if element.get("id")]
    assert len(identifiers) == len(set(identifiers))


def test_the_page_allows_nothing_to_run_or_load(a_case):
    tree = parsed(case_page(a_case()))
    policy = [meta.get("content") for meta in tree.iter(f"{NAMESPACE}meta") if meta.get("http-equiv")]
    assert policy == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background: url(//evil.example/x)",
    "</style><script>alert(1)</script>",
    "</svg><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "$\\frac{1}{2}$ \x00\x1b[2J\u202e",
)


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_in_every_field_stays_text(a_case, a_record, a_nodule, a_delivery, an_event, an_instance, payload):
    page = case_page(hostile_case(payload, a_case, a_record, a_nodule, a_delivery, an_event, an_instance))
    for element in parsed(page).iter():
        tag = str(element.tag).rpartition("}")[2]
        assert tag not in {"script", "iframe", "object", "embed", "form", "base"}
        assert not [name for name in element.attrib if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert element.get(name, "#").startswith(("#", "data:"))
        assert "evil.example" not in element.get("style", "")
        assert tag != "style" or "<" not in (element.text or "")
    assert as_seen(payload) in text_of(page)


def as_seen(payload):
    return " ".join("".join("\ufffd" if category(character)[0] == "C" else character for character in payload).split())


def hostile_case(payload, a_case, a_record, a_nodule, a_delivery, an_event, an_instance):
    nodule = a_nodule(tracking_uid=payload, operating_point={"name": payload, "threshold": 0.5, "positive": True})
    record = a_record(
        nodules=[nodule],
        reason_text=payload,
        model={"name": payload, "version": payload, "sha256": payload, "statement": payload},
        objects=[{"kind": payload, "sop_instance_uid": payload, "file": payload}],
        timings_ms={payload: 1.0},
        warnings=[payload],
    )
    instance = an_instance(sop_instance_uid=payload, sha256=payload, calling_ae=payload, path=Path("x"))
    instance = dataclasses.replace(
        instance, series=dataclasses.replace(instance.series, study_instance_uid=payload, series_instance_uid=payload)
    )
    return a_case(
        job_key=payload,
        record=record,
        instances=(instance,),
        deliveries=(a_delivery(destination=payload, detail=payload, state=DeliveryState.FAILED),),
        events=(an_event(action=payload, detail=payload),),
    )
