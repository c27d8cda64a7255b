"""Promises are proved small in every test run, and at ten times that size by `make promises`."""

import os

import pytest


@pytest.fixture
def scale() -> int:
    """Return by how much a promise is larger than in the ordinary tests: 1, or 10 by `make promises`."""
    return int(os.environ.get("STACT_PACS_PROMISE_SCALE", "1"))
