"""A statement as Markdown."""

from collections.abc import Iterator

from stact_pacs.conformance.document import Section, Statement, Table


def as_markdown(statement: Statement) -> str:
    """Return the statement as Markdown with tables (GitHub's)."""
    lines = [f"# {statement.title}", "", f"{statement.product} {statement.version}", ""]
    for section in statement.sections:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"{'#' * (section.number.count('.') + 2)} {section.number} {section.title}"
    yield ""
    for paragraph in section.paragraphs:
        yield from (_safe(paragraph), "")
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield from (f"*{_safe(table.caption)}*", "", _row(table.columns), _row(("---",) * len(table.columns)))
    yield from map(_row, table.rows)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_safe, cells))} |"


def _safe(text: str) -> str:
    """Return text that stays one cell: settings may hold anything."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
