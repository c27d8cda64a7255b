"""Keep the HTML reports as new as the records."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from stact_pacs.report.pages import write_case, write_index
from stact_pacs.store.jobs import JobRecords

INDEX_LENGTH = 500
"""Cases on the index page, newest first; every case keeps its own page."""
_MARK = ".last-event"

Progress = Callable[[str, int, int], None]


class ReportWriter:
    """Write the pages of the cases that changed since the last call, also across restarts.

    One process does this (the deliver role), so no two write the same page.
    """

    def __init__(self, jobs: JobRecords, folder: Path) -> None:
        self._jobs = jobs
        self._folder = folder
        self._mark = folder / _MARK

    def write_changed(self) -> int:
        """Write what is new; return how many cases that were."""
        changed, last_event = self._jobs.changed_since(self._last_event())
        for job in changed:
            write_case(self._jobs.case(job), self._folder)
        if changed:
            write_index(self._jobs.list(limit=INDEX_LENGTH), self._folder)
            self._mark.write_text(str(last_event), encoding="ascii")  # after the pages: a crash writes them again
        return len(changed)

    def behind(self) -> set[int]:
        """Return the ids of the jobs whose page does not show their last event yet."""
        changed, _last_event = self._jobs.changed_since(self._last_event())
        return set(changed)

    def _last_event(self) -> int:
        try:
            return int(self._mark.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0


def write_reports(
    jobs: JobRecords, folder: Path, *, since: datetime | None, until: datetime | None, progress: Progress
) -> Path:
    """Write a page for every case made in [since, until), and the index; return the index."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = jobs.list(since=since, until=until, limit=None)
    for done, job in enumerate(chosen, start=1):
        write_case(jobs.case(job.id), folder)
        progress("reports", done, len(chosen))
    return write_index(chosen, folder)
