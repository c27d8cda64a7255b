"""Destinations in the settings file: which kind an entry is, and what files it names."""

from pathlib import Path

import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.peers import peer_of
from stact_pacs.settings.delivering import Destination, WebDestination
from stact_pacs.settings.loading import build

DICOM = {"name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
WEB = {"name": "web", "url": "https://pacs.example.org/dicom-web", "token_file": "token"}


def test_the_entry_with_a_url_is_a_dicomweb_service_and_its_files_count_from_the_settings(tmp_path: Path) -> None:
    secured = DICOM | {"tls": {"ca_file": "ca.pem"}}
    pacs, web = build({"destinations": [secured, WEB]}, base=tmp_path).destinations
    assert isinstance(pacs, Destination)
    assert isinstance(web, WebDestination)
    assert web.token_file == tmp_path / "token"
    assert pacs.tls is not None
    assert pacs.tls.ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (DICOM | {"url": "https://pacs.example.org"}, "host"),
        (WEB | {"proof": "commitment"}, "proof"),
        (WEB | {"transfer_syntaxes": ["implicit"]}, "transfer_syntaxes"),
        (DICOM | {"transfer_syntaxes": []}, "transfer_syntaxes"),
        (DICOM | {"token_file": "token"}, "token_file"),
    ],
)
def test_what_belongs_to_the_other_kind_is_an_error_that_names_it(
    entry: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=words):
        build({"destinations": [entry]}, base=tmp_path)


def test_a_dicomweb_service_cannot_be_asked_by_c_echo(tmp_path: Path) -> None:
    destinations = build({"destinations": [DICOM, WEB]}, base=tmp_path).destinations
    assert peer_of("pacs", destinations).port == 104
    with pytest.raises(Misconfigured, match="DICOMweb service"):
        peer_of("web", destinations)
