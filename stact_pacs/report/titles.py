"""What a case is called: its headline, its key in short, and the file of its page."""

from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.report import words


def short_key(job_key: str) -> str:
    """Return the first 16 digits of a job key: enough to tell jobs apart, and the name of the report."""
    return job_key[:16]


def outcome_words(outcome: str, reason: str | None, nodules: int = 0) -> str:
    """Return the outcome as a headline.

    >>> outcome_words("scored", None, 2), outcome_words("not_scored", "too_few_frames")
    ('2 nodules scored', 'Not scored: too few frames')
    """
    if outcome == Outcome.SCORED:
        return f"{words.count(nodules, 'nodule')} scored" if nodules else "Scored"
    if outcome == Outcome.NO_NODULE:
        return "No nodule found"
    return f"Not scored: {words.reason_words(reason)}" if reason else "Not scored"


def pending_words(state: JobState | None) -> str:
    """Return the headline of a job that has no result."""
    if state is JobState.FAILED:
        return "Failed: a person must look"
    return "No result yet" if state in (JobState.WAITING, JobState.RUNNING, JobState.HELD) else "No result"


def report_name(job_key: str) -> str:
    """Return the file name of a case's report.

    >>> report_name("0123456789abcdef" * 4)
    '0123456789abcdef.html'

    Raises
    ------
    ValueError
        The key is not made of hexadecimal digits: no other text becomes part of a path.
    """
    name = short_key(job_key)
    if len(name) < 16 or not set(name) <= set("0123456789abcdef"):
        raise ValueError(f"job_key is {job_key!r}, at least 16 hexadecimal digits are needed")
    return f"{name}.html"
