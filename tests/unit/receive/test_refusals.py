"""The record of refused callers: kept over a restart, and never larger than it may be."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stact_pacs.receive.access import Caller, Refusal
from stact_pacs.receive.refusals import Refusals, read_refused
from stact_pacs.tls import PeerCertificate

START = datetime(2026, 3, 1, tzinfo=UTC)
CERTIFICATE = PeerCertificate(names=("a", "b"), sha256="ab" * 32)


def clock() -> Callable[[], datetime]:
    """A clock that goes on by a second whenever it is read."""
    readings = iter(range(10**6))
    return lambda: START + timedelta(seconds=next(readings))


def caller(title: str, address: str = "10.0.0.1") -> Caller:
    return Caller(address=address, calling_ae_title=title, called_ae_title="STACT_PACS", certificate=CERTIFICATE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "refused.json"


def test_every_refusal_of_one_caller_is_counted_with_its_first_and_last_time(file: Path) -> None:
    refusals = Refusals(file, now=clock())
    for _ in range(3):
        refusals.note(caller("CART"), Refusal.WRONG_ADDRESS)
    refusals.note(caller("CART"), Refusal.WRONG_CALLED_AE)
    refusals.close()
    first, second = read_refused(file)
    assert (first.caller, first.reason, first.count) == (caller("CART"), Refusal.WRONG_ADDRESS, 3)
    assert (first.first_at, first.last_at) == (START, START + timedelta(seconds=2))
    assert second.reason is Refusal.WRONG_CALLED_AE


def test_what_was_noted_outlives_the_process(file: Path) -> None:
    for _ in range(2):
        refusals = Refusals(file, now=clock())
        refusals.note(caller("CART"), Refusal.WRONG_ADDRESS)
        refusals.close()
    assert [refused.count for refused in read_refused(file)] == [2]


def test_the_file_follows_without_being_asked(file: Path) -> None:
    refusals = Refusals(file, now=clock())
    refusals.note(caller("CART"), Refusal.UNKNOWN_CALLING_AE)
    assert not file.exists()
    writer = refusals._writer
    assert writer is not None
    writer.join(10)
    assert [refused.caller.calling_ae_title for refused in read_refused(file)] == ["CART"]


def test_a_flood_keeps_the_record_small_and_drowns_only_itself(file: Path) -> None:
    refusals = Refusals(file, now=clock())
    refusals.note(caller("CART", "10.0.0.2"), Refusal.UNKNOWN_CALLING_AE)
    for n in range(5000):
        refusals.note(caller(f"FLOOD{n}", "192.0.2.1"), Refusal.UNKNOWN_CALLING_AE)
    refusals.close()
    titles = [refused.caller.calling_ae_title for refused in read_refused(file)]
    assert len(titles) == 100
    assert titles[0] == "CART"
    assert titles[-1] == "FLOOD4999"
    assert file.stat().st_size < 100_000


@pytest.mark.parametrize("content", [b"", b"[{}]", b"\xff", b'[{"caller": {}}]'])
def test_a_damaged_record_is_begun_anew(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refusals = Refusals(file, now=clock())
    refusals.note(caller("CART"), Refusal.WRONG_ADDRESS)
    refusals.close()
    assert [refused.count for refused in read_refused(file)] == [1]


def test_where_it_cannot_be_written_the_listener_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusals = Refusals(tmp_path / "gone" / "refused.json", now=clock())
    refusals.note(caller("CART"), Refusal.WRONG_ADDRESS)
    refusals.close()
    assert "refusals_not_written" in "".join(capsys.readouterr())
