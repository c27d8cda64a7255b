"""What several modules here share."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.integration.result_cases import Case, make_case


@pytest.fixture(scope="session")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Give a case by the name of its row in `result_cases`; each is made once."""

    @cache
    def made(name: str) -> Case:
        return make_case(name, tmp_path_factory.mktemp("case"))

    return made
