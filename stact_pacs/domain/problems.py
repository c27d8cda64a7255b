"""What is wrong with an installation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a person must, or should, mend."""

    where: str
    """The setting, file or peer."""
    text: str
    remedy: str
    fatal: bool = True
    """`serve` does not start on a fatal one."""
