"""The error tree. The branch says what happens next.

::

    StactError
    ├── Refused              reported with its named reason, never retried
    ├── Transient            retried by the schedule
    │   ├── NoSpace              the volume is below its reserve
    │   ├── DatabaseUnavailable  locked, stopped, or out of reach
    │   └── DestinationUnavailable  refused the connection, timed out, or answered "try later"
    └── Defect               ours or the installation's: the job fails and a person looks
        ├── Misconfigured        a setting, a port, a file permission: carries the remedy
        ├── BundleInvalid        a model bundle is missing, altered or not loadable
        ├── SchemaMismatch       the database is older or newer than this software
        ├── IllegalMove          a state machine was asked for a move its table does not have
        ├── NotFound             nothing is on record under that id or key
        ├── LeaseLost            another worker holds the job now: drop the work, write nothing
        └── DeliveryRefused      the destination said no for good: dead letter

Every message names the thing, its value and the rule, and ends with the remedy where there is one.
A message never quotes a patient attribute.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a cine, or a file, was not scored. The value is what `result.json` and the SR carry."""

    NOT_DICOM = "not_dicom"
    """The file cannot be read as a DICOM instance at all."""
    NOT_ULTRASOUND = "not_ultrasound"
    """The SOP class or the modality is not an ultrasound image."""
    TOO_FEW_FRAMES = "too_few_frames"
    """Fewer frames than `eligibility.min_frames`; a lone still is a cine of one frame."""
    TOO_MANY_FRAMES = "too_many_frames"
    """More frames, or more pixels, than the configured limit."""
    COLOUR_DOPPLER = "colour_doppler"
    """Colour flow is painted over the tissue, so the grey pattern cannot be judged."""
    NOT_DECODABLE = "not_decodable"
    """No pixel data, pixel data that ends early, a wrong frame count, or an unknown transfer syntax."""
    EXCLUDED_BY_RULE = "excluded_by_rule"
    """A rule of the settings file excludes it."""


class StactError(Exception):
    """Root of every error this package raises on purpose.

    Parameters
    ----------
    text
        One sentence: the thing, its value, the rule.
    remedy
        What a person can do about it; empty when nothing can be done.
    """

    def __init__(self, text: str, *, remedy: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text} Remedy: {self.remedy}" if self.remedy else self.text


class Refused(StactError):
    """This input will not be scored, now or later; `reason` says why."""

    def __init__(self, reason: Reason, text: str, *, remedy: str = "") -> None:
        super().__init__(text, remedy=remedy)
        self.reason = reason


class Transient(StactError):
    """It may work later without anybody doing anything."""


class NoSpace(Transient):
    """The volume is below its reserve."""


class DatabaseUnavailable(Transient):
    """The database is locked, stopped or out of reach."""


class DestinationUnavailable(Transient):
    """The destination refused the connection, timed out or asked to try later."""


class Defect(StactError):
    """A fault in this software or its installation; a person must look."""


class Misconfigured(Defect):
    """The installation is wrong: a setting, a port in use, a file permission."""


class BundleInvalid(Defect):
    """A model bundle is missing, altered, or not one that this software can load."""


class SchemaMismatch(Defect):
    """The database schema is not the one that this software writes."""


class IllegalMove(Defect):
    """A state machine was asked for a move that its table does not have."""


class NotFound(Defect):
    """Nothing is on record under the id or key that was asked for."""


class LeaseLost(Defect):
    """Another worker holds the job now; whatever was computed must be dropped."""


class DeliveryRefused(Defect):
    """The destination refused the object for good; sending it again cannot help."""
