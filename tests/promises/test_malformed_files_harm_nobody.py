"""Whatever a file holds, it is stored or refused by a named status, and the listener goes on."""

import os
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset

from stact_pacs import app as application
from stact_pacs.cine.header import read_instance, read_opening
from stact_pacs.cine.regular import OPENING_BYTES, Opening, read_regular
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import Refused
from stact_pacs.receive import status
from stact_pacs.receive.part10 import file_head
from stact_pacs.roles import close_series
from stact_pacs.settings.loading import load
from tests.integration.receiving import cine
from tests.promises.hostile_files import HOSTILE, data_set, element, empty_items
from tests.promises.receive_role import ReceiveRole, Site, data_set_of, new_site
from tests.promises.senders import NO_ANSWER, SUCCESS, association, uid_of
from tests.promises.wire_mutations import good_client, mutant
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

MUTANTS, FILES = 5000, 100
"""Times the scale."""
LARGEST_SEED_BYTES = 100_000
NAMED = {known.code for known in vars(status).values() if isinstance(known, status.Status)}
LARGEST_PEAK_GROWTH_MIB = 50
"""The longest header that is read becomes some 100 MiB of Python objects: not in the listener."""
OURS = 4
HUGE_HEADER_MB = 20
LARGEST_VALUE_MIB = 10


@pytest.fixture
def seeds(tmp_path: Path) -> list[bytes]:
    """The small files of the pydicom package, and an ultrasound cine."""
    files = [*map(Path, get_testdata_files(pattern="**/*.dcm")), cine(tmp_path / "cine.dcm", uid_of(1))]
    small = [path.read_bytes() for path in sorted(files) if path.stat().st_size < LARGEST_SEED_BYTES]
    assert len(small) > 20
    return small


def test_a_mutated_file_is_read_or_refused(tmp_path: Path, seeds: list[bytes], scale: int) -> None:
    chance, path = random.Random(1), tmp_path / "mutant.dcm"
    outcomes: Counter[type] = Counter()
    for _ in range(MUTANTS * scale):
        path.write_bytes(mutant(chance.choice(seeds), chance))
        try:
            outcomes[type(read_instance(path))] += 1
        except Refused:  # anything else fails the test
            outcomes[Refused] += 1
    assert min(outcomes[Instance], outcomes[Refused]) > MUTANTS // 100


def test_a_mutated_header_is_read_the_same_by_both_readers(tmp_path: Path, seeds: list[bytes], scale: int) -> None:
    """The quick one may leave it to pydicom, but must not read it otherwise."""
    chance, path, regular = random.Random(2), tmp_path / "mutant.dcm", Counter[str]()
    ours = encodings(cine(tmp_path / "cine.dcm", uid_of(1)))
    openings = [_opening(content) for content in [*ours, *seeds] if content[128:132] == b"DICM"]
    for _ in range(MUTANTS * scale):
        original = chance.choice(openings[:OURS] if chance.random() < 0.5 else openings)
        content = mutant(original.data_set, chance)
        opening = replace(original, data_set=content[:OPENING_BYTES])
        if read_regular(opening) is None:
            continue
        regular[opening.transfer_syntax_uid] += 1
        head = file_head(sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid=opening.transfer_syntax_uid)
        path.write_bytes(head + content)
        assert _quick(path, opening) == _from_file(path)
    assert min(regular[words.EXPLICIT], regular[words.IMPLICIT]) > MUTANTS // 100


def encodings(path: Path) -> Iterator[bytes]:
    """Write an ultrasound image in each encoding that may be regular: `OURS` of them."""
    for syntax, delimited in product((words.EXPLICIT, words.IMPLICIT), (False, True)):
        dataset, region = dcmread(path), Dataset()
        region.RegionSpatialFormat, region.RegionDataType, region.PhysicalDeltaX = 1, 2, 0.01
        region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
        region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = 63
        region.is_undefined_length_sequence_item = delimited
        dataset.SequenceOfUltrasoundRegions, dataset.StudyDescription = [region, region], "Thyroid"
        dataset["SequenceOfUltrasoundRegions"].is_undefined_length = delimited
        dataset.file_meta.TransferSyntaxUID = syntax
        written = BytesIO()
        dataset.save_as(written, enforce_file_format=True)
        yield written.getvalue()


def _opening(content: bytes) -> Opening:
    """Return what a sender of this file would send, and in which transfer syntax."""
    transfer_syntax = re.search(rb"\x02\x00\x10\x00UI(..)([0-9.]*)", content[:1000], re.DOTALL)
    declared = transfer_syntax[2].decode() if transfer_syntax else words.EXPLICIT
    return Opening(data_set=data_set_of(content), transfer_syntax_uid=declared)


def _quick(path: Path, opening: Opening) -> Instance | str | None:
    content = path.read_bytes()
    try:
        return read_opening(opening, path=path, size_bytes=len(content), sha256=sha256(content).hexdigest())
    except Refused as refused:
        return refused.text


def _from_file(path: Path) -> Instance | str:
    try:
        return read_instance(path)
    except Refused as refused:
        return refused.text


def test_a_header_without_an_end_is_given_up(tmp_path: Path) -> None:
    path = cine(tmp_path / "huge.dcm", uid_of(1))
    content = path.read_bytes()
    start = len(content) - len(data_set_of(content))
    path.write_bytes(content[:start] + empty_items(HUGE_HEADER_MB * 10**6 // 8) + content[start:])
    with pytest.raises(Refused, match="more elements"):
        read_instance(path)


def test_a_value_without_measure_is_not_read(tmp_path: Path) -> None:
    path = cine(tmp_path / "long.dcm", uid_of(1))
    content = path.read_bytes()
    start = len(content) - len(data_set_of(content))
    path.write_bytes(content[:start] + element(0x00081010, b"UT", b"", 300_000_000))
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 300_000_000)
        file.seek(0, os.SEEK_END)
        file.write(content[start:])
    tracemalloc.start()
    assert read_instance(path).station_name == ""
    assert tracemalloc.get_traced_memory()[1] < LARGEST_VALUE_MIB * 2**20
    tracemalloc.stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "site", more="[series]\nquiet_period_s = 0.001\n")


@pytest.fixture
def role(site: Site) -> Iterator[ReceiveRole]:
    """A listener that must serve as well after the test as before it."""
    with site.running() as role:
        yield role
        with association(role.port) as scu:
            assert scu.store(uid_of(9_999_999), data_set(uid_of(9_999_999))) == SUCCESS
        role.stop()
    assert not re.search("Traceback|unforeseen_error|accept_failed", site.log.read_text())
    assert site.files("incoming") == []


@pytest.mark.timeout(3000)
def test_a_hostile_file_is_stored_or_refused_by_name(role: ReceiveRole, site: Site, scale: int) -> None:
    """What is stored comes to an end too: it is scored, or it is said why not."""
    chance, answers = random.Random(2), {}
    role.forget_peak()
    before_mib = role.peak_mib()
    with good_client(role.port):
        for number in range(FILES * scale):
            transfer_syntax, build = list(HOSTILE.values())[number % len(HOSTILE)]
            uid = uid_of(number)
            with association(role.port, contexts={3: (words.US_MULTIFRAME, [transfer_syntax])}) as scu:
                answers[uid] = scu.store(uid, build(uid, chance))
    assert NO_ANSWER not in answers.values()
    assert set(answers.values()) <= NAMED
    assert {uid for uid, answer in answers.items() if answer == SUCCESS} == set(site.recorded())
    assert role.peak_mib() - before_mib < LARGEST_PEAK_GROWTH_MIB
    with closing(application.build(load(site.settings_file))) as stact:
        score_all(stact)
        assert site.ask("SELECT COUNT(*) FROM job_instances") == [(len(site.recorded()),)]
        cases = [stact.jobs.case(job) for (job,) in site.ask("SELECT id FROM jobs")]
    outcomes = Counter(case.record["outcome"] if case.record else "none" for case in cases)
    assert set(outcomes) <= set(Outcome)
    assert min(outcomes[Outcome.NOT_SCORED], outcomes.total() - outcomes[Outcome.NOT_SCORED]) > 0
    unscored = [case.record for case in cases if case.record and case.record["outcome"] == Outcome.NOT_SCORED]
    assert all(record["reason"] and record["reason_text"] for record in unscored)
    assert {case.attempts for case in cases} == {1}


def score_all(stact: application.App) -> None:
    """Do what the work role does until nothing is left to do."""
    while stact.series.open_series():
        close_series(stact)
    while stact.worker.run_once():
        pass
