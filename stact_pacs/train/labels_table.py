"""Tables of labels as people write them: CSV files, with every problem gathered and none passed over.

`metadata.csv` of Stanford's layout and `labels.csv` of an archive of DICOM cines share the columns read here.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stact_pacs.domain.problems import Problem
from stact_pacs.errors import Misconfigured
from stact_pacs.train.data import NoduleRecord, Sex, TiradsDescriptors
from stact_pacs.train.tirads import descriptor_errors, descriptor_warnings

DIAGNOSIS = "histopath_diagnosis"
"""0 benign, 1 malignant: the only column that serves as label; a TI-RADS level never does."""
_SIZES = ("size_x", "size_y", "size_z")
_TIRADS = {
    "composition": "ti_rads_composition",
    "echogenicity": "ti_rads_echogenicity",
    "shape": "ti_rads_shape",
    "margin": "ti_rads_margin",
    "foci": "ti_rads_echogenicfoci",
    "level": "ti_rads_level",
}
"""Column of each field of `TiradsDescriptors`."""
DETAIL_COLUMNS = ("age", "sex", "location", *_SIZES, *_TIRADS.values())
"""Columns that a table may lack: what is made of them (Table 1, floors, subgroups) then lacks them too."""
_DIAGNOSES = {"0": False, "1": True, "0.0": False, "1.0": True}
_SEXES: Mapping[str, Sex] = {"female": "Female", "f": "Female", "male": "Male", "m": "Male", "": ""}
_LOCATIONS = frozenset({"right", "left", "isthmus", ""})
_UNKNOWN = frozenset({"", "na", "n/a", "nan", "none", "null"})
_OLDEST_YEARS = 120.0
_LARGEST_CM = 30.0
"""Above it the size is in millimetres, or wrong."""


class Problems(list[Problem]):
    """The problems of one cohort, gathered while it is read."""

    def fatal(self, where: str, text: str, remedy: str) -> None:
        """Note what makes the cohort unusable."""
        self.append(Problem(where=where, text=text, remedy=remedy))

    def warn(self, where: str, text: str, remedy: str) -> None:
        """Note what a person should know of."""
        self.append(Problem(where=where, text=text, remedy=remedy, fatal=False))

    def raise_if_fatal(self) -> None:
        """Refuse the cohort when something is fatal, naming the first such problem.

        Raises
        ------
        Misconfigured
            At least one problem is fatal.
        """
        fatal = [problem for problem in self if problem.fatal]
        if fatal:
            others = f" {len(fatal) - 1} more: see `stact-pacs cohort check`." if len(fatal) > 1 else ""
            raise Misconfigured(f"{fatal[0].where}: {fatal[0].text}{others}", remedy=fatal[0].remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table."""

    where: str
    """File and line, for messages."""
    cells: Mapping[str, str]
    """Stripped text by column; columns in lower case, with `_` for `-` and space."""

    def text(self, column: str) -> str:
        """Return the cell; empty when it is blank, `NA` or the like, or the table lacks the column."""
        value = self.cells.get(column, "")
        return "" if value.lower() in _UNKNOWN else value


def read_table(path: Path, required: tuple[str, ...], problems: Problems) -> list[Row]:
    """Read a CSV table with a header line; line ends and a byte order mark do not matter, nor do `-` and `_`.

    Parameters
    ----------
    required
        Columns without which nothing can be read: lacking one is a fatal problem, and gives no rows.
    """
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problems.fatal(path.name, f"It cannot be read ({type(error).__name__}).", "Save it as CSV in UTF-8.")
        return []
    columns = [_column(name) for name in lines[0][1]] if lines else []
    missing = [name for name in required if name not in columns]
    if missing:
        remedy = "Add it; the first line names all columns, separated by commas."
        problems.fatal(path.name, f"It has no column {', '.join(missing)}.", remedy)
        return []
    return [_row(path, number, columns, cells, problems) for number, cells in lines[1:]]


def _column(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _row(path: Path, number: int, columns: list[str], cells: list[str], problems: Problems) -> Row:
    where = f"{path.name} line {number}"
    if len(cells) != len(columns):
        problems.fatal(where, f"It has {len(cells)} cells for {len(columns)} columns.", "Mend the line.")
    return Row(where=where, cells={name: cell.strip() for name, cell in zip(columns, cells, strict=False)})


def record_of(row: Row, annot_id: str, patient_id: str, number_of_frames: int, problems: Problems) -> NoduleRecord:
    """Return the nodule that the row is about, noting what cannot be right; unreadable details count as unknown."""
    malignant = _DIAGNOSES.get(row.text(DIAGNOSIS))
    if malignant is None:
        problems.fatal(row.where, f"{DIAGNOSIS} is not 0 (benign) or 1 (malignant).", "Write 0 or 1, from histology.")
    x, y, z = (_number(row, column, _LARGEST_CM, problems) for column in _SIZES)
    return NoduleRecord(
        annot_id=annot_id,
        patient_id=patient_id,
        malignant=bool(malignant),
        number_of_frames=number_of_frames,
        age_years=_number(row, "age", _OLDEST_YEARS, problems),
        sex=_sex(row, problems),
        location=_location(row, problems),
        size_cm=(x, y, z),
        tirads=_tirads(row, problems),
    )


def warn_of_missing_columns(path: Path, rows: list[Row], problems: Problems) -> None:
    """Note which of the columns that a table may lack it does lack."""
    missing = [name for name in DETAIL_COLUMNS if rows and name not in rows[0].cells]
    if missing:
        text = f"It has no column {', '.join(missing)}: these count as unknown."
        problems.warn(path.name, text, "Add the columns if the facts are known.")


def _number(row: Row, column: str, most: float, problems: Problems) -> float | None:
    """Return a number in (0, most], or None when the cell is empty or, which is a fatal problem, no such number."""
    text = row.text(column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= most:  # also false for nan
        problems.fatal(
            row.where, f"{column} is no number above 0, up to {most:g}.", "Mend the cell, or leave it empty."
        )
        return None
    return value


def _sex(row: Row, problems: Problems) -> Sex:
    sex = _SEXES.get(row.text("sex").lower())
    if sex is None:
        problems.warn(row.where, "sex is neither Female nor Male: it counts as unknown.", "Write Female or Male.")
        return ""
    return sex


def _location(row: Row, problems: Problems) -> str:
    location = row.text("location").lower()
    if location not in _LOCATIONS:
        problems.warn(row.where, "location is not right, left or isthmus: it counts as unknown.", "Write one of them.")
        return ""
    return location


def _tirads(row: Row, problems: Problems) -> TiradsDescriptors | None:
    """Return the descriptors when all are there; some of them without the others are of no use."""
    texts = {field: row.text(column) for field, column in _TIRADS.items()}
    if not all(texts.values()):
        if any(texts.values()):
            problems.warn(row.where, "some TI-RADS columns are empty: all count as unknown.", "Fill them, or none.")
        return None
    try:
        tirads = TiradsDescriptors(**{field: _points(text) for field, text in texts.items()})
    except ValueError:
        problems.fatal(row.where, "a TI-RADS column is no whole number of points.", "Write ACR points, level 1 to 5.")
        return None
    for error in descriptor_errors(tirads):
        problems.fatal(row.where, f"{error}.", "Write ACR points, level 1 to 5.")
    for doubt in descriptor_warnings(tirads):
        problems.warn(row.where, f"{doubt}.", "Read the nodule again.")
    return tirads


def _points(text: str) -> int:
    """Return a whole number, `2` or `2.0`.

    Raises
    ------
    ValueError
        It is none.
    """
    value = float(text)
    if not value.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(value)
