"""Profiles: the same result, written in the ways that different destinations need."""

import pytest
from pydantic import ValidationError

from stact_pacs import app as application
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind, ObjectVariant, PredecessorObjects
from stact_pacs.domain.series import CineSource
from stact_pacs.settings.delivering import Destination, Profile, Results
from stact_pacs.settings.whole import Settings
from tests.unit.results.builders_results import built, cine_of, dataset_of, findings_of

SEG, SR = ObjectKind.SEG, ObjectKind.SR
STRICT = Profile(name="strict", seg_geometry="strict")
PACS = {"name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}


def in_profile(source: CineSource, profile: str, **given):
    cine = cine_of(source)
    wanted = [ObjectVariant(kind=kind, profile=profile) for kind in (SEG, SR)]
    return built(source, cine, findings_of(cine), wanted=wanted, profiles=(STRICT,), job_key="k", **given)


def test_a_profile_changes_what_it_says_and_takes_the_rest_from_the_section() -> None:
    results = Results(sr_class="comprehensive_3d", profiles=(STRICT,)).in_profile("strict")
    assert (results.seg_geometry, results.sr_class) == ("strict", "comprehensive_3d")
    assert Results(seg_geometry="strict", profiles=(Profile(name="same"),)).in_profile("same").seg_geometry == "strict"


def test_every_profile_has_instances_and_series_of_its_own(two_frames: CineSource) -> None:
    plain, strict = in_profile(two_frames, ""), in_profile(two_frames, "strict")
    assert plain[SEG].sop_instance_uid == derived_uid("k", "SEG")
    uids = [
        uid for made in (plain, strict) for r in made.values() for uid in (r.sop_instance_uid, r.series_instance_uid)
    ]
    assert len(set(uids)) == 8


def test_the_report_refers_to_the_segmentation_of_its_own_profile(two_frames: CineSource) -> None:
    objects = in_profile(two_frames, "strict")
    assert objects[SEG].sop_instance_uid.encode() in objects[SR].content
    assert "PixelMeasuresSequence" not in dataset_of(objects[SEG]).SharedFunctionalGroupsSequence[0]


def test_a_report_replaces_the_one_in_its_own_profile(two_frames: CineSource) -> None:
    before = PredecessorObjects(
        sr_sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33", sr_sop_instance_uid="2.25.1", sr_series_instance_uid="2.25.2"
    )
    strict = dataset_of(in_profile(two_frames, "strict", predecessors={"strict": before})[SR])
    plain = dataset_of(in_profile(two_frames, "", predecessors={"strict": before})[SR])
    assert "PredecessorDocumentsSequence" in strict
    assert "PredecessorDocumentsSequence" not in plain


def test_what_some_destination_asks_for_is_made_besides_what_is_made_in_any_case() -> None:
    settings = Settings(
        results=Results(outputs=("SR",), profiles=(STRICT,)),
        destinations=(Destination(**PACS, objects=("SEG", "KOS"), profile="strict"),),
    )
    wanted = application.build(settings).wanted_objects
    assert wanted == {
        ObjectVariant(kind=SR),
        ObjectVariant(kind=SEG, profile="strict"),
        ObjectVariant(kind=ObjectKind.KOS, profile="strict"),
    }


def test_a_destination_that_names_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValidationError, match="names a profile that there is not"):
        Settings(destinations=(Destination(**PACS, profile="none"),))


def test_two_profiles_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two profiles have the same name"):
        Results(profiles=(STRICT, STRICT))


def test_a_profile_is_in_the_name_of_the_file(two_frames: CineSource) -> None:
    assert in_profile(two_frames, "strict")[SEG].file_name == "seg-strict.dcm"
    assert in_profile(two_frames, "")[SR].file_name == "sr.dcm"
