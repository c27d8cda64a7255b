"""Which C-STORE status means what."""

import pytest

from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, TryLater, outcome_of_status


@pytest.mark.parametrize("status", [0x0000, 0x0001, 0x0107, 0xB000, 0xB006, 0xB007, 0xB123])
def test_success_and_warnings_mean_that_the_object_is_stored(status: int) -> None:
    outcome = outcome_of_status(status)
    assert isinstance(outcome, Accepted)
    assert outcome.status == status


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110, 0x0213, 0xFE00, 0x1234])
def test_a_failure_that_may_pass_is_tried_later(status: int) -> None:
    assert isinstance(outcome_of_status(status), TryLater)


@pytest.mark.parametrize("status", [0x0111, 0x0117, 0x0122, 0x0124, 0xA900, 0xA9FF, 0xC000, 0xCFFF])
def test_a_refusal_of_these_bytes_is_for_good(status: int) -> None:
    assert isinstance(outcome_of_status(status), RefusedForGood)


def test_every_status_has_an_outcome_that_names_it() -> None:
    for status in range(0x10000):
        assert f"{status:04X}" in outcome_of_status(status).text
