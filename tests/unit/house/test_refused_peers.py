"""The setting that is printed for a refused sender lets it in, when it is pasted into the settings file."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stact_pacs.cli import app
from stact_pacs.receive.access import AllowList, Caller, Refusal
from stact_pacs.receive.folders import Folders
from stact_pacs.receive.refusals import Refusals
from stact_pacs.settings.loading import load
from stact_pacs.settings.receiving import Receive
from stact_pacs.tls import PeerCertificate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CERTIFICATE = PeerCertificate(names=("cart.example",), sha256="ab" * 32)
SETTINGS = """\
[receive]
calling_ae_titles = ["PACS"]
[receive.tls]
certificate_file = "c.pem"
key_file = "k.pem"
ca_file = "ca.pem"
require_client_certificate = false
"""
CART = '[[receive.peers]]\nae_title = "CART"\naddresses = ["10.0.0.1"]\n'


def caller(title: str, address: str = "10.0.0.9", called: str = "STACT_PACS", *, proved: bool = False) -> Caller:
    certificate = CERTIFICATE if proved else None
    return Caller(calling_ae_title=title, called_ae_title=called, address=address, certificate=certificate)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "stact-pacs.toml"
    file.write_text(SETTINGS + CART, encoding="utf-8")
    return file


def refuse(file: Path, *callers: Caller) -> None:
    """Let a listener with these settings refuse the callers."""
    settings = load(file)
    folders = Folders(settings.inbox_dir)
    folders.create()
    refusals = Refusals(folders.refused, now=lambda: NOW)
    for one in callers:
        reason = AllowList(settings.receive).refusal_of(one)
        assert reason is not None
        refusals.note(one, reason)
    refusals.close()


def type_it(file: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["--config", str(file), "peers", "refused", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def entries_printed(file: Path) -> str:
    """Return the entries out of what the command prints."""
    printed = type_it(file)
    return printed[printed.index("#") :]


def receive_of(file: Path, toml: str) -> Receive:
    file.write_text(toml, encoding="utf-8")
    return load(file).receive


def test_strangers_are_let_in_by_pasting_what_is_printed(file: Path) -> None:
    strangers = caller("EPIQ_1"), caller("EPIQ_1", "10.0.0.8"), caller('A"B', called="OTHER"), caller("X", proved=True)
    refuse(file, *strangers)
    receive = receive_of(file, SETTINGS + CART + entries_printed(file))
    assert [AllowList(receive).refusal_of(one) for one in strangers] == [None] * 4
    assert AllowList(receive).refusal_of(caller("EPIQ_1", "10.0.0.7")) is Refusal.WRONG_ADDRESS


def test_the_entry_of_a_known_peer_is_printed_whole_to_be_replaced(file: Path) -> None:
    refuse(file, caller("CART"))
    assert "in place of the one for CART" in type_it(file)
    receive = receive_of(file, SETTINGS + entries_printed(file))
    assert AllowList(receive).refusal_of(caller("CART")) is None
    assert AllowList(receive).refusal_of(caller("CART", "10.0.0.1")) is None


def test_a_title_of_the_short_list_has_to_leave_it(file: Path) -> None:
    refuse(file, caller("PACS", called="OLD_NAME"))
    assert "take PACS out of receive.calling_ae_titles" in type_it(file)
    receive = receive_of(file, SETTINGS.replace('"PACS"', "") + CART + entries_printed(file))
    assert AllowList(receive).refusal_of(caller("PACS", called="OLD_NAME")) is None


def test_who_is_admitted_by_now_needs_nothing(file: Path) -> None:
    refuse(file, caller("NEW"))
    file.write_text(SETTINGS.replace('"PACS"', '"NEW"'), encoding="utf-8")
    assert "None is needed" in type_it(file)
    assert "[[receive.peers]]" not in type_it(file)


def test_failed_handshakes_come_with_their_remedy(file: Path) -> None:
    folders = Folders(load(file).inbox_dir)
    folders.create()
    refusals = Refusals(folders.refused, now=lambda: NOW)
    refusals.note(Caller(address="10.0.0.1"), Refusal.TLS_FAILED, "It has ended. Remedy: Renew it.")
    refusals.close()
    [row] = json.loads(type_it(file, "--json"))
    assert (row["remedy"], row["setting"], row["address"]) == ("It has ended. Remedy: Renew it.", "", "10.0.0.1")


def test_nobody_refused_is_said_so(file: Path) -> None:
    assert re.search("Nobody was refused", type_it(file))
