"""Every setting, typed, with its unit and default; read once, checked whole.

Only `cli` calls `load`; a stage is given its own section. A setting can be overridden by environment:
``STACT_PACS__RECEIVE__PORT=11112``.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stact_pacs.domain import Problem
from stact_pacs.errors import Misconfigured

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]
"""An application entity title: 1 to 16 printable ASCII characters, no backslash, not only spaces (PS3.5 6.2)."""

Port = Annotated[int, Field(ge=1, le=65535)]

DEFAULT_FILE = Path("stact-pacs.toml")
FILE_VARIABLE = "STACT_PACS_CONFIG"
_ENV_PREFIX = "STACT_PACS__"


class Section(BaseModel):
    """A section of the settings file: frozen, and a name that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Receive(Section):
    """The DICOM listener."""

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless you open it."""
    port: Port = 11112
    """Port to listen on."""
    ae_title: AeTitle = "STACT_PACS"
    """Our AE title; an association that calls another one is rejected."""
    calling_ae_titles: tuple[AeTitle, ...] = ()
    """AE titles that may send. Empty accepts nobody, unless accept_any is true."""
    accept_any: bool = False
    """Accept every calling AE title. Only for a closed network."""
    max_associations: int = Field(default=32, ge=1, le=1024)
    """Associations at once; more are rejected as transient (2/3/2)."""
    max_associations_per_address: int = Field(default=16, ge=1, le=1024)
    """Connections at once from one address."""
    max_pdu_bytes: int = Field(default=131072, ge=16384, le=1048576)
    """Longest PDU that we announce and accept."""
    max_instance_mb: int = Field(default=2048, ge=1)
    """Longest instance accepted, in MB (10^6 bytes)."""
    pdu_timeout_s: float = Field(default=15, gt=0)
    """Longest wait for the rest of a PDU that has begun."""
    negotiation_timeout_s: float = Field(default=10, gt=0)
    """Longest wait for the association request after a connection."""
    idle_timeout_s: float = Field(default=60, gt=0)
    """An association that sends nothing for this long is aborted."""


class Series(Section):
    """When a series is complete."""

    quiet_period_s: float = Field(default=60, gt=0)
    """A series is closed when no instance has come for this long."""


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


class Storage(Section):
    """Where things lie."""

    data_dir: Path = Path("stact-pacs-data")
    """Received instances, results, reports and (by default) the database. Relative to the settings file."""
    reserve_mb: int = Field(default=1024, ge=1)
    """Free space, in MB, below which nothing is received any more (0xA700)."""


class Database(Section):
    """The SQL database."""

    url: str = ""
    """SQLAlchemy URL; empty means SQLite in the data folder. PostgreSQL: postgresql+psycopg://user@host/name."""
    password_file: Path | None = None
    """File (mode 0600) with the password that goes into the URL."""


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


class Results(Section):
    """What is written back."""

    outputs: tuple[Literal["SEG", "SR"], ...] = ("SEG", "SR")
    """Kinds of object that are made."""
    seg_geometry: Literal["viewer", "strict"] = "viewer"
    """viewer adds Plane Orientation and Pixel Measures to a SEG without a Frame of Reference, which OHIF needs;
    strict leaves them out, as PS3.3 A.51 says."""
    nominal_spacing_mm: float = Field(default=1.0, gt=0)
    """Pixel spacing that the viewer geometry of an uncalibrated cine carries; never used for a measurement."""
    sr_class: Literal["comprehensive", "comprehensive_3d"] = "comprehensive"
    """SOP class of the report; the content is the same, and more archives take comprehensive."""
    operating_point: str = ""
    """Name of the operating point of the bundle; empty takes the bundle's default."""
    manufacturer: str = Field(default="STACT-PACS", min_length=1, max_length=64)
    """Manufacturer written into every object."""
    device_serial_number: str = Field(default="0", min_length=1, max_length=64)
    """Serial number of this installation, written into every object."""
    seg_series_number: int = Field(default=9001, ge=1)
    """Series number of the segmentations."""
    sr_series_number: int = Field(default=9002, ge=1)
    """Series number of the reports."""


class Destination(Section):
    """Where results go."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """How the command line and the reports call it."""
    host: str
    """Host name or address."""
    port: Port
    """Its DICOM port."""
    ae_title: AeTitle
    """Its AE title."""
    objects: tuple[Literal["SEG", "SR"], ...] = ("SEG", "SR")
    """Kinds of object that it gets."""


class Deliver(Section):
    """How results are sent."""

    ae_title: AeTitle = "STACT_PACS"
    """AE title under which we call."""
    timeout_s: float = Field(default=30, gt=0)
    """Longest wait for a connection or an answer."""
    retry_base_s: float = Field(default=5, gt=0)
    """Longest wait before the second attempt; it doubles with every further one."""
    retry_cap_s: float = Field(default=300, gt=0)
    """Longest wait between two attempts."""
    horizon_h: float = Field(default=72, gt=0)
    """A delivery that still fails after this many hours becomes a dead letter."""
    lease_s: float = Field(default=120, gt=1)
    """A sender that gives no sign of life for this long loses its delivery; longer than timeout_s."""


class Web(Section):
    """Pages, health and metrics."""

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless you open it."""
    port: Port = 8080
    """Port of the pages."""
    enabled: bool = False
    """Start the web pages with `serve`."""


class Report(Section):
    """HTML reports."""

    folder: Path | None = None
    """Where reports go; none means reports/ in the data folder."""


class Log(Section):
    """Logging to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line that is written."""
    json_lines: bool | None = None
    """JSON lines; none means: unless standard error is a terminal."""


class Settings(BaseSettings):
    """The whole file. See the sections for what each setting means."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    receive: Receive = Receive()
    series: Series = Series()
    eligibility: Eligibility = Eligibility()
    storage: Storage = Storage()
    database: Database = Database()
    models: Models = Models()
    compute: Compute = Compute()
    results: Results = Results()
    destinations: tuple[Destination, ...] = ()
    deliver: Deliver = Deliver()
    web: Web = Web()
    report: Report = Report()
    log: Log = Log()

    @field_validator("destinations")
    @classmethod
    def _names_differ(cls, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        names = [destination.name for destination in destinations]
        if len(names) != len(set(names)):
            raise ValueError("two destinations have the same name")
        return destinations

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self.storage.data_dir

    @property
    def reports_dir(self) -> Path:
        """The folder of the HTML reports."""
        return self.report.folder or self.data_dir / "reports"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force, without the password of `password_file`."""
        return self.database.url or f"sqlite:///{self.data_dir / 'stact-pacs.sqlite3'}"


def problems(settings: Settings) -> list[Problem]:
    """Return what is wrong, or doubtful, in settings that are each valid."""
    found = []
    receive, eligibility, deliver = settings.receive, settings.eligibility, settings.deliver
    if not receive.calling_ae_titles and not receive.accept_any:
        found.append(
            Problem(
                where="receive.calling_ae_titles",
                text="No calling AE title is allowed, so nobody can send.",
                remedy='Name the senders: calling_ae_titles = ["PACS"]. On a closed network: accept_any = true.',
            )
        )
    if eligibility.min_frames > eligibility.max_frames:
        found.append(
            Problem(
                where="eligibility.min_frames",
                text=f"min_frames {eligibility.min_frames} is above max_frames {eligibility.max_frames}.",
                remedy="Lower min_frames.",
            )
        )
    if deliver.lease_s <= deliver.timeout_s:
        found.append(
            Problem(
                where="deliver.lease_s",
                text=f"lease_s {deliver.lease_s:g} is not above timeout_s {deliver.timeout_s:g}.",
                remedy="Raise lease_s.",
            )
        )
    if not settings.destinations:
        found.append(
            Problem(
                where="destinations",
                text="There is no destination: results stay here.",
                remedy="Add a [[destinations]] entry.",
                fatal=False,
            )
        )
    return found


def settings_file(given: Path | None) -> Path:
    """Return which settings file applies: the given one, that of the environment, or the default name."""
    return given or Path(os.environ.get(FILE_VARIABLE, DEFAULT_FILE))


def load(file: Path, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings file and the environment; relative paths count from the file's folder.

    Raises
    ------
    Misconfigured
        The file is missing, is not TOML, or has unknown, missing or invalid settings; all of them are named.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Misconfigured(f"There is no settings file {file}.", remedy="Run: stact-pacs init") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"The settings file {file} cannot be read: {error}.", remedy="Correct the file.") from error
    return build({**values, **(overrides or {})}, base=file.resolve().parent)


def build(values: dict[str, Any], *, base: Path) -> Settings:
    """Check the values, the environment over them, and return the settings; see `load`."""
    try:
        settings = Settings(**values)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Misconfigured(f"The settings are not valid: {lines}.", remedy="Correct these settings.") from error
    return _with_absolute_paths(settings, base)


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (base / path)

    return settings.model_copy(
        update={
            "storage": settings.storage.model_copy(update={"data_dir": absolute(settings.storage.data_dir)}),
            "models": settings.models.model_copy(update={"folder": absolute(settings.models.folder)}),
            "report": settings.report.model_copy(update={"folder": absolute(settings.report.folder)}),
            "database": settings.database.model_copy(
                update={"password_file": absolute(settings.database.password_file)}
            ),
        }
    )


def read_secret(file: Path) -> str:
    """Return the one line of a secret file that only its owner may read.

    Raises
    ------
    Misconfigured
        It cannot be read, or its mode lets others read it.
    """
    try:
        if file.stat().st_mode & 0o077:
            raise Misconfigured(f"Others may read the secret file {file}.", remedy=f"Run: chmod 600 {file}")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(
            f"The secret file {file} cannot be read: {error.strerror}.", remedy="Correct database.password_file."
        ) from error
