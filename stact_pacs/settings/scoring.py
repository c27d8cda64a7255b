"""Settings of the middle: which cines are scored, by which model, on what."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from stact_pacs.settings.section import Section

RuleField = Literal[
    "modality", "body_part_examined", "study_description", "series_description", "station_name", "manufacturer",
    "calling_ae",
]  # fmt: skip


class Rule(Section):
    """One rule over a header field: a regular expression, searched without regard to case."""

    field: RuleField
    """Which header field, by its DICOM keyword in snake_case; calling_ae is the sender."""
    pattern: str
    """Python regular expression."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern


class Eligibility(Section):
    """Which cines are scored; every other one is answered with a named reason."""

    min_frames: int = Field(default=10, ge=3)
    """Fewer frames are refused as too_few_frames. The shortest cine of the paper's data set has 11."""
    max_frames: int = Field(default=1000, ge=3)
    """More frames are refused as too_many_frames."""
    allow_colour_doppler: bool = False
    """Score cines with colour flow all the same."""
    exclude: tuple[Rule, ...] = ()
    """A cine that matches any of these is refused as excluded_by_rule."""
    require: tuple[Rule, ...] = ()
    """A cine that does not match all of these is refused as excluded_by_rule."""


class Decoding(Section):
    """What decoding one cine may take. A cine that takes more is refused as not_decodable."""

    memory_mb: int = Field(default=2048, ge=64)
    """Memory, in MB (10^6 bytes), of the decoding process beyond what its libraries take."""
    cpu_s: int = Field(default=60, ge=1)
    """Processor time, in seconds."""
    wall_s: float = Field(default=120, gt=0)
    """Time, in seconds."""


class Models(Section):
    """Which model bundle scores."""

    folder: Path | None = None
    """Folder of bundles, <name>/<version>/; none means the one that ships with the package."""
    active: str = "phantom-demo/1.0.0"
    """The bundle that scores, as name/version."""


class Compute(Section):
    """How the work is done."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto takes a GPU when there is one."""
    batch_frames: int = Field(default=8, ge=1, le=512)
    """Frames, or stacks, that go through a network together. Does not change a score."""
    threads: int = Field(default=0, ge=0, le=256)
    """CPU threads for the networks; 0 leaves it to torch."""
    executor: Literal["local"] = "local"
    """Where jobs run: local is this machine."""
    lease_s: float = Field(default=60, gt=1)
    """A worker that gives no sign of life for this long loses its job."""
    poll_s: float = Field(default=1.0, gt=0)
    """How often the timers look for work."""
    max_attempts: int = Field(default=3, ge=1)
    """A job that failed this often becomes FAILED."""
    retry_base_s: float = Field(default=10, gt=0)
    """Longest wait before the second attempt; it doubles with every further one."""
    retry_cap_s: float = Field(default=600, gt=0)
    """Longest wait between two attempts."""
