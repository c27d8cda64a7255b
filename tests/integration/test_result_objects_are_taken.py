"""Whatever cine comes in, archives that others wrote take every object that goes out, and hold it as it was made."""

import time
from collections.abc import Callable, Collection
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outcomes import Accepted, SendOutcome
from stact_pacs.deliver.stow import StowSender
from stact_pacs.domain.results import ResultObject
from stact_pacs.settings.delivering import Deliver, Destination, WebDestination
from tests.integration.archives import dcmqrscp, storescp
from tests.integration.orthanc_server import OrthancServer, dicomweb_plugin, orthanc
from tests.integration.result_cases import KINDS, Case
from tests.real_ultrasound import JPEG_CINE, real_ultrasound
from tests.unit.results.builders_results import built, cine_of, findings_of, source_of

pytestmark = [pytest.mark.tools, pytest.mark.slow]

SETTINGS = Deliver(timeout_s=60)


@pytest.fixture(scope="module")
def results(case_of: Callable[[str], Case]) -> list[ResultObject]:
    """Every object of every kind of source."""
    return [result for name in KINDS for result in case_of(name).objects.values()]


def assert_taken(results: list[ResultObject], outcomes: list[SendOutcome]) -> None:
    answers = zip(results, outcomes, strict=True)
    assert [(result.kind, outcome) for result, outcome in answers if not isinstance(outcome, Accepted)] == []


def assert_held(results: list[ResultObject], held: Collection[bytes]) -> None:
    copies = {copy.SOPInstanceUID: copy for copy in (dcmread(BytesIO(content)) for content in held)}
    assert set(copies) == {result.sop_instance_uid for result in results}
    for result in results:
        assert copies[result.sop_instance_uid] == dcmread(BytesIO(result.content)), result.kind


def held_by(server: OrthancServer, results: list[ResultObject]) -> list[bytes]:
    assert len(server.instances()) == len(results)
    return [server.file(result.sop_instance_uid) for result in results]


def test_orthanc_takes_them_by_c_store(results: list[ResultObject], tmp_path: Path) -> None:
    with orthanc(tmp_path) as server:
        there = Destination(name="orthanc", host=server.host, port=server.port, ae_title=server.aet)
        with server.namespace.inside():
            outcomes = CStoreSender(SETTINGS).send(results, there)
        assert_taken(results, outcomes)
        assert_held(results, held_by(server, results))


def test_orthanc_takes_them_by_stow(results: list[ResultObject], tmp_path: Path) -> None:
    with orthanc(tmp_path, settings={"Plugins": [dicomweb_plugin()]}) as server:
        there = WebDestination(name="orthanc", url=f"{server.url}/dicom-web")
        with server.namespace.inside(), StowSender(SETTINGS).association(there) as service:
            outcomes = [service.store(result) for result in results]
        assert_taken(results, outcomes)
        assert_held(results, held_by(server, results))


def test_orthanc_takes_the_largest_of_them_by_stow_well_within_the_time_limit(tmp_path: Path) -> None:
    source = source_of(real_ultrasound(JPEG_CINE, tmp_path))
    cine = cine_of(source)
    (result,) = built(source, cine, findings_of(cine), outputs=("SC",), sc_compression="none").values()
    assert len(result.content) > 80_000_000
    settings = Deliver()
    with orthanc(tmp_path, settings={"Plugins": [dicomweb_plugin()]}) as server, server.namespace.inside():
        begun_at = time.monotonic()
        with StowSender(settings).association(WebDestination(name="o", url=f"{server.url}/dicom-web")) as service:
            outcome = service.store(result)
        took_s = time.monotonic() - begun_at
        held = server.file(result.sop_instance_uid)
    assert isinstance(outcome, Accepted)
    assert took_s < settings.timeout_s / 3
    assert_held([result], [held])


def test_storescp_takes_them(results: list[ResultObject], tmp_path: Path) -> None:
    with storescp(tmp_path, "--bit-preserving", "--accept-all") as archive:
        assert_taken(results, CStoreSender(SETTINGS).send(results, archive.destination))
        assert_held(results, archive.contents())


def test_dcmqrscp_takes_them(results: list[ResultObject], tmp_path: Path) -> None:
    with dcmqrscp(tmp_path, "--prefer-jpeg8") as archive:
        assert_taken(results, CStoreSender(SETTINGS).send(results, archive.destination))
        assert_held(results, archive.contents())
