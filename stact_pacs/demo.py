"""The main job on one machine: a mini PACS, the service and a sender, all on loopback.

What is sent: a synthetic phantom cine and the real ultrasound cine that the pydicom package carries. What
comes back is scored by a bundle trained on synthetic data; it means nothing for a patient.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.data import get_testdata_file

from stact_pacs import app as application
from stact_pacs.app import App
from stact_pacs.cine.header import read_instance
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outcomes import Accepted
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.records import CaseRecord
from stact_pacs.errors import Defect, DestinationUnavailable, Misconfigured
from stact_pacs.installation import make_installation
from stact_pacs.reports import ReportWriter
from stact_pacs.settings.delivering import Destination
from stact_pacs.settings.loading import load
from stact_pacs.train.phantom_dicom import write_phantom_dicom

Progress = Callable[[str, int, int], None]

REAL_CINE = "examples_ybr_color.dcm"
"""A real ultrasound cine of 30 frames in the pydicom package."""
START_TIMEOUT_S = 60.0
SCORE_TIMEOUT_S = 240.0
_SETTLED = frozenset({JobState.DONE, JobState.NOT_SCORED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class DemoCase:
    """What one sent cine came to."""

    sent: str
    """What was sent, in words."""
    case: CaseRecord
    report: Path
    in_pacs: tuple[Path, ...]
    """Where the mini PACS put the objects that came back."""


@dataclass(frozen=True, kw_only=True)
class DemoOutcome:
    """What the demo came to."""

    folder: Path
    cases: tuple[DemoCase, ...]
    refused_stores: int
    """How many stores the mini PACS refused on purpose."""

    @property
    def complete(self) -> bool:
        """Whether every cine has a result and every object of it is in the mini PACS."""
        return bool(self.cases) and all(
            case.case.record is not None and len(case.in_pacs) == len(case.case.deliveries) > 0 for case in self.cases
        )


def run_demo(keep: Path | None, *, fail_rate: float, progress: Progress) -> DemoOutcome:
    """Run the whole demo and return what came of it.

    Parameters
    ----------
    keep
        New folder in which everything is left; None makes one among the temporary files.
    fail_rate
        Share of stores that the mini PACS refuses as out of resources, in [0, 1).

    Raises
    ------
    Misconfigured
        The folder exists.
    Defect
        The service did not start, or did not finish in time.
    """
    folder = _new_folder(keep)
    progress("writing cines", 0, 2)
    cines = _cines(folder / "sent")
    progress("writing cines", 2, 2)
    with MiniPacs(folder / "mini-pacs", fail_rate=fail_rate) as pacs:
        settings_file = make_installation(folder, _settings_toml(pacs.port, _free_port()))
        app = application.build(load(settings_file))
        with _service(settings_file, folder / "service.log"):
            _wait_until_it_answers(app, progress)
            _send(app, [cine.path for cine in cines], progress)
            _wait_until_settled(app, len(cines), progress)
        outcome = _outcome(app, folder, cines, pacs)
        app.close()
    return outcome


@dataclass(frozen=True, kw_only=True)
class _Sent:
    words: str
    path: Path


def _new_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="stact-pacs-demo-"))
    try:
        keep.mkdir(parents=True)
    except FileExistsError as error:
        raise Misconfigured(f"The folder {keep} exists already.", remedy="Name a new one.") from error
    return keep.resolve()


def _cines(folder: Path) -> tuple[_Sent, ...]:
    folder.mkdir()
    phantom, real = folder / "phantom.dcm", folder / "real.dcm"
    write_phantom_dicom(phantom, seed=7, malignant=True)
    shutil.copyfile(str(get_testdata_file(REAL_CINE, download=False)), real)
    return (
        _Sent(words="synthetic phantom cine", path=phantom),
        _Sent(words="real ultrasound cine (of the pydicom package, not of a thyroid)", path=real),
    )


def _settings_toml(pacs_port: int, our_port: int) -> str:
    return f"""\
# Settings of the demo: everything on loopback, and quick.
[receive]
port = {our_port}
calling_ae_titles = ["DEMO"]
[series]
quiet_period_s = 2
[storage]
reserve_mb = 100
[compute]
poll_s = 0.3
[deliver]
ae_title = "DEMO"
retry_base_s = 1
[[destinations]]
name = "mini-pacs"
host = "127.0.0.1"
port = {pacs_port}
ae_title = "MINI_PACS"
[log]
json_lines = true
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ourselves(app: App) -> Destination:
    receive = app.settings.receive
    return Destination(name="service", host=receive.host, port=receive.port, ae_title=receive.ae_title)


@contextmanager
def _service(settings_file: Path, log: Path) -> Iterator[None]:
    """Run `stact-pacs serve` until the block ends; its log goes into a file."""
    command = [sys.executable, "-m", "stact_pacs", "--config", str(settings_file), "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output, stdout=output, env=os.environ | {"PYTHONUNBUFFERED": "1"})  # noqa: S603
        try:
            yield
            if process.poll() is not None:
                raise Defect(f"The service ended with {process.returncode}.", remedy=f"See {log}.")
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_it_answers(app: App, progress: Progress) -> None:
    sender, service = CStoreSender(app.settings.deliver), _ourselves(app)
    progress("starting the service", 0, 1)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            sender.echo(service)
        except DestinationUnavailable:
            time.sleep(0.2)
        else:
            progress("starting the service", 1, 1)
            return
    raise Defect(f"The service did not answer within {START_TIMEOUT_S:.0f} s.", remedy="See service.log.")


def _send(app: App, paths: Sequence[Path], progress: Progress) -> None:
    sent = CStoreSender(app.settings.deliver).send_files(paths, _ourselves(app), partial(progress, "sent"))
    for path, outcome in sent:
        if not isinstance(outcome, Accepted):
            raise Defect(f"The service did not take {path.name}: {outcome.text}", remedy="See service.log.")


def _wait_until_settled(app: App, expected: int, progress: Progress) -> None:
    """Wait until every job is settled, every delivery made and every report tells of it."""
    deadline = time.monotonic() + SCORE_TIMEOUT_S
    steps = {"scored": 0, "delivered": 0, "reports": 0}
    while time.monotonic() < deadline:
        steps = _steps_done(app)
        for step, done in steps.items():
            progress(step, min(done, expected), expected)
        if min(steps.values()) >= expected:
            return
        time.sleep(0.3)
    raise Defect(f"Not finished within {SCORE_TIMEOUT_S:.0f} s: {json.dumps(steps)}.", remedy="See service.log.")


def _steps_done(app: App) -> dict[str, int]:
    jobs = app.jobs.list()
    owed = {delivery.job_id for delivery in app.deliveries.list() if delivery.state is DeliveryState.OWED}
    scored = [job for job in jobs if job.state in _SETTLED | {JobState.DELIVERING}]
    return {
        "scored": len(scored),
        "delivered": sum(job.state in _SETTLED and job.id not in owed for job in scored),
        "reports": len({job.id for job in scored} - ReportWriter(app.jobs, app.settings.reports_dir).behind()),
    }


def _report_of(app: App, job_key: str) -> Path:
    return app.settings.reports_dir / f"{job_key[:16]}.html"


def _outcome(app: App, folder: Path, cines: Sequence[_Sent], pacs: MiniPacs) -> DemoOutcome:
    words = {read_instance(cine.path).sop_instance_uid: cine.words for cine in cines}
    stored = {read_instance(path).sop_instance_uid: path for path in pacs.received()}
    cases = []
    for job in reversed(app.jobs.list()):
        case = app.jobs.case(job.id)
        cases.append(
            DemoCase(
                sent=words[case.instances[0].sop_instance_uid],
                case=case,
                report=_report_of(app, case.job_key),
                in_pacs=tuple(stored[d.sop_instance_uid] for d in case.deliveries if d.sop_instance_uid in stored),
            )
        )
    return DemoOutcome(folder=folder, cases=tuple(cases), refused_stores=pacs.refused)
