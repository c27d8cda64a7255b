"""What every command prints with: tables or JSON on standard output, problems on standard error, exit codes."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stact_pacs.errors import BundleInvalid, Misconfigured, Refused, SchemaMismatch, StactError

_PLAIN_LINE_EVERY_S = 10.0
"""Least time between two plain progress lines of one step."""
_PLAIN_NOTE_EVERY_S = 60.0
"""Least time between two plain notes."""

console = Console()
error_console = Console(stderr=True)


class Exit(IntEnum):
    """How a command ends."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    REFUSED = 3
    """The input was refused, or problems were found that a person must mend."""


def exit_code_of(error: StactError) -> Exit:
    """Return the exit code for an error: 3 for what a person must mend, 1 for what went wrong."""
    mendable = (Refused, Misconfigured, BundleInvalid, SchemaMismatch)
    return Exit.REFUSED if isinstance(error, mendable) else Exit.FAILED


def print_error(error: StactError) -> None:
    """Print an error and its remedy on standard error."""
    error_console.print(f"[bold red]error:[/] {escape(error.text)}", highlight=False, soft_wrap=True)
    if error.remedy:
        error_console.print(f"[bold]remedy:[/] {escape(error.remedy)}", highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as indented JSON; dataclasses become objects, times ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def print_rows(rows: Sequence[Any], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Print dataclass rows as a table of these columns, or whole as a JSON list."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        console.print(empty)
    else:
        _print_table(rows, tuple(columns))


def _print_table(rows: Sequence[Any], columns: tuple[str, ...]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(getattr(row, column))) for column in columns))
    console.print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in fields.items():
        table.add_row(f"[bold]{name.replace('_', ' ')}[/]", escape(_cell(value)))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class PlainProgress:
    """Progress as plain lines, for a log file or a pipe: when a step begins, when it ends, and now and then between."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, float]] = {}
        self._noted_s = time.monotonic()

    def __call__(self, step: str, done: int, total: int) -> None:
        told, at_s = self._told.get(step, (-1, 0.0))
        now_s = time.monotonic()
        if done == told or (told >= 0 and done < total and now_s - at_s < _PLAIN_LINE_EVERY_S):
            return
        self._told[step] = done, now_s
        print(f"{step}: {done}/{total}", file=sys.stderr, flush=True)  # noqa: T201 - this is the printer

    def note(self, text: str) -> None:
        """Print a line on what is at work, once a minute at most."""
        if text and time.monotonic() - self._noted_s >= _PLAIN_NOTE_EVERY_S:
            self._noted_s = time.monotonic()
            print(f"  {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the printer


class BarProgress:
    """Progress as one rich bar per step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._latest: Any = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self.note("")
            self._tasks[step] = self._bars.add_task(step, total=total, note="")
        self._latest = self._tasks[step]
        self._bars.update(self._latest, completed=done, total=total)

    def note(self, text: str) -> None:
        """Say beside the latest bar what is at work."""
        if self._latest is not None:
            self._bars.update(self._latest, note=escape(text))


class progress_bars:  # noqa: N801 - used as a context manager, like a function
    """Show the progress of long work: `with progress_bars() as progress: work(progress=progress)`.

    `progress(step, done, total)` draws a bar on a terminal, and prints plain lines elsewhere.
    """

    def __init__(self, *, transient: bool = False) -> None:
        self._bars: AbstractContextManager[Progress | None] = nullcontext(None)
        if error_console.is_terminal:
            counted = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(
                *counted, TextColumn("{task.fields[note]}"), console=error_console, transient=transient
            )

    def __enter__(self) -> BarProgress | PlainProgress:
        bars = self._bars.__enter__()
        return PlainProgress() if bars is None else BarProgress(bars)

    def __exit__(self, *exception: Any) -> None:
        self._bars.__exit__(*exception)
