"""A listener on a free port over an inbox and a store in memory."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.listener import Listener
from stact_pacs.settings.receiving import Receive
from tests.unit.receive.wire_words import HeadersHere, MemoryCommitments, MemoryStore, Peer, association_request

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def inbox(tmp_path: Path, store: MemoryStore) -> Inbox:
    return Inbox(tmp_path / "inbox", store, HeadersHere(), reserve_mb=1, now=lambda: NOW)


@pytest.fixture
def asked() -> MemoryCommitments:
    """What was asked to be committed."""
    return MemoryCommitments()


@pytest.fixture
def commitments(asked: MemoryCommitments) -> Commitments:
    return Commitments(asked, may_ask=["MODALITY"], now=lambda: NOW)


@pytest.fixture
def listen(inbox: Inbox, commitments: Commitments) -> Iterator[Callable[..., Listener]]:
    """Start a listener with these settings on a free port; it is stopped at the end."""
    started: list[Listener] = []

    def start(**settings: Any) -> Listener:
        defaults: dict[str, Any] = {
            "calling_ae_titles": ("MODALITY",),
            "pdu_timeout_s": 0.5,
            "negotiation_timeout_s": 0.5,
        }
        section = Receive(**{**defaults, **settings}).model_copy(update={"port": 0})  # 0: any free port
        listener = Listener(section, inbox, commitments)
        listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        listener.stop(5)


@pytest.fixture
def connect() -> Iterator[Callable[..., Peer]]:
    """Connect to a listener; closed at the end."""
    peers: list[Peer] = []

    def make(listener: Listener, **options: Any) -> Peer:
        peer = Peer(listener.port, **options)
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def associate(connect: Callable[..., Peer]) -> Callable[..., Peer]:
    """Connect and have an association accepted."""

    def make(listener: Listener, **options: Any) -> Peer:
        peer = connect(listener)
        peer.say(association_request(**options))
        assert peer.hear()[0] == 2, "the association was not accepted"
        return peer

    return make
