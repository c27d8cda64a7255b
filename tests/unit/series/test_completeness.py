from datetime import UTC, datetime, timedelta

import pytest

from stact_pacs.series.completeness import is_quiet

LAST = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("passed_s", "quiet"), [(-3600, False), (0, False), (59.9, False), (60, True), (3600, True)])
def test_a_series_is_quiet_once_the_period_has_passed(passed_s: float, quiet: bool) -> None:
    assert is_quiet(LAST, LAST + timedelta(seconds=passed_s), quiet_period_s=60) is quiet
