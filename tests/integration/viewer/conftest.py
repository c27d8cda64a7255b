"""A clinic for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.integration.viewer.clinic import Clinic, running_clinic


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with running_clinic(tmp_path_factory.mktemp("clinic")) as running:
        yield running
