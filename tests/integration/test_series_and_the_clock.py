"""The quiet time of a series runs on a clock that nobody can set."""

import os
import platform
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs import app as application
from stact_pacs.cine.header import read_instance
from stact_pacs.installation import make_installation
from stact_pacs.settings.loading import load
from tests.integration.loopback_namespace import require_tools
from tests.integration.receiving import cine

pytestmark = pytest.mark.tools

LIBFAKETIME = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1")

BEATING = """
    import sys, threading, time
    from pathlib import Path
    from stact_pacs import app as application, log
    from stact_pacs.domain.series import Unknown
    from stact_pacs.queue.timers import Timers
    from stact_pacs.series.completeness import judge
    from stact_pacs.settings.loading import load

    log.configure()
    app = application.build(load(Path(sys.argv[1])))
    complete = threading.Event()

    def look():  # as `flow.close_quiet_series` does, which would load the networks
        uptime = application.uptime()
        (opened,) = app.series.open_series()
        quiet_s = app.series.quiet_times([opened], uptime)[opened.id]
        verdict = judge(
            opened, quiet_s=quiet_s, missing_at_source=Unknown.CANNOT_SAY, settings=app.settings.series
        )
        print(type(verdict).__name__, uptime.seconds, time.time(), flush=True)
        if type(verdict).__name__ != "Wait":
            complete.set()

    timers = Timers(0.2)
    timers.every("look", look)
    timers.start()
    complete.wait()
    timers.stop()
    app.close()
"""


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_is_set_closes_a_series_neither_early_nor_late(tmp_path: Path, jump_s: int) -> None:
    require_tools("faketime")
    file = make_installation(tmp_path / "site", "[series]\nquiet_period_s = 4\n[storage]\nreserve_mb = 10\n")
    app = application.build(load(file))
    instance = read_instance(cine(tmp_path / "1.dcm", "1.2.3.4.1", frames=1))
    app.instances.admit(instance, now=datetime.now(UTC))
    app.close()
    offset = tmp_path / "offset"
    offset.write_text("+0")
    fake = {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", textwrap.dedent(BEATING), str(file)]
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    beats = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **paths, **fake})
    with process, ExitStack() as ending:
        ending.callback(process.kill)
        assert process.stdout is not None
        for line in process.stdout:
            verdict, at_s, wall_s = line.split()
            beats.append((float(at_s), float(wall_s)))
            if len(beats) == 3:
                offset.write_text(f"{jump_s:+d}")
    (began_s, began_wall_s), (ended_s, ended_wall_s) = beats[0], beats[-1]
    assert verdict == "Complete"
    assert abs(ended_wall_s - began_wall_s - jump_s) < 60, "the clock did not jump"
    assert 4 <= ended_s - began_s < 60
