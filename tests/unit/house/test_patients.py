"""A patient is found again by digests, and nothing but the same patient is found."""

import dataclasses
import hashlib
import stat
import threading
from pathlib import Path

import pytest

from stact_pacs.domain.results import PatientIdentity
from stact_pacs.errors import Misconfigured
from stact_pacs.patients import PatientDigester, patient_key

JANE = PatientIdentity(patient_id="4711", issuers=("HOSPITAL", ""), birth_date="19600229")
DIGESTER = PatientDigester(b"k" * 32)


def digests(**changes):
    return DIGESTER.digests(dataclasses.replace(JANE, **changes))


def test_the_same_patient_has_the_same_digests() -> None:
    assert digests() == digests()
    assert len(digests().patient_id) == len(digests().patient) == 64


@pytest.mark.parametrize(
    "other",
    [
        {"patient_id": "47110"},
        {"patient_id": "04711"},
        {"patient_id": "4711 A"},
        {"issuers": ("OTHER HOSPITAL", "")},
        {"issuers": ("", "")},
        {"issuers": ("HOSPITAL", "1.2.3")},
        {"issuers": ("", "HOSPITAL")},
    ],
)
def test_an_id_that_is_only_similar_or_of_another_issuer_is_another_patient(other: dict) -> None:
    assert digests(**other).patient_id != digests().patient_id
    assert digests(**other).patient != digests().patient


def test_no_two_ways_of_writing_id_and_issuer_flow_into_one() -> None:
    assert digests(patient_id="4711HOSPITAL", issuers=("", "")).patient_id != digests().patient_id


def test_another_birth_date_is_the_same_id_and_another_patient() -> None:
    other = digests(birth_date="19600301")
    assert other.patient_id == digests().patient_id
    assert other.patient != digests().patient


def test_without_a_birth_date_the_patient_is_not_certain() -> None:
    assert digests(birth_date="").patient is None
    assert digests(birth_date="").patient_id == digests().patient_id


def test_without_a_patient_id_there_is_nobody_to_find() -> None:
    assert digests(patient_id="") is None


def test_without_the_key_nobody_can_try_ids() -> None:
    assert PatientDigester(b"l" * 32).digests(JANE) != digests()
    for words in ("4711", "4711HOSPITAL", '["patient id", "4711", "HOSPITAL", ""]'):
        assert hashlib.sha256(words.encode()).hexdigest() != digests().patient_id


def test_an_identity_shows_nothing_of_the_patient_when_it_is_printed() -> None:
    assert not any(word in repr(JANE) for word in ("4711", "HOSPITAL", "1960"))


# -- the key


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "patient.key"
    key = patient_key(file)
    assert len(key) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert patient_key(file) == key
    assert [path.name for path in tmp_path.iterdir()] == ["patient.key"]


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(patient_key(tmp_path / "patient.key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "patient.key"
    patient_key(file)
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="Others may read"):
        patient_key(file)


@pytest.mark.parametrize("content", ["", "not hexadecimal", "abcd"])
def test_a_file_without_a_key_is_refused_and_not_written_over(tmp_path: Path, content: str) -> None:
    file = tmp_path / "patient.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(Misconfigured, match="holds no key"):
        patient_key(file)
    assert file.read_text() == content


def test_a_folder_that_is_not_there_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="patient_key_file"):
        patient_key(tmp_path / "missing" / "patient.key")
