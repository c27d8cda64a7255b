"""An error that nobody foresaw is told by its type and its place."""

import re

from stact_pacs.backoff import backoff_s
from stact_pacs.errors import BundleInvalid
from stact_pacs.unforeseen import describe


def test_a_remedy_is_told() -> None:
    assert describe(BundleInvalid("It is altered.", remedy="Import it again.")).endswith("Remedy: Import it again.")


def test_the_message_of_a_foreign_error_is_never_told() -> None:
    try:
        int("Doe^Jane")
    except ValueError as error:
        text = describe(error)
    assert "Doe" not in text
    assert text.startswith("Unexpected ValueError at test_unforeseen.py:")


def test_the_place_is_also_told_by_our_modules_the_innermost_first() -> None:
    try:
        backoff_s("Doe^Jane", base_s=1, cap_s=1, jitter=1)  # type: ignore[arg-type]
    except TypeError as error:
        text = describe(error)
    assert re.fullmatch(r"Unexpected TypeError at stact_pacs\.backoff:\d+\.", text)
