"""Sending to a small PACS and to peers that misbehave."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, TryLater
from stact_pacs.deliver.part10 import read_part10
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, Misconfigured
from stact_pacs.settings.delivering import Deliver, Destination

REJECTED_FOR_GOOD = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3])
REJECTED_FOR_NOW = bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 1])
ABORTED = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 0])


def data_set_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        read_part10(file)
        return file.read()


def test_the_pacs_holds_the_very_bytes_of_every_data_set(
    sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable, tmp_path: Path
) -> None:
    objects = [make_object("a"), make_object("b", TextValue="x" * 400_000)]
    outcomes = sender.send(objects, mini_pacs.destination())
    for result in objects:
        (tmp_path / result.sop_instance_uid).write_bytes(result.content)
    sent = {data_set_bytes(tmp_path / result.sop_instance_uid) for result in objects}
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert {data_set_bytes(path) for path in mini_pacs.received()} == sent


def test_a_pacs_without_resources_is_tried_later(sender: CStoreSender, tmp_path: Path, make_object: Callable) -> None:
    with MiniPacs(tmp_path / "full", fail_rate=1.0) as pacs:
        (outcome,) = sender.send([make_object()], pacs.destination())
    assert isinstance(outcome, TryLater)
    assert "A700" in outcome.text
    assert pacs.received() == []
    assert pacs.refused == 1


def test_an_object_whose_class_the_pacs_does_not_take_is_refused_and_the_others_are_stored(
    sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable
) -> None:
    strange, good = make_object("strange", sop_class_uid="1.2.3.4"), make_object("good")
    outcomes = sender.send([strange, good], mini_pacs.destination())
    assert [type(outcome) for outcome in outcomes] == [RefusedForGood, Accepted]


def test_nobody_at_the_port_means_later(sender: CStoreSender, free_port: int, make_object: Callable) -> None:
    nobody = Destination(name="nobody", host="127.0.0.1", port=free_port, ae_title="NOBODY")
    outcomes = sender.send([make_object("a"), make_object("b")], nobody)
    assert [type(outcome) for outcome in outcomes] == [TryLater, TryLater]
    with pytest.raises(DestinationUnavailable, match=r"NOBODY at 127\.0\.0\.1.*Remedy"):
        sender.echo(nobody)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_name_that_leads_nowhere_means_later(sender: CStoreSender, host: str) -> None:
    with pytest.raises(DestinationUnavailable, match="cannot be reached"):
        sender.echo(Destination(name="nowhere", host=host, port=104, ae_title="NOWHERE"))


def test_a_rejection_for_good_is_a_refusal_with_a_remedy(
    sender: CStoreSender, scripted_peer: Callable, make_object: Callable
) -> None:
    with scripted_peer(REJECTED_FOR_GOOD) as peer:
        (outcome,) = sender.send([make_object()], peer)
    assert isinstance(outcome, RefusedForGood)
    assert "Calling AE title not recognised" in outcome.text
    assert "Remedy" in outcome.text
    with scripted_peer(REJECTED_FOR_GOOD) as peer, pytest.raises(DeliveryRefused):
        sender.echo(peer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (REJECTED_FOR_NOW, "Temporary congestion"),
        (ABORTED, "A-ABORT"),
        (b"", "dropped the association"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke the protocol"),
        (bytes([2, 0, 0, 0, 0, 100]) + b"x" * 100, "broke the protocol"),
        (bytes([2, 0, 0, 0, 0, 2, 0, 1]), "broke the protocol"),
        (bytes([2, 0, 255, 255, 255, 255]), "broke the protocol"),
    ],
)
def test_whatever_else_answers_the_request_means_later(
    sender: CStoreSender, scripted_peer: Callable, make_object: Callable, answer: bytes, words: str
) -> None:
    with scripted_peer(answer) as peer:
        (outcome,) = sender.send([make_object()], peer)
    assert isinstance(outcome, TryLater)
    assert words in outcome.text


@pytest.mark.parametrize("answer", [b"", b"\x02\x00\x00"])
def test_a_silent_peer_is_left_after_the_time_limit(
    scripted_peer: Callable, make_object: Callable, answer: bytes
) -> None:
    begun = time.monotonic()
    with scripted_peer(answer, close=False) as peer:
        (outcome,) = CStoreSender(Deliver(timeout_s=0.3)).send([make_object()], peer)
        assert time.monotonic() - begun < 5
    assert isinstance(outcome, TryLater)
    assert "no answer within 0.3 s" in outcome.text


def test_echo_passes_when_the_pacs_answers(sender: CStoreSender, mini_pacs: MiniPacs) -> None:
    sender.echo(mini_pacs.destination())


def test_files_are_sent_as_they_are_and_what_is_no_dicom_file_is_named(
    sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable, tmp_path: Path
) -> None:
    good, bad, missing = tmp_path / "good", tmp_path / "bad", tmp_path / "missing"
    good.write_bytes(make_object().content)
    bad.write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00rubbish")
    steps: list[tuple[int, int]] = []
    outcomes = sender.send_files([bad, good, missing], mini_pacs.destination(), lambda *step: steps.append(step))
    assert [path for path, _ in outcomes] == [bad, good, missing]
    assert [type(outcome) for _, outcome in outcomes] == [RefusedForGood, Accepted, RefusedForGood]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert [data_set_bytes(path) for path in mini_pacs.received()] == [data_set_bytes(good)]


def test_a_file_that_vanishes_while_others_are_sent_is_named_and_holds_up_nothing(
    sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(make_object(path.name).content)
    outcomes = sender.send_files(paths, mini_pacs.destination(), lambda done, total: paths[1].unlink(missing_ok=True))
    assert [type(outcome) for _, outcome in outcomes] == [Accepted, RefusedForGood, Accepted]


def test_files_of_more_kinds_than_one_association_can_carry_all_arrive(
    sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable, tmp_path: Path
) -> None:
    paths = []
    for number in range(130):
        result = make_object(
            str(number), sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33" if number > 128 else f"1.2.{number}"
        )
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(result.content)
    outcomes = dict(sender.send_files(paths, mini_pacs.destination()))
    assert isinstance(outcomes[paths[129]], Accepted)
    assert sum(isinstance(outcome, RefusedForGood) for outcome in outcomes.values()) == 129


def test_a_second_pacs_on_a_port_in_use_says_what_to_do(mini_pacs: MiniPacs, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="Choose another port"):
        MiniPacs(tmp_path / "second", port=mini_pacs.port).start()


def test_the_same_seed_refuses_the_same_stores(sender: CStoreSender, tmp_path: Path, make_object: Callable) -> None:
    def refusals(name: str) -> list[type]:
        with MiniPacs(tmp_path / name, fail_rate=0.5, seed=3) as pacs:
            return [type(o) for o in sender.send([make_object(str(n)) for n in range(12)], pacs.destination())]

    first = refusals("first")
    assert first == refusals("second")
    assert {Accepted, TryLater} == set(first)


def test_a_stored_file_is_a_dicom_file(sender: CStoreSender, mini_pacs: MiniPacs, make_object: Callable) -> None:
    sender.send([make_object()], mini_pacs.destination())
    assert dcmread(mini_pacs.received()[0]).SOPInstanceUID == make_object().sop_instance_uid
