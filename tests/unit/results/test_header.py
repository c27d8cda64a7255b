"""The source header: whatever comes in, what goes out is valid, complete, and the same patient."""

import dataclasses
import warnings
from datetime import date
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_charset_files
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from structlog.testing import capture_logs

from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect, Transient
from stact_pacs.results.header import read_source_header
from tests.unit.results.builders_results import (
    NOT_SCORED,
    built,
    cine_of,
    dataset_of,
    findings_of,
    source_of,
    written,
)
from tests.unit.results.judges import dciodvfy

CHARSET_FILES = sorted(Path(path) for path in get_charset_files("chr*.dcm"))
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip


def altered(source: CineSource, **elements: bytes | None) -> CineSource:
    """Write raw bytes, valid or not, into the file of a one-instance source; None removes the element."""
    path = source.instances[0].path
    dataset = dcmread(path)
    for keyword, value in elements.items():
        tag = Tag(keyword)
        if tag in dataset:
            del dataset[tag]
        if value is not None:
            dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns about what the test wants to write
        charset = dataset._character_set
        dataset.set_original_encoding(False, True, charset)  # or it would decode and encode the bytes
        dataset.save_as(path)
    return source_of(path)


def identity_of(source: CineSource, **elements: bytes | None) -> Dataset:
    return read_source_header(altered(source, **elements)).identity


@pytest.mark.parametrize("keyword", ["PatientName", "ReferringPhysicianName"])
@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: path.stem)
def test_a_name_in_any_character_set_comes_out_in_utf_8(two_frames: CineSource, path: Path, keyword: str) -> None:
    raw_name, terms, name = foreign_name(path)
    source = altered(two_frames, SpecificCharacterSet=terms, **{keyword: raw_name})
    outputs = tuple(kind.value for kind in ObjectKind)
    objects = built(source, cine_of(source), findings_of(cine_of(source)), outputs=outputs)
    assert set(objects) == set(ObjectKind)
    for result in objects.values():
        dataset = dataset_of(result)
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert str(dataset[keyword].value) == name


def foreign_name(path: Path) -> tuple[bytes, bytes, str]:
    """Return the patient's name of a file of pydicom's, its character sets, both as they lie, and the name as text."""
    dataset = dcmread(path)
    terms = dataset.SpecificCharacterSet
    if "PatientName" not in dataset:
        dataset = dataset.RequestedProcedureCodeSequence[0]
        terms = dataset.get("SpecificCharacterSet", terms)
    raw_name = dataset.get_item("PatientName").value
    terms = terms if isinstance(terms, str) else "\\".join(terms)
    return raw_name, terms.encode(), str(dataset.PatientName).rstrip("=")


def test_there_are_thirty_names_and_more_to_try() -> None:
    assert len(CHARSET_FILES) * 2 >= 30


def test_absent_attributes_of_type_2_are_written_empty(two_frames: CineSource, tmp_path: Path) -> None:
    source = altered(two_frames, **dict.fromkeys(TYPE_2), SpecificCharacterSet=None, StudyDescription=None)
    objects = built(source, cine_of(source), findings_of(cine_of(source)))
    assert dciodvfy(*written(tmp_path, objects).values()) == []
    for result in objects.values():
        assert all(str(dataset_of(result)[keyword].value or "") == "" for keyword in TYPE_2)


def test_values_that_break_their_representation_do_not_reach_the_results(
    two_frames: CineSource, tmp_path: Path
) -> None:
    source = altered(
        two_frames,
        PatientName=b"Sur\x07name^A^B^C^D^E^F" + b"y" * 90,
        PatientID=b"12\\34",
        PatientBirthDate=b"about 1950",
        PatientSex=b"X",
        StudyDate=b"2024.02.30",
        StudyTime=b"25:61",
        StudyID=b"12345678901234567",
        AccessionNumber=b"A" * 20,
        StudyDescription=b"Neck\r\n\\left " + b"z" * 90,
        FrameOfReferenceUID=b"not.a.uid",
        TimezoneOffsetFromUTC=b"Europe",
        LossyImageCompression=b"01",
        LossyImageCompressionRatio=b"ten",
        LossyImageCompressionMethod=b"none at all",
        SeriesNumber=b"one",
        SpecificCharacterSet=b"KLINGON",
    )
    for findings in (findings_of(cine_of(source)), NOT_SCORED):
        assert dciodvfy(*written(tmp_path, built(source, cine_of(source), findings)).values()) == []


def test_an_identifier_is_kept_whole_or_not_at_all(two_frames: CineSource) -> None:
    identity = identity_of(two_frames, AccessionNumber=b"12345678901234567890", PatientID=b"PAT-7")
    assert (identity.AccessionNumber, identity.PatientID) == ("", "PAT-7")


def test_old_forms_of_dates_and_times_are_understood(two_frames: CineSource) -> None:
    identity = identity_of(two_frames, StudyDate=b"2024.02.29", StudyTime=b"10:15:30")
    assert (identity.StudyDate, identity.StudyTime) == ("20240229", "101530")


def test_characters_that_hide_or_turn_text_are_stripped(two_frames: CineSource) -> None:
    hostile = "Doe\u202e^J\x00ane\u2066".encode()
    identity = identity_of(two_frames, PatientName=hostile, SpecificCharacterSet=b"ISO_IR 192")
    assert str(identity.PatientName) == "Doe^Jane"


def test_a_value_left_out_is_logged_by_its_name_and_never_by_its_content(two_frames: CineSource) -> None:
    with capture_logs() as lines:
        identity_of(two_frames, AccessionNumber=b"SECRET-ACCESSION-0001")
    assert [line["kind"] for line in lines if line["action"] == "header_value_left_out"] == ["AccessionNumber"]
    assert "SECRET" not in str(lines)


def test_the_procedure_of_the_study_is_reported(two_frames: CineSource) -> None:
    path = two_frames.instances[0].path
    dataset = dcmread(path)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "US-NECK", "99HOSPITAL", "Ultrasound of the neck"
    dataset.ProcedureCodeSequence = [Dataset(), code]
    dataset.save_as(path)
    (procedure,) = read_source_header(source_of(path)).procedure_codes
    assert tuple(procedure)[:3] == ("US-NECK", "99HOSPITAL", "Ultrasound of the neck")


def test_the_source_s_study_is_that_of_the_admitted_instance(two_frames: CineSource) -> None:
    assert read_source_header(two_frames).identity.StudyInstanceUID == two_frames.series.study_instance_uid


def test_a_file_that_is_gone_is_tried_again(two_frames: CineSource, tmp_path: Path) -> None:
    gone = dataclasses.replace(two_frames.instances[0], path=tmp_path / "gone.dcm")
    with pytest.raises(Transient):
        read_source_header(CineSource(instances=(gone,)))


def test_a_file_that_was_overwritten_is_a_defect(two_frames: CineSource) -> None:
    two_frames.instances[0].path.write_bytes(b"\x00" * 500)
    with pytest.raises(Defect):
        read_source_header(two_frames)


def test_nothing_but_the_listed_attributes_is_copied(two_frames: CineSource) -> None:
    source = altered(
        two_frames, PatientAddress=b"1 Secret Street", OtherPatientIDs=b"SECRET-2", ImageComments=b"SECRET-3"
    )
    objects = built(source, cine_of(source), findings_of(cine_of(source)))
    assert all(b"SECRET" not in result.content.upper() for result in objects.values())
    assert ObjectKind.SEG in objects


# -- by what a patient is found again


def test_a_patient_is_recognised_by_id_issuer_and_birth_date(two_frames: CineSource) -> None:
    source = altered(
        two_frames, PatientID=b" 4711 ", IssuerOfPatientID=b"HOSPITAL", PatientBirthDate=b"1960.02.29", StudyDate=b""
    )
    patient = read_source_header(source).patient
    assert (patient.patient_id, patient.issuers, patient.birth_date) == ("4711", ("HOSPITAL", ""), "19600229")
    assert read_source_header(source).study_date is None


def test_the_universal_id_of_the_issuer_is_part_of_the_identity(two_frames: CineSource) -> None:
    path = two_frames.instances[0].path
    dataset = dcmread(path)
    qualifier = Dataset()
    qualifier.UniversalEntityID, qualifier.UniversalEntityIDType = "1.2.3.4", "ISO"
    dataset.IssuerOfPatientIDQualifiersSequence = [qualifier]
    dataset.save_as(path)
    assert read_source_header(source_of(path)).patient.issuers == ("", "1.2.3.4")


def test_an_id_that_is_too_long_recognises_nobody(two_frames: CineSource) -> None:
    assert read_source_header(altered(two_frames, PatientID=b"7" * 66)).patient.patient_id == ""


def test_the_study_date_is_a_date(two_frames: CineSource) -> None:
    assert read_source_header(altered(two_frames, StudyDate=b"20240229")).study_date == date(2024, 2, 29)
    assert read_source_header(altered(two_frames, StudyDate=b"20230229")).study_date is None
