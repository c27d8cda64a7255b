"""Writes of many threads share a transaction, and none suffers from another's fault."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.instances import Admission
from stact_pacs.errors import DatabaseUnavailable, Defect
from stact_pacs.store import schema
from stact_pacs.store.admission import Admissions, Offer
from stact_pacs.store.together import Together
from tests.integration.loopback_namespace import wait_until


class Gate:
    """A commit that waits before its first group, and then does what it is told; it notes every group."""

    def __init__(self, commit: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self.groups: list[Sequence[Any]] = []
        self.entered = threading.Event()
        self.opened = threading.Event()
        self._commit = commit

    def __call__(self, offers: Sequence[Any]) -> Sequence[Any]:
        self.groups.append(offers)
        self.entered.set()
        assert self.opened.wait(20)
        return self._commit(offers)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def put_together(gate: Gate, threads: ThreadPoolExecutor, first: Any, others: Sequence[Any]) -> list[Future[Any]]:
    """Put one offer, and the others while its commit is under way; return what each is told."""
    together: Together[Any, Any] = Together(gate)
    told = [threads.submit(together.put, first)]
    assert gate.entered.wait(20)
    for number, other in enumerate(others, 1):
        told.append(threads.submit(together.put, other))
        wait_until(lambda number=number: len(together._waiting) == number, what="it waits")
    gate.opened.set()
    return told


def test_who_comes_alone_is_committed_at_once() -> None:
    assert Together(lambda offers: [offer * 2 for offer in offers]).put(4) == 8


def test_who_comes_during_a_commit_goes_into_the_next_one_with_the_others(threads: ThreadPoolExecutor) -> None:
    gate = Gate(lambda offers: [offer * 2 for offer in offers])
    told = put_together(gate, threads, 1, [2, 3, 4])
    assert [each.result(20) for each in told] == [2, 4, 6, 8]
    assert gate.groups == [[1], [2, 3, 4]]


def test_one_that_is_refused_does_not_take_the_others_along(threads: ThreadPoolExecutor) -> None:
    def commit(offers: Sequence[int]) -> Sequence[int]:
        if 3 in offers:
            raise Defect("Three is refused.")
        return offers

    told = put_together(Gate(commit), threads, 1, [2, 3, 4])
    assert [each.result(20) for each in (told[0], told[1], told[3])] == [1, 2, 4]
    with pytest.raises(Defect, match="Three"):
        told[2].result(20)


def test_without_a_database_all_are_told_after_one_attempt(threads: ThreadPoolExecutor) -> None:
    def commit(_offers: Sequence[int]) -> Sequence[int]:
        raise DatabaseUnavailable("It is away.")

    gate = Gate(commit)
    for told in put_together(gate, threads, 1, [2, 3]):
        with pytest.raises(DatabaseUnavailable):
            told.result(20)
    assert gate.groups == [[1], [2, 3]]


def test_after_an_error_that_nobody_foresaw_nobody_waits_for_ever(threads: ThreadPoolExecutor) -> None:
    gate = Gate(lambda offers: offers if len(offers) == 1 else [1 / 0])
    told = put_together(gate, threads, 1, [2, 3])
    assert told[0].result(20) == 1
    raised = [type(each.exception(20)) for each in told[1:]]
    assert sorted(raised, key=str) == sorted([ZeroDivisionError, Defect], key=str)  # the leader's own, and the other's


def test_each_of_a_group_of_instances_is_told_what_became_of_it(records: Any) -> None:
    def offer(number: int, **facts: Any) -> Offer:
        return Offer(instance=records.instance(number, **facts), now=records.now, association_id="a" * 32)

    admissions = Admissions(records.database)
    assert admissions.write([offer(1)]) == [Admission.ADMITTED]
    group = [offer(1), offer(2), offer(2), offer(2, content="x"), offer(3, series=2), offer(4), offer(1, content="y")]
    new, same, other = Admission.ADMITTED, Admission.DUPLICATE, Admission.CONFLICT
    assert admissions.write(group) == [same, new, same, other, new, new, other]
    with records.database.read() as connection:
        counts = connection.execute(sa.select(schema.series.c.instance_count).order_by(schema.series.c.id))
        assert counts.scalars().all() == [3, 1]
        assert len(connection.execute(sa.select(schema.series_holds)).all()) == 2


def test_an_instance_that_cannot_be_written_leaves_the_others_of_its_group_on_record(
    records: Any, threads: ThreadPoolExecutor
) -> None:
    gate = Gate(Admissions(records.database).write)
    unwritable = records.instance(3, modality=None)
    offers = [Offer(instance=i, now=records.now, association_id=None) for i in map(records.instance, (1, 2, 4))]
    offers.insert(2, Offer(instance=unwritable, now=records.now, association_id=None))
    told = put_together(gate, threads, offers[0], offers[1:])
    assert [told[n].result(20) for n in (0, 1, 3)] == [Admission.ADMITTED] * 3
    with pytest.raises(Defect):
        told[2].result(20)
    assert unwritable.sha256 not in records.digests()
