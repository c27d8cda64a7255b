"""An error that nobody foresaw is told by its type and place, and never quotes a patient."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from stact_pacs import crashes, log
from stact_pacs.errors import Defect

def fall(error):
    raise error

log.configure(json_lines=True)
crashes.tell_without_text()
{}
"""
IN_A_THREAD = "thread = threading.Thread(target=fall, args=({},)); thread.start(); thread.join()"


def told_by(program: str) -> dict[str, str]:
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(program)], capture_output=True, text=True, check=False)
    [line] = ran.stderr.splitlines()
    told: dict[str, str] = json.loads(line)
    return told


@pytest.mark.parametrize("program", ["fall({})", IN_A_THREAD], ids=["process", "thread"])
def test_the_text_of_a_librarys_error_is_not_told(program: str) -> None:
    told = told_by(program.format("ValueError('CANARY')"))
    assert "CANARY" not in json.dumps(told)
    assert told["action"] == "crashed"
    assert told["error"].startswith("ValueError at ")
    assert told["error"].endswith("<string>:7")


def test_an_error_of_ours_is_told_in_full() -> None:
    assert told_by("fall(Defect('The disk is gone.'))")["error"].startswith("The disk is gone. at ")
