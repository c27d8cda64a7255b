"""When is a series closed? With a real sender that pauses, and a real archive that is asked what it has."""

import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs import app as application
from stact_pacs.cine.header import read_instance
from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES
from stact_pacs.deliver.find import Sources
from stact_pacs.domain.series import OpenSeries, Unknown, Uptime
from stact_pacs.flow import close_quiet_series
from stact_pacs.installation import make_installation
from stact_pacs.settings.delivering import Destination
from stact_pacs.settings.loading import load
from tests.integration.loopback_namespace import require_tools, wait_until
from tests.integration.orthanc_server import OrthancServer, orthanc
from tests.integration.pausing_proxy import pausing_proxy
from tests.integration.receiving import cine, free_port

pytestmark = pytest.mark.tools

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def stact(tmp_path: Path) -> Iterator[application.App]:
    toml = f"""
        [receive]
        port = {free_port()}
        accept_any = true
        pdu_timeout_s = 120
        idle_timeout_s = 120
        [series]
        quiet_period_s = 60
        settled_period_s = 10
        longest_wait_s = 1800
        [storage]
        reserve_mb = 10
    """
    app = application.build(load(make_installation(tmp_path / "site", textwrap.dedent(toml))))
    yield app
    app.close()


def beat(
    app: application.App, at_s: float, missing: Callable[..., int | Unknown] = lambda _series: Unknown.CANNOT_SAY
) -> int:
    """Let the timer beat at this uptime; return how many jobs that made."""
    return close_quiet_series(
        app.series,
        app.settings.series,
        missing=missing,
        bundle_digest="b" * 64,
        uptime=Uptime(boot_id="boot", seconds=at_s),
        now=NOW,
    )


# -- an association that pauses


@pytest.fixture
def listening(stact: application.App) -> Iterator[application.App]:
    stact.listener.start()
    yield stact
    stact.listener.stop(5)


@contextmanager
def storescu(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let DCMTK's storescu send two instances of one series on one association: of 12 kB, and of 1 MB."""
    require_tools("storescu")
    files = [cine(tmp_path / "1.dcm", "1.2.3.4.1"), cine(tmp_path / "2.dcm", "1.2.3.4.2", frames=100, size=100)]
    command = ["storescu", "-R", "-aec", "STACT_PACS", "127.0.0.1", str(port), *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sender:
        yield sender


def test_a_series_is_not_closed_while_its_sender_pauses_between_two_instances(
    listening: application.App, tmp_path: Path
) -> None:
    with (
        pausing_proxy(listening.listener.port, after_bytes=100_000) as proxy,
        storescu(proxy.port, tmp_path) as sender,
    ):
        wait_until(listening.series.open_series, what="the first instance is here")
        assert [beat(listening, at_s) for at_s in (0, 60, 600)] == [0, 0, 0]
        proxy.go_on.set()
        assert sender.wait(60) == 0
    wait_until(lambda: not listening.series.open_series()[0].held, what="the association has ended")
    (ended,) = listening.series.open_series()
    assert len(ended.instances) == 2
    assert [beat(listening, at_s) for at_s in (601, 610, 611)] == [0, 0, 2]


def test_a_sender_that_is_killed_holds_its_series_no_longer(listening: application.App, tmp_path: Path) -> None:
    with (
        pausing_proxy(listening.listener.port, after_bytes=100_000) as proxy,
        storescu(proxy.port, tmp_path) as sender,
    ):
        wait_until(listening.series.open_series, what="the first instance is here")
        sender.kill()
        proxy.go_on.set()
    wait_until(lambda: not listening.series.open_series()[0].held, what="the association has ended")
    assert [beat(listening, at_s) for at_s in (0, 9)] == [0, 0]
    assert beat(listening, 10) > 0


# -- an archive that knows what it has


def test_a_series_of_which_the_archive_has_more_waits_for_the_rest(stact: application.App, tmp_path: Path) -> None:
    files = [cine(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}", frames=1, pixel=n) for n in (1, 2, 3)]
    with orthanc(tmp_path, settings={"DicomAlwaysAllowFind": True}) as server, server.namespace.inside():
        for file in files:
            server.post("/instances", file.read_bytes())
        missing = asking(server)
        for file in files[:2]:
            receive(stact, file)
        assert [beat(stact, at_s, missing) for at_s in (0, 10, 60, 1799)] == [0, 0, 0, 0]
        receive(stact, files[2])
        assert [beat(stact, at_s, missing) for at_s in (1800, 1809, 1810)] == [0, 0, 1]
    assert why_closed(stact) == "series_closed"


def test_a_series_whose_rest_never_comes_is_closed_with_a_warning(stact: application.App, tmp_path: Path) -> None:
    files = [cine(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}", frames=1, pixel=n) for n in (1, 2)]
    with orthanc(tmp_path, settings={"DicomAlwaysAllowFind": True}) as server, server.namespace.inside():
        for file in files:
            server.post("/instances", file.read_bytes())
        receive(stact, files[0])
        assert [beat(stact, at_s, asking(server)) for at_s in (0, 1799, 1800)] == [0, 0, 1]
    assert why_closed(stact) == "series_closed_incomplete"


def test_an_archive_that_refuses_the_question_leaves_it_to_the_timer(stact: application.App, tmp_path: Path) -> None:
    file = cine(tmp_path / "1.dcm", "1.2.3.4.1", frames=1)
    with orthanc(tmp_path) as server, server.namespace.inside():
        receive(stact, file)
        assert [beat(stact, at_s, asking(server)) for at_s in (0, 59, 60)] == [0, 0, 1]


def receive(stact: application.App, file: Path) -> None:
    stact.instances.admit(read_instance(file, calling_ae="ORTHANC"), now=NOW)


def asking(server: OrthancServer) -> Callable[[OpenSeries], int | Unknown]:
    """Return what asks this server, and waits for the answer as the timer would by beating again."""
    there = Destination(name="archive", host=server.host, port=server.port, ae_title=server.aet)
    sources = Sources({"ORTHANC": there}, SUPPORTED_SOP_CLASSES, calling="STACT_PACS", timeout_s=10)

    def missing(series: OpenSeries) -> int | Unknown:
        wait_until(lambda: sources.missing(series) is not Unknown.NOT_YET, what="the archive answers")
        return sources.missing(series)

    return missing


def why_closed(stact: application.App) -> str:
    (job,) = stact.jobs.list()
    (event,) = [event for event in stact.jobs.case(job.id).events if event.action.startswith("series_closed")]
    return event.action
