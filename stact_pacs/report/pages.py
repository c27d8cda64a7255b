"""Write the pages: one per case, and the list of cases. Each is one file that needs nothing else and runs nothing."""

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stact_pacs.domain.records import CaseRecord, JobSummary
from stact_pacs.errors import Misconfigured, NoSpace, StactError
from stact_pacs.report import words
from stact_pacs.report.case_view import case_view
from stact_pacs.report.index_view import index_view
from stact_pacs.report.titles import report_name
from stact_pacs.shipped import shipped


def case_page(case: CaseRecord) -> str:
    """Return the report of a case as HTML. The same record gives the same page."""
    return render("report_case.html", view=case_view(case))


def index_page(cases: Sequence[CaseRecord | JobSummary]) -> str:
    """Return the list of cases as HTML, newest first, each linked to its report in the same folder."""
    return render("report_index.html", view=index_view(cases))


def conformance_page(statement: Any) -> str:
    """Return a conformance statement (`conformance.Statement`) as HTML."""
    note = "Made by the software from its settings. Not certified by anybody."
    return render("conformance.html", unverified=note, statement=statement)


def write_case(case: CaseRecord, folder: Path, *, name: str = "") -> Path:
    """Write the report of a case into the folder and return its path.

    Parameters
    ----------
    folder
        Made when missing.
    name
        File name; empty means the first 16 digits of the job key, which is what the index links to.

    Raises
    ------
    NoSpace
        The volume is full. The report that was there before is untouched.
    Misconfigured
        The folder cannot be written.
    """
    return write_page(folder / (name or report_name(case.job_key)), case_page(case))


def write_index(cases: Sequence[CaseRecord | JobSummary], folder: Path) -> Path:
    """Write `index.html` into the folder and return its path; raises as `write_case` does."""
    return write_page(folder / "index.html", index_page(cases))


def render(template: str, *, unverified: str = words.UNVERIFIED, **values: Any) -> str:
    """Return a page from its template; `unverified` is the sentence at its head."""
    return _environment().get_template(template).render(unverified=unverified, **values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(shipped("templates")),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: Any) -> Any:
    """Put a mark in place of control and format characters: some end a page early, some reverse what is read."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if category(character).startswith("C") else character for character in value
    )


def write_page(path: Path, page: str) -> Path:
    """Put the page at the path in one step: a reader sees the old one or the new one, never half of one.

    Raises as `write_case` does.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())  # before the rename, or a power failure could leave an empty report
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where the folder cannot be made, there is nothing to remove either
            part.unlink()
        raise _trouble(path, error) from error
    return path


def _trouble(path: Path, error: OSError) -> StactError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The report {path} does not fit on its volume.", remedy="Free some space.")
    return Misconfigured(
        f"The report {path} cannot be written: {error.strerror}.",
        remedy="Let the service write into that folder, or name another one in report.folder.",
    )
