"""No patient leaves by the log."""

import json
import socket
import subprocess
import sys

import pytest
import structlog

from stact_pacs import log


@pytest.fixture(autouse=True)
def _json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("DEBUG", json_lines=True)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_field_that_is_not_on_the_allow_list_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    log.get_logger().info("stored", action="instance_stored", patient_name="CANARY", sop_instance_uid="1.2.3")
    [line] = lines(capsys)
    assert line["sop_instance_uid"] == "1.2.3"
    assert "CANARY" not in json.dumps(line)


def test_a_line_stays_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    log.get_logger().warning("bad", error="first\nsecond\x1b[31m\u202e")
    [line] = lines(capsys)
    assert line["error"] == "first second [31m "


def test_bound_fields_are_on_every_line_of_the_block_and_on_none_after(capsys: pytest.CaptureFixture[str]) -> None:
    with log.bound(job_id=7):
        log.get_logger().info("inside")
    log.get_logger().info("outside")
    inside, outside = lines(capsys)
    assert inside["job_id"] == 7
    assert "job_id" not in outside
    structlog.contextvars.clear_contextvars()


def test_a_line_and_its_line_break_go_out_in_one_write() -> None:
    """Processes that share the stream would break each other's lines."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # every write arrives on its own
    program = "from stact_pacs import log; log.configure(); log.get_logger().info('one'); log.get_logger().info('two')"
    with ours, theirs:
        subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, timeout=60)
        ours.settimeout(10)
        writes = [ours.recv(65536) for _ in range(2)]
    assert [json.loads(each)["event"] for each in writes] == ["one", "two"]
    assert all(each.endswith(b"\n") for each in writes)


@pytest.mark.parametrize(("said", "logged"), [
    ("1.2.840.10008.1.1", "1.2.840.10008.1.1"), ("1.2 1.3", "1.2 1.3"), ("", ""), ("DOE^JOHN", "(not a UID)"),
    ("4711", "(not a UID)"), ("1.2." + "3" * 100_000 + ".", "(not a UID)"),
])  # fmt: skip
def test_what_stands_in_the_place_of_a_uid_is_logged_if_it_is_one(
    capsys: pytest.CaptureFixture[str], said: str, logged: str
) -> None:
    log.get_logger().info("refused", sop_instance_uid=said)
    [line] = lines(capsys)
    assert line["sop_instance_uid"] == logged
