"""Promises are proved small in every test run, and at ten times that size by `make promises`."""

import os
from collections.abc import Iterator

import pytest

from tests.promises.postgresql import Server, postgresql_server


@pytest.fixture
def scale() -> int:
    """Return by how much a promise is larger than in the ordinary tests: 1, or 10 by `make promises`."""
    return int(os.environ.get("STACT_PACS_PROMISE_SCALE", "1"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a PostgreSQL for the tests of a module; each makes a database of its own."""
    with postgresql_server() as server:
        yield server
