"""DCMTK's tools and pynetdicom send; what was acknowledged is on disk and in the database."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage
from pynetdicom import AE

from stact_pacs.settings.receiving import Receive
from tests.integration.listening import Service, listening
from tests.integration.loopback_namespace import require_tools, wait_until
from tests.integration.receiving import cine

pytestmark = pytest.mark.tools


@pytest.fixture(autouse=True)
def _dcmtk() -> None:
    require_tools("storescu", "echoscu", "dcmsend")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    with ExitStack() as services:

        def start(*, reserve_mb: int = 1, **settings: object) -> Service:
            section = Receive(calling_ae_titles=("MODALITY",)).model_copy(update={"port": 0, **settings})
            return services.enter_context(listening(tmp_path, section, reserve_mb=reserve_mb))

        yield start


@pytest.fixture
def cines(tmp_path: Path) -> list[Path]:
    (tmp_path / "sent").mkdir()
    return [cine(tmp_path / "sent" / f"{n}.dcm", f"1.2.3.4.{n}", pixel=n) for n in range(20)]


def test_echoscu_gets_its_answer(serve: Callable[..., Service]) -> None:
    done = serve().run("echoscu")
    assert done.returncode == 0, done.stderr


def test_storescu_stores_and_the_files_are_what_was_sent(serve: Callable[..., Service], cines: list[Path]) -> None:
    service = serve()
    done = service.run("storescu", "-R", *cines)
    assert done.returncode == 0, done.stderr
    assert set(service.rows()) == {f"1.2.3.4.{n}" for n in range(20)}
    assert service.every_row_has_its_file()
    stored = pydicom.dcmread(service.inbox.folders.object_path(service.rows()["1.2.3.4.7"]))
    assert stored == pydicom.dcmread(cines[7])
    assert stored.preamble == bytes(128)


def test_dcmsend_stores_each_file_in_its_own_transfer_syntax(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve()
    data_store = Path(pytest.importorskip("data_store").__file__).parent / "data"
    jpeg = data_store / "color3d_jpeg_baseline.dcm"
    done = service.run("dcmsend", "-d", jpeg)
    assert done.returncode == 0, done.stderr
    (sha256,) = service.rows().values()
    stored = pydicom.dcmread(service.inbox.folders.object_path(sha256))
    assert stored.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert stored.PixelData == pydicom.dcmread(jpeg).PixelData


def test_sending_everything_again_changes_nothing(serve: Callable[..., Service], cines: list[Path]) -> None:
    service = serve()
    service.run("storescu", "-R", *cines)
    before = service.rows()
    assert service.run("storescu", "-R", *cines).returncode == 0
    assert service.rows() == before
    assert len(list(service.inbox.folders.stored_objects())) == len(before)


def test_other_content_under_the_same_uid_is_refused_and_the_first_untouched(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve()
    service.run("storescu", "-R", cine(tmp_path / "a.dcm", "1.2.3.4", pixel=1))
    before = service.rows()
    done = service.run("storescu", "-R", cine(tmp_path / "b.dcm", "1.2.3.4", pixel=2))
    assert "CannotUnderstand" in done.stderr + done.stdout
    assert service.rows() == before
    assert service.every_row_has_its_file()
    assert len(list(service.inbox.folders.quarantine.iterdir())) == 1


@pytest.mark.parametrize(("called", "text"), [("OTHER", "Called AE Title Not Recognized")])
def test_storescu_is_told_why_it_is_rejected(
    serve: Callable[..., Service], cines: list[Path], called: str, text: str
) -> None:
    done = serve().run("storescu", "-R", *cines, called=called)
    assert done.returncode != 0
    assert text in done.stderr + done.stdout


def test_a_stranger_is_told_why_it_is_rejected(serve: Callable[..., Service]) -> None:
    service = serve(calling_ae_titles=("SOMEBODY",))
    done = service.run("echoscu")
    assert "Calling AE Title Not Recognized" in done.stderr + done.stdout


def test_below_the_reserve_the_rejection_is_transient(serve: Callable[..., Service], cines: list[Path]) -> None:
    service = serve(reserve_mb=10**9)
    done = service.run("storescu", "-R", *cines)
    assert "Rejected Transient" in done.stderr + done.stdout
    assert "Temporary Congestion" in done.stderr + done.stdout


def test_storescu_killed_in_the_middle_leaves_only_what_was_acknowledged(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve()
    large = cine(tmp_path / "large.dcm", "1.2.3.4", frames=100, size=1000)
    command = ["storescu", "-aet", "MODALITY", "-aec", "STACT_PACS", "-R", "127.0.0.1", str(service.listener.port)]
    with subprocess.Popen([*command, str(large)]) as sender:
        wait_until(lambda: service.parts() or service.rows(), what="the instance comes")
        sender.kill()
    wait_until(lambda: not service.parts(), what="the part is gone")
    assert service.every_row_has_its_file()


def test_pynetdicom_sends_several_associations_at_once(serve: Callable[..., Service], cines: list[Path]) -> None:
    service = serve()
    sender = AE(ae_title="MODALITY")
    sender.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
    statuses = []
    associations = [sender.associate("127.0.0.1", service.listener.port, ae_title="STACT_PACS") for _ in range(4)]
    for n, path in enumerate(cines):
        statuses.append(associations[n % 4].send_c_store(path).Status)
    for association in associations:
        association.release()
    assert statuses == [0x0000] * 20
    assert len(service.rows()) == 20


def test_pynetdicom_aborting_in_between_harms_nobody(serve: Callable[..., Service], cines: list[Path]) -> None:
    service = serve()
    sender = AE(ae_title="MODALITY")
    sender.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
    for path in cines[:5]:
        association = sender.associate("127.0.0.1", service.listener.port, ae_title="STACT_PACS")
        assert association.send_c_store(path).Status == 0x0000
        association.abort()
    assert len(service.rows()) == 5
    assert service.parts() == []
