"""The door to pydicom's reader: header facts from a file that may be anything, without surprises.

Tolerant by design: an element that cannot be understood counts as absent. Only a file that is no DICOM file at
all, or one that could not be searched safely, is refused.
"""

import errno
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from math import isfinite
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from stact_pacs.cine.plain import plain_numbers, plain_text, tag_of
from stact_pacs.errors import Reason, Refused, Transient

PIXEL_DATA = 0x7FE00010
UNDEFINED_LENGTH = 0xFFFFFFFF

_DEFER_BYTES = 65536
"""Longer header values are skipped: no false length can make us allocate more than this while we read the header."""
_LONGEST_VALUE_BYTES = 1 << 20
"""A skipped value that is asked for is read after all, unless it is longer; a palette of 65536 colours has 128 KiB."""
_MOST_READS = 100_000
"""An element takes one or two reads, and a real header a few hundred. Without an end, a file of nothing but empty
elements would keep everybody waiting for hours: 25 us each, 130,000 to the megabyte."""

# What pydicom raises for altered files; ValueError covers the Unicode errors.
_READ_ERRORS = (
    InvalidDicomError, BytesLengthException, OSError, EOFError, struct.error, ValueError, TypeError, AttributeError,
    LookupError, ArithmeticError, NotImplementedError, RecursionError, AssertionError, MemoryError,
)  # fmt: skip

_MACHINE_ERRNOS = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""The file may be sound: it is the machine that cannot read it at the moment."""

_WARNINGS_LOCK = threading.RLock()
_quiet = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Header:
    """The elements before the pixel data, and where the pixel data is."""

    dataset: Dataset
    transfer_syntax_uid: str
    pixel_data_vr: str | None
    """None when the pixel data is absent, or the VR is implicit."""
    pixel_data_offset: int
    """Byte offset of the value of Pixel Data (7FE0,0010) in the file; 0 when absent."""
    pixel_data_length: int
    """Length as sent: 0xFFFFFFFF when encapsulated, 0 when absent."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep pydicom's warnings from standard error: they quote values of the header, and so could quote a patient.

    Python's warning filters are global, so the block is locked; keep it short. A block inside another costs nothing.
    """
    if getattr(_quiet, "is_held", False):
        yield
        return
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _quiet.is_held = True
        try:
            yield
        finally:
            _quiet.is_held = False


def read_header(path: Path) -> Header:
    """Read a DICOM file up to its pixel data.

    Raises
    ------
    Refused
        `not_dicom`: it is not a DICOM file. `not_decodable`: it is deflated, which cannot be read within limits.
    Transient
        It cannot be read at the moment: the disk fails, or memory or descriptors are used up.
    """
    try:
        with quietly(), _Bounded(FileIO(str(path))) as file:
            _refuse_deflated(path)
            return _parse(file)
    except _READ_ERRORS as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) in _MACHINE_ERRNOS:
            raise _unreadable_now(error) from error
        raise Refused(
            Reason.NOT_DICOM,
            f"The file cannot be read as a DICOM file ({_cause(error)}).",
            remedy="Export the image again as a DICOM file (PS3.10) with its file meta information.",
        ) from error


def _unreadable_now(error: Exception) -> Transient:
    return Transient(
        f"A file cannot be read at the moment ({_cause(error)}).",
        remedy="Look at the disk, the memory and the limit of open files.",
    )


def _cause(error: Exception) -> str:
    """Name an error without its text, which may quote what was read."""
    return getattr(error, "strerror", None) or type(error).__name__


def _refuse_deflated(path: Path) -> None:
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise Refused(
            Reason.NOT_DECODABLE,
            "The transfer syntax Deflated Explicit VR Little Endian is not accepted.",
            remedy="Export the image again, uncompressed or as JPEG, JPEG-LS, JPEG 2000 or RLE.",
        )


class _Bounded(BufferedReader):
    """A file of which so many pieces are read, each so long, and no more.

    Of Specific Character Set, pydicom reads as much as its length says, which may be 4 GiB that are not there.
    """

    _left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise Refused(
                Reason.NOT_DICOM,
                f"The header has more elements than {_MOST_READS} reads yield.",
                remedy="Export the image again, without the private elements that fill it.",
            )
        return super().read(_DEFER_BYTES if size is None else min(size, _DEFER_BYTES))


def _parse(file: _Bounded) -> Header:
    found: dict[str, Any] = {"pixel_data_vr": None, "pixel_data_offset": 0, "pixel_data_length": 0}

    def at_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag == PIXEL_DATA:
            found.update(pixel_data_vr=vr, pixel_data_offset=file.tell(), pixel_data_length=length)
        return int(tag) >= PIXEL_DATA

    dataset = read_partial(file, stop_when=at_pixel_data, defer_size=_DEFER_BYTES)
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    return Header(dataset=dataset, transfer_syntax_uid=str(syntax), **found)


# -- one element, or its default -----------------------------------------------------------------------


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value of the element, or None when it is absent, empty, not understandable or far too long."""
    if tag_of(keyword) not in dataset:
        return None
    try:
        with quietly():
            sent: object = dataset.get_item(keyword, keep_deferred=True)
            if isinstance(sent, RawDataElement) and sent.value is None and sent.length > _LONGEST_VALUE_BYTES:
                return None
            value = dataset.get(keyword)
    except _READ_ERRORS:
        return None
    return None if value in ("", b"") else value


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return the value as text as it was sent, several values joined by a backslash; empty when absent."""
    plain = plain_text(dataset, keyword)
    if plain is not None:
        return plain
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\0 ")
    if isinstance(value, str):
        return str(value)
    return "\\".join(str(item) for item in value) if hasattr(value, "__iter__") else str(value)


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the (first) value as a finite number, or None."""
    numbers = numbers_of(dataset, keyword)
    return numbers[0] if numbers else None


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return all values as finite numbers; empty when the element is absent or any of them is not one."""
    numbers = plain_numbers(dataset, keyword)
    if numbers is None:
        numbers = _interpreted_numbers(dataset, keyword)
    return numbers if all(isfinite(number) for number in numbers) else ()


def _interpreted_numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    value = value_of(dataset, keyword)
    if value is None or isinstance(value, (bytes, Dataset)):
        return ()
    values = [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)
    try:
        return tuple(float(item) for item in values)
    except (TypeError, ValueError, OverflowError):
        return ()


def integer_of(dataset: Dataset, keyword: str, default: int, *, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    """Return the value as an integer in [low, high] (the range of IS by default); `default` when it is not one."""
    return as_integer(number_of(dataset, keyword), default, low=low, high=high)


def as_integer(number: float | None, default: int, *, low: int, high: int) -> int:
    """Return a number as an integer in [low, high]; `default` when it is not one."""
    if number is None or number != int(number) or not low <= number <= high:
        return default
    return int(number)


def number_of_frames_of(dataset: Dataset) -> int:
    """Return Number of Frames (0028,0008): 1 when absent or empty, 0 when it is no count (and refused later)."""
    if tag_of("NumberOfFrames") not in dataset:
        return 1
    try:
        with quietly():
            sent = dataset.get_item("NumberOfFrames").value
    except _READ_ERRORS:
        return 0
    if isinstance(sent, bytes):
        sent = sent.strip(b" \0")
    return 1 if sent in (None, "", b"") else integer_of(dataset, "NumberOfFrames", 0)


@dataclass(frozen=True, slots=True)
class DatasetElements:
    """The elements of a data set or an item, as pydicom reads them; what cannot be understood counts as absent."""

    dataset: Dataset

    def text(self, keyword: str) -> str:
        return text_of(self.dataset, keyword)

    def number(self, keyword: str) -> float | None:
        return number_of(self.dataset, keyword)

    def integer(self, keyword: str, default: int, *, low: int = -(2**31), high: int = 2**31 - 1) -> int:
        return integer_of(self.dataset, keyword, default, low=low, high=high)

    def number_of_frames(self) -> int:
        return number_of_frames_of(self.dataset)
