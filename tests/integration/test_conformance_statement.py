"""What the statement says of the listener is what the listener does, and the command writes it."""

import json
from pathlib import Path

import pytest
from pynetdicom import AE, build_context
from typer.testing import CliRunner

from stact_pacs.cli import app
from stact_pacs.conformance import Statement, statement_of
from stact_pacs.conformance.objects import attributes_of, content_items_of
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.domain.results import ObjectKind
from stact_pacs.settings.whole import Settings
from tests.integration.receiving import receiver
from tests.integration.result_cases import KINDS, make_case
from tests.unit.results.builders_results import dataset_of

MODEL = ModelIdentity(name="made-up", version="1.0.0", sha256="5e" * 32, statement="Synthetic data only.")
CT = "1.2.840.10008.5.1.4.1.1.2"
VIDEO = "1.2.840.10008.1.2.4.102"


def accepted(port: int, pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
    ae = AE(ae_title="SCU")
    found: set[tuple[str, str]] = set()
    for start in range(0, len(pairs), 128):
        contexts = [build_context(abstract, syntax) for abstract, syntax in pairs[start : start + 128]]
        association = ae.associate("127.0.0.1", port, contexts=contexts, ae_title="STACT_PACS")
        assert association.is_established
        found |= {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
        association.release()
    return found


def test_the_listener_accepts_exactly_what_the_statement_lists(tmp_path: Path) -> None:
    (section,) = (each for each in statement_of(Settings(), MODEL).sections if each.number == "4.2")
    listed = [(row[1], row[3]) for row in section.tables[0].rows]
    others = [(CT, listed[0][1]), (listed[-1][0], VIDEO)]
    with receiver(tmp_path) as service:
        assert accepted(service.port, [*listed, *others]) == set(listed)


@pytest.fixture(scope="module")
def told() -> Statement:
    return statement_of(Settings(), MODEL)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_of_real_ultrasound_is_what_the_statement_lists(
    told: Statement, name: str, tmp_path: Path
) -> None:
    for kind, result in make_case(name, tmp_path).objects.items():
        dataset = dataset_of(result)
        listed = {row[0]: row[1] for row in rows_of(told, kind, 0)}
        assert_listed(set(attributes_of(dataset)), listed)
        if kind in (ObjectKind.SR, ObjectKind.KOS):
            assert_listed(set(content_items_of(dataset)), {row[:4]: row[4] for row in rows_of(told, kind, 1)})


def rows_of(statement: Statement, kind: ObjectKind, table: int) -> tuple[tuple[str, ...], ...]:
    (section,) = (each for each in statement.sections if each.title == f"Objects written: {kind.value}")
    return section.tables[table].rows


def assert_listed(written: set, listed: dict) -> None:
    assert written - set(listed) == set()
    assert {name for name, presence in listed.items() if presence.startswith("always")} - written == set()


def test_the_command_writes_all_three_forms(tmp_path: Path) -> None:
    settings = tmp_path / "stact-pacs.toml"
    settings.write_text('[receive]\nae_title = "OURS"\n')

    def run(*options: str) -> str:
        result = CliRunner().invoke(app, ["--config", str(settings), "conformance", *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "| Storage AE | OURS |" in run("--format", "markdown")
    assert {each["number"] for each in json.loads(run("--json"))["sections"]} >= {"1", "4.2", "7"}
    run("--out", str(tmp_path / "statement.html"))
    assert "<h1>DICOM Conformance Statement</h1>" in (tmp_path / "statement.html").read_text()


CONFIGURED = """
[receive]
ae_title = "OURS"
calling_ae_titles = ["SCANNER"]
[[receive.peers]]
ae_title = "ARCHIVE"
commitment_host = "archive.example"
commitment_port = 1104
[receive.tls]
certificate_file = "our.pem"
key_file = "our.key"
ca_file = "ca.pem"
[[destinations]]
name = "archive"
host = "archive.example"
port = 104
ae_title = "ARCHIVE"
proof = "commitment"
[[destinations]]
name = "web"
url = "https://pacs.example/dicom-web"
proof = "query"
"""


def test_a_configured_installation_is_told_as_it_is(tmp_path: Path) -> None:
    settings = tmp_path / "stact-pacs.toml"
    settings.write_text(CONFIGURED)
    result = CliRunner().invoke(app, ["--config", str(settings), "conformance", "--format", "markdown"])
    assert result.exit_code == 0, result.output
    told = result.stdout
    assert "| ARCHIVE | any | none asked for | OURS | archive.example:1104 |" in told
    assert "| Storage commitment of those images | SCP | 1 SOP class | yes |" in told
    assert "| Query over the web (QIDO-RS) | user agent | instances | yes |" in told
    assert "| SCANNER | any | none asked for | OURS | no |" in told
    assert "a certificate of the sender is required" in told
    assert "our.key" not in told
