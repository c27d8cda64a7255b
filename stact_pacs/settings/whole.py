"""The whole settings file, and what is wrong in settings that are each valid."""

from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stact_pacs.domain.problems import Problem
from stact_pacs.settings.delivering import AnyDestination, Deliver, Results
from stact_pacs.settings.house import Database, Log, Report, Web
from stact_pacs.settings.receiving import Receive, Series, Storage
from stact_pacs.settings.scoring import Compute, Decoding, Eligibility, Models

_ENV_PREFIX = "STACT_PACS__"


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
    decoding: Decoding = Decoding()
    storage: Storage = Storage()
    database: Database = Database()
    models: Models = Models()
    compute: Compute = Compute()
    results: Results = Results()
    destinations: tuple[AnyDestination, ...] = ()
    deliver: Deliver = Deliver()
    web: Web = Web()
    report: Report = Report()
    log: Log = Log()

    @field_validator("destinations")
    @classmethod
    def _names_differ(cls, destinations: tuple[AnyDestination, ...]) -> tuple[AnyDestination, ...]:
        names = [destination.name for destination in destinations]
        if len(names) != len(set(names)):
            raise ValueError("two destinations have the same name")
        return destinations

    @model_validator(mode="after")
    def _profiles_exist(self) -> Self:
        profiles = {"", *(profile.name for profile in self.results.profiles)}
        for destination in self.destinations:
            if destination.profile not in profiles:
                raise ValueError(f"the destination {destination.name} names a profile that there is not")
        return self

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
    def inbox_dir(self) -> Path:
        """The folder of what was received."""
        return self.data_dir / "inbox"

    @property
    def reports_dir(self) -> Path:
        """The folder of the HTML reports."""
        return self.report.folder or self.data_dir / "reports"

    @property
    def patient_key_file(self) -> Path:
        """The file with the key under which patients are found again."""
        return self.database.patient_key_file or self.data_dir / "patient.key"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force, without the password of `password_file`."""
        return self.database.url or f"sqlite:///{self.data_dir / 'stact-pacs.sqlite3'}"


def problems(settings: Settings) -> list[Problem]:
    """Return what is wrong, or doubtful, in settings that are each valid."""
    found = []
    receive, eligibility, deliver = settings.receive, settings.eligibility, settings.deliver
    if not receive.calling_ae_titles and not receive.peers and not receive.accept_any:
        found.append(
            Problem(
                where="receive.calling_ae_titles",
                text="No calling AE title is allowed, so nobody can send.",
                remedy='Name the senders: calling_ae_titles = ["PACS"], or [[receive.peers]]. '
                "On a closed network: accept_any = true.",
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
    series = settings.series
    if series.longest_wait_s <= series.quiet_period_s:
        found.append(
            Problem(
                where="series.longest_wait_s",
                text=f"longest_wait_s {series.longest_wait_s:g} is not above quiet_period_s {series.quiet_period_s:g}.",
                remedy="Raise longest_wait_s.",
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
