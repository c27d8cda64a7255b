"""Make the text of a foreign header valid by its value representation (PS3.5 6.2), without ever failing.

Sources are read tolerantly, results are written strictly: whatever comes out of these functions may be
written into a SEG or an SR in UTF-8. An empty string means that the value had to be left out.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime

from pydicom.charset import decode_bytes, python_encoding

SH_LENGTH, LO_LENGTH, PN_GROUP_LENGTH = 16, 64, 64
"""Longest values in characters (PS3.5 Table 6.2-1); of a PN, per component group."""

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UID_LENGTH = 64
_PN_GROUPS, _PN_COMPONENTS = 3, 5
_DELIMITERS = {ord("^"), ord("=")}
_SINGLE_BYTE_DEFAULT = "iso8859"


def encodings_of(specific_character_set: Sequence[str]) -> list[str]:
    """Return Python's names of the terms of Specific Character Set (PS3.3 C.12.1.1.2); unknown terms are passed over.

    The misspelling ISO-IR 100, which some scanners write, is understood.

    >>> encodings_of(["", "ISO 2022 IR 87"])
    ['iso8859', 'iso2022_jp']
    >>> encodings_of(["ISO-IR 100"])
    ['latin_1']
    >>> encodings_of(["KLINGON"])
    ['iso8859']
    """
    terms = [re.sub(r"^ISO[-_ ]IR[-_ ]?", "ISO_IR ", term.strip()) for term in specific_character_set]
    known = [python_encoding[term] for term in terms if term in python_encoding]
    return known or [_SINGLE_BYTE_DEFAULT]


def decoded(raw: bytes, encodings: Sequence[str]) -> str:
    """Return the text of an element value; bytes that the encoding does not know become U+FFFD."""
    if len(encodings) == 1 and b"\x1b" not in raw:
        return raw.decode(encodings[0], errors="replace")
    return decode_bytes(raw, [*encodings, _SINGLE_BYTE_DEFAULT], _DELIMITERS)


def cleaned(text: str) -> str:
    """Strip padding and every control character, the invisible ones that turn the reading direction included."""
    kept = (c for c in text if unicodedata.category(c) != "Cc" and c not in _BIDI_CONTROLS)
    return "".join(kept).strip()


def identifier(length: int) -> Callable[[str], str]:
    """Return the rule of an identifier: as it is, or not at all. Cut short it might be somebody else's.

    >>> identifier(16)("A-123"), identifier(16)("12345678901234567"), identifier(16)("A\\\\B")
    ('A-123', '', '')
    """

    def keep(text: str) -> str:
        text = cleaned(text)
        return "" if len(text) > length or "\\" in text else text

    return keep


def description(length: int) -> Callable[[str], str]:
    """Return the rule of a descriptive text: cut at the length, a backslash becomes a slash."""

    def cut(text: str) -> str:
        return cleaned(text).replace("\\", "/")[:length].strip()

    return cut


def person_name(text: str) -> str:
    r"""Return a name of at most three component groups of five components each (PS3.5 6.2.1).

    >>> person_name("Yamada^Tarou=\u5c71\u7530^\u592a\u90ce")
    'Yamada^Tarou=山田^太郎'
    """
    groups = cleaned(text).replace("\\", " ").split("=")[:_PN_GROUPS]
    cut = ["^".join(group.split("^")[:_PN_COMPONENTS])[:PN_GROUP_LENGTH].strip() for group in groups]
    return "=".join(cut).rstrip("=")


def date(text: str) -> str:
    """Return a DA; the old form with full stops is understood, an impossible date is left out.

    >>> date("20240229"), date("2024.02.29"), date("20230229")
    ('20240229', '20240229', '')
    """
    digits = cleaned(text).replace(".", "")
    return digits if re.fullmatch(r"\d{8}", digits) and _parses(digits, "%Y%m%d") else ""


def time(text: str) -> str:
    """Return a TM; the old form with colons is understood, an impossible time is left out.

    >>> time("101530.5"), time("10:15:30"), time("2561")
    ('101530.5', '101530', '')
    """
    digits = cleaned(text).replace(":", "")
    match = re.fullmatch(r"(\d{2}|\d{4}|\d{6})(\.\d{1,6})?", digits)
    if not match or (match[2] and len(match[1]) != len("HHMMSS")):
        return ""
    return digits if _parses(match[1], "%H%M%S"[: len(match[1])]) else ""


def code_string(*allowed: str) -> Callable[[str], str]:
    """Return the rule of a CS that has these enumerated values and no others."""

    def keep(text: str) -> str:
        value = cleaned(text).upper()
        return value if value in allowed else ""

    return keep


def utc_offset(text: str) -> str:
    """Return Timezone Offset From UTC as &ZZXX (PS3.3 C.12.1.1.8), empty when it is not one."""
    value = cleaned(text)
    return value if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", value) and value != "-0000" else ""


def decimal(text: str) -> str:
    """Return a DS that is a finite positive number, else nothing."""
    value = cleaned(text)
    return value if re.fullmatch(r"\+?\d{1,12}(\.\d{0,12})?", value) and len(value) <= 16 and float(value) > 0 else ""


def decimal_string(number: float) -> str:
    """Return a finite number as a DS of at most 16 characters (PS3.5 6.2).

    >>> decimal_string(0.0838), decimal_string(-1 / 3e-30)
    ('0.0838', '-3.333333333e+29')
    """
    return f"{number:.10g}"


def uid(text: str) -> str:
    """Return a UID as it is, or nothing when it is none (PS3.5 9.1).

    >>> uid("1.2.840.10008"), uid("none")
    ('1.2.840.10008', '')
    """
    value = cleaned(text)
    return value if re.fullmatch(r"\d+(\.\d+)+", value) and len(value) <= _UID_LENGTH else ""


def code_value(text: str) -> str:
    """Return a CS of any value: capitals, digits, blanks and underscores, at most 16; else nothing."""
    value = cleaned(text)
    return value if re.fullmatch(r"[A-Z0-9_ ]{1,16}", value) else ""


def _parses(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True
