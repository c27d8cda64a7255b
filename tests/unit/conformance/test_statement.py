"""The statement says what the tables say by which the code runs, and nothing that is secret."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydicom.sr.coding import Code

from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES, SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.conformance import Section, Statement, as_markdown, statement_of
from stact_pacs.conformance.receiving import STATUSES
from stact_pacs.deliver.cstore import RESULT_SOP_CLASSES
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.domain.results import ObjectKind
from stact_pacs.receive import status
from stact_pacs.receive.access import Refusal
from stact_pacs.report.pages import conformance_page
from stact_pacs.results import codes
from stact_pacs.settings.whole import Settings
from stact_pacs.store.history import Action

MODEL = ModelIdentity(name="made-up", version="1.0.0", sha256="5e" * 32, statement="Synthetic data only.")
PACS: dict[str, Any] = {"name": "pacs", "host": "pacs.example", "port": 104, "ae_title": "PACS"}


def statement(**sections: Any) -> Statement:
    return statement_of(Settings(**sections), MODEL)


def section(of: Statement, title: str) -> Section:
    (found,) = (each for each in of.sections if title in each.title)
    return found


def cells(of: Section) -> str:
    return "\n".join(" | ".join(row) for table in of.tables for row in table.rows)


@pytest.fixture(scope="module")
def default() -> Statement:
    return statement()


def test_every_accepted_class_is_there_in_every_syntax(default: Statement) -> None:
    rows = {(row[1], row[3]) for row in section(default, "Storage AE: presentation").tables[0].rows}
    expected = {(c, s) for c in SUPPORTED_SOP_CLASSES for s in SUPPORTED_TRANSFER_SYNTAXES}
    assert expected < rows
    assert {uid for uid, _ in rows} - set(SUPPORTED_SOP_CLASSES) == {"1.2.840.10008.1.1", "1.2.840.10008.1.20.1"}


def test_every_status_rejection_and_abort_of_the_code_is_told(default: Statement) -> None:
    """Whoever adds one has to say what it means: the tables of the statement are looked up by it."""
    known = {each for each in vars(status).values() if isinstance(each, status.Status)}
    assert {each for statuses in STATUSES.values() for each in statuses} == known
    rejections = {each for each in vars(status).values() if isinstance(each, status.Rejection)}
    aborts = {each for each in vars(status).values() if isinstance(each, status.Abort)}
    assert (set(status.REJECTIONS), set(status.ABORTS)) == (rejections, aborts)
    told = cells(section(default, "rejections, aborts and statuses"))
    assert all(str(each) in told for each in (*known, *rejections, *aborts))


def test_every_reason_to_refuse_a_caller_and_every_event_is_told(default: Statement) -> None:
    told = cells(section(default, "who may call"))
    assert all(refusal.value.replace("_", " ") in told for refusal in Refusal)
    assert all(action.value in cells(section(default, "Records and logs")) for action in Action)


@pytest.mark.parametrize("code", [0x0000, 0x0122, 0xA700, 0xA900, 0xB000, 0xC000])
def test_every_status_of_an_answer_is_in_exactly_one_range(default: Statement, code: int) -> None:
    rows = section(default, "Delivery AE: answers").tables[0].rows
    ranges = [[int(number, 16) for number in re.findall(r"0x([0-9A-F]{4})", row[0])] for row in rows]
    assert sum(span[0] <= code <= span[-1] for span in ranges) == 1
    assert sum(span[-1] - span[0] + 1 for span in ranges) == 0x10000


@pytest.mark.parametrize("kind", ObjectKind)
def test_what_every_object_must_have_is_listed_as_always_there(default: Statement, kind: ObjectKind) -> None:
    rows = {row[0].partition(" ")[0]: row for row in section(default, f"Objects written: {kind.value}").tables[0].rows}
    assert rows["SOPInstanceUID"][1] == "always"
    assert rows["PatientID"][1:] == ("always, empty where there is no value", "of the source")
    assert "private" not in str(rows)


def test_the_report_lists_its_content_items(default: Statement) -> None:
    told = cells(section(default, "Objects written: SR"))
    assert all(word in told for word in ("111047, DCM", "Image Region", "Tracking Unique Identifier"))


def test_settings_change_the_statement() -> None:
    made = statement(
        receive={"accept_any": True, "max_associations": 7, "ae_title": "OURS"},
        destinations=[{**PACS, "proof": "commitment", "objects": ["SEG"], "transfer_syntaxes": ["implicit"]}],
        results={"sr_class": "comprehensive_3d"},
    )
    text = as_markdown(made)
    assert "Every other calling AE title is accepted too." in text
    assert "| Associations at once | 7 |" in text
    assert "C-STORE PACS at pacs.example:104" in cells(section(made, "destinations"))
    proposed = section(made, "Delivery AE: presentation").tables[0].rows
    to_pacs = [row for row in proposed if row[0] == "pacs"]
    assert {row[2] for row in to_pacs if "Comprehensive SR" in row[1]} == {"Implicit VR Little Endian"}
    assert any("Storage Commitment" in row[1] for row in to_pacs)
    assert len({row[1] for row in to_pacs}) == len(RESULT_SOP_CLASSES) + 2
    assert "Comprehensive 3D SR Storage" in " ".join(section(made, "Objects written: SR").paragraphs)


def test_without_tls_the_statement_does_not_claim_it(default: Statement) -> None:
    assert "no TLS" in cells(section(default, "Secure transport"))


def test_no_secret_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "CANARY-token"
    secret.write_text("CANARY-SECRET")
    secret.chmod(0o600)
    web = {"name": "web", "url": "https://pacs.example/dicom-web", "token_file": secret}
    made = statement(destinations=[web], database={"url": "postgresql+psycopg://u:CANARY-PASSWORD@db/x"})
    text = as_markdown(made) + conformance_page(made)
    assert "bearer token" in text
    assert "CANARY" not in text


def test_the_integration_statement_does_not_claim_what_was_not_checked(default: Statement) -> None:
    rows = section(default, "Integration statement").tables[0].rows
    assert {row[2] for row in rows} >= {"met", "partly met", "not met"}
    known = {row[0]: row[4] for row in rows}
    assert all("not checked" in known[name] for name in ("AIR 9", "AIR 12", "AIR 13", "AIW-I 4", "AIW-I 5", "AIW-I 6"))
    assert {row[2] for row in rows if row[0].startswith("AIW-I")} == {"not met", "optional, not used"}


def test_work_items_are_claimed_to_be_done_only_where_a_workitem_server_is_configured() -> None:
    made = statement(receive={"ups": {"url": "https://pacs.example/dicom-web"}})
    rows = section(made, "Integration statement").tables[0].rows
    assert {row[2] for row in rows if row[0].startswith("AIW-I")} == {"met", "partly met", "optional, not used"}
    services = section(made, "Network services").tables[0].rows
    assert [row[3] for row in services if "UPS-RS" in row[0]] == ["yes"]


@pytest.mark.parametrize(("objects", "verdict"), [(["SC"], "partly met"), (["SEG", "SR", "SC"], "met")])
def test_a_destination_of_pictures_alone_is_not_what_the_profile_asks(objects: list[str], verdict: str) -> None:
    made = section(statement(destinations=[{**PACS, "objects": objects}]), "Integration statement")
    (row,) = (row for row in made.tables[0].rows if row[0] == "AIR 10")
    assert row[2] == verdict


def test_every_code_of_ours_is_told(default: Statement) -> None:
    """Those that it takes from its sources are theirs; ours are all standard."""
    told = {(row[0], row[1]) for row in section(default, "Coded terms").tables[0].rows}
    ours = {(code.value, code.scheme_designator) for code in vars(codes).values() if isinstance(code, Code)}
    assert ours - told == set()
    assert {scheme for _value, scheme in told} <= {"DCM", "SCT", "UCUM", "RFC5646"}


def test_hostile_settings_stay_text() -> None:
    made = statement(receive={"calling_ae_titles": ["A|B<script>"]})
    assert "<script>" not in conformance_page(made) + as_markdown(made)
    assert "A\\|B&lt;script>" in as_markdown(made)


def test_the_page_is_one_file_with_a_place_for_every_section(default: Statement) -> None:
    page = conformance_page(default)
    assert all(f'id="s{each.number}"' in page and f'href="#s{each.number}"' in page for each in default.sections)
    assert "http://" not in page
    assert "default-src 'none'" in page
