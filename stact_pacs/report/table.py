"""The few shapes from which pages are made: facts, and tables of cells. Text only; the template escapes it."""

from dataclasses import dataclass

from stact_pacs.report.words import Label, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value on a page."""

    text: str
    note: str = ""
    """A second, quieter line."""
    code: bool = False
    """An identifier or a digest: shown in a fixed pitch and broken anywhere."""
    tone: Tone | None = None
    """Shown as a coloured label when set."""
    href: str = ""
    """Name of a page in the same folder, to which the text links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; on a phone every row becomes a card with the headings beside the values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"Table.rows must have {len(self.columns)} cells each, as many as there are columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and its value."""

    name: str
    value: Cell


def fact(name: str, text: str, note: str = "", *, code: bool = False) -> Fact:
    """Return a fact with a plain value."""
    return Fact(name=name, value=Cell(text=text, note=note, code=code))


def label(state: Label) -> Cell:
    """Return a state as a coloured label."""
    return Cell(text=state.text, tone=state.tone)
