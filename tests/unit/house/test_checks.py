from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import pytest

from stact_pacs.app import App
from stact_pacs.checks import Checked, check_decoders
from stact_pacs.cine.decode_process import DecodeProcess
from stact_pacs.cine.syntaxes import DECODERS, decoder_package
from stact_pacs.settings.scoring import Decoding
from tests.unit.cine import frail_child


@dataclass
class WithDecoder:
    decoder: DecodeProcess


@pytest.fixture
def checked_with(request: Any) -> Iterator[Checked]:
    decoder = DecodeProcess(Decoding(), **request.param)
    yield check_decoders(cast(App, WithDecoder(decoder)))
    decoder.close()


@pytest.mark.parametrize("checked_with", [{}], indirect=True)
def test_every_transfer_syntax_is_named_with_the_decoder_and_its_version(checked_with: Checked) -> None:
    assert checked_with.problems == ()
    assert len(checked_with.parts) == len(DECODERS)
    assert f"RLE Lossless, by pylibjpeg-rle {version('pylibjpeg-rle')}" in checked_with.parts
    assert f"JPEG Baseline (Process 1), by simplejpeg {version('simplejpeg')}" in checked_with.parts
    assert f"Explicit VR Big Endian, by pydicom {version('pydicom')}" in checked_with.parts


@pytest.mark.parametrize("checked_with", [{"module": frail_child.__name__, "proof_s": 6}], indirect=True)
def test_a_decoder_at_fault_is_a_problem_with_its_name_and_the_others_stay_in_the_list(checked_with: Checked) -> None:
    deadly = next(problem for problem in checked_with.problems if "SIGSEGV" in problem.text)
    assert deadly.where == f"JPEG-LS Lossless Image Compression, by pyjpegls {version('pyjpegls')}"
    assert deadly.remedy
    assert len(checked_with.problems) == 3
    assert len(checked_with.parts) == len(DECODERS) - 3
    assert deadly.where not in checked_with.parts


@pytest.mark.parametrize("checked_with", [{"module": "tests.unit.cine.no_such_module"}], indirect=True)
def test_a_process_that_does_not_start_is_one_problem_and_nothing_is_said_to_be_well(checked_with: Checked) -> None:
    assert [problem.where for problem in checked_with.problems] == ["decoders"]
    assert checked_with.parts == ()


@pytest.mark.parametrize("transfer_syntax_uid", DECODERS)
def test_the_package_of_every_decoder_is_installed(transfer_syntax_uid: str) -> None:
    assert version(decoder_package(transfer_syntax_uid))
