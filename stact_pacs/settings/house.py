"""Settings of the house: database, pages, reports, log."""

from pathlib import Path
from typing import Literal

from stact_pacs.settings.section import Port, Section


class Database(Section):
    """The SQL database."""

    url: str = ""
    """SQLAlchemy URL; empty means SQLite in the data folder. PostgreSQL: postgresql+psycopg://user@host/name."""
    password_file: Path | None = None
    """File (mode 0600) with the password that goes into the URL."""
    patient_key_file: Path | None = None
    """File (mode 0600) with the key of the digests by which earlier results of a patient are found; made when it is
    missing. None means patient.key in the data folder."""


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
