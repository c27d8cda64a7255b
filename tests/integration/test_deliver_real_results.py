"""The objects that we really make, sent: what the PACS holds is what was made, byte for byte."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outcomes import Accepted
from stact_pacs.deliver.part10 import read_part10
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.settings.delivering import Deliver
from tests.real_ultrasound import TWO_FRAMES, real_ultrasound
from tests.unit.results.builders_results import built, cine_of, findings_of, source_of

SENDER = CStoreSender(Deliver(timeout_s=10))


@pytest.fixture
def results(tmp_path: Path) -> list[ResultObject]:
    source = source_of(real_ultrasound(TWO_FRAMES, tmp_path))
    cine = cine_of(source)
    objects = built(source, cine, findings_of(cine))
    return [objects[ObjectKind.SEG], objects[ObjectKind.SR]]


def data_set_of(content: bytes) -> bytes:
    file = BytesIO(content)
    read_part10(file)
    return file.read()


def test_a_real_segmentation_and_a_real_report_arrive_byte_for_byte(
    results: list[ResultObject], tmp_path: Path
) -> None:
    with MiniPacs(tmp_path / "pacs") as pacs:
        outcomes = SENDER.send(results, pacs.destination())
        held = {data_set_of(path.read_bytes()) for path in pacs.received()}
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert held == {data_set_of(result.content) for result in results}


def test_a_pacs_that_takes_implicit_vr_only_holds_the_same_elements(
    results: list[ResultObject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stact_pacs.deliver.mini_pacs._TRANSFER_SYNTAXES", ["1.2.840.10008.1.2"])
    with MiniPacs(tmp_path / "pacs") as pacs:
        outcomes = SENDER.send(results, pacs.destination())
        held = {copy.SOPInstanceUID: copy for copy in map(dcmread, pacs.received())}
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    for result in results:
        made, copy = dcmread(BytesIO(result.content)), held[result.sop_instance_uid]
        assert copy.file_meta.TransferSyntaxUID.is_implicit_VR
        assert [element.tag for element in copy] == [element.tag for element in made]
        assert all(copy[element.tag].value == element.value for element in made)  # Pixel Data is OW in Implicit VR
