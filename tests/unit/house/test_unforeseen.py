"""An error that nobody foresaw is told by its type and its place."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

from stact_pacs.backoff import backoff_s
from stact_pacs.errors import BundleInvalid
from stact_pacs.unforeseen import describe


def test_a_remedy_is_told() -> None:
    assert describe(BundleInvalid("It is altered.", remedy="Import it again.")).endswith("Remedy: Import it again.")


def test_the_message_of_a_foreign_error_is_never_told() -> None:
    try:
        int("Doe^Jane")
    except ValueError as error:
        text = describe(error)
    assert "Doe" not in text
    assert text.startswith("Unexpected ValueError at test_unforeseen.py:")


def test_the_place_is_also_told_by_our_modules_the_innermost_first() -> None:
    try:
        backoff_s("Doe^Jane", base_s=1, cap_s=1, jitter=1)  # type: ignore[arg-type]
    except TypeError as error:
        text = describe(error)
    assert re.fullmatch(r"Unexpected TypeError at stact_pacs\.backoff:\d+\.", text)


PROGRAM = """
import logging, sys, threading
from stact_pacs.uncaught import withhold_texts

def fail():
    raise ValueError("CANARY^DOE")

class Fails:
    def __del__(self):
        fail()

def as_a_library():
    try:
        fail()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("no handler")

withhold_texts()
{call}
"""
CALLS = {
    "main thread": "fail()",
    "thread": "thread = threading.Thread(target=fail, name='digest'); thread.start(); thread.join()",
    "destructor": "Fails()",
    "library": "as_a_library()",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_that_nobody_caught_is_a_line_without_its_text(call: str) -> None:
    ran = run_program(PROGRAM.format(call=call))
    [line] = map(json.loads, ran.stderr.splitlines())
    assert re.match("Unexpected ValueError at <string>:", line["error"])
    assert "CANARY" not in ran.stderr + ran.stdout
    assert ran.returncode == (call == "fail()")


@pytest.mark.parametrize(
    "call", ["sys.stderr.close(); fail()", "sys.stderr = None; fail()", "raise SystemExit(1) from ValueError('CANARY')"]
)
def test_a_line_that_cannot_be_written_brings_no_text_out_either(call: str) -> None:
    ran = run_program(PROGRAM.format(call=call))
    assert "CANARY" not in ran.stderr + ran.stdout
    assert ran.returncode == 1


def test_a_thread_that_exits_is_no_error() -> None:
    assert run_program(PROGRAM.format(call="threading.Thread(target=sys.exit).start()")).stderr == ""


def test_a_developer_sees_the_traceback() -> None:
    assert "CANARY" in run_program(PROGRAM.format(call="fail()"), "-X", "dev").stderr


def run_program(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
