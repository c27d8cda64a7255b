"""Is a series complete? DICOM has no message that says "that was all", so several signs are put together.

The quiet time decides; what is known to be missing makes it longer, and knowing that nothing is makes it shorter.
"""

from dataclasses import dataclass

from stact_pacs.domain.series import OpenSeries, Unknown
from stact_pacs.settings.receiving import Series


@dataclass(frozen=True, slots=True)
class Wait:
    """More may come."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Close it."""

    because: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Close it, and warn: something that was expected did not happen."""

    because: str


Verdict = Wait | Complete | GivenUp


def judge(opened: OpenSeries, *, quiet_s: float, missing_at_source: int | Unknown, settings: Series) -> Verdict:
    """Say whether a series is complete.

    Parameters
    ----------
    opened
        The series.
    quiet_s
        For how many seconds nothing has happened to it.
    missing_at_source
        How many instances its source has that are not here.
    settings
        Section `series`.
    """
    missing = _missing_by_header(opened) if isinstance(missing_at_source, Unknown) else missing_at_source
    if opened.held:
        return _wait_at_most(quiet_s, settings, "an association that sent into it is still open")
    if missing:
        return _wait_at_most(quiet_s, settings, f"{missing} instances are missing")
    if quiet_s >= settings.quiet_period_s:
        return Complete(f"Nothing came for {settings.quiet_period_s:g} s.")
    if missing_at_source is Unknown.NOT_YET or not is_settled(opened, quiet_s, settings):
        return Wait()
    if missing == 0:
        return Complete("All instances that were expected are here.")
    return Complete("Each instance is a cine of its own.") if _complete_in_itself(opened) else Wait()


def is_settled(opened: OpenSeries, quiet_s: float, settings: Series) -> bool:
    """Return whether nobody seems to be sending into the series any more: the moment to ask whether that was all."""
    return not opened.held and quiet_s >= min(settings.settled_period_s, settings.quiet_period_s)


def _wait_at_most(quiet_s: float, settings: Series, why: str) -> Verdict:
    if quiet_s < settings.longest_wait_s:
        return Wait()
    return GivenUp(f"Nothing came for {settings.longest_wait_s:g} s, and {why}.")


def _missing_by_header(opened: OpenSeries) -> int | None:
    """Return how many instances are missing by Number of Series Related Instances (0020,1209), if the sender says it.

    It may have been written before the last instance was made, hence the largest value of all.
    """
    expected = max(instance.number_of_series_related_instances for instance in opened.instances)
    return max(0, expected - len(opened.instances)) if expected else None


def _complete_in_itself(opened: OpenSeries) -> bool:
    """Return whether a later instance could not change any cine of the series: each is multi-frame."""
    return all(instance.number_of_frames > 1 for instance in opened.instances)
