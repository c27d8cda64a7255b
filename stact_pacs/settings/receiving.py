"""Settings of the way in: the listener, when a series is complete, and where things lie."""

from pathlib import Path

from pydantic import Field

from stact_pacs.settings.section import AeTitle, Port, Section


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


class Storage(Section):
    """Where things lie."""

    data_dir: Path = Path("stact-pacs-data")
    """Received instances, results, reports and (by default) the database. Relative to the settings file."""
    reserve_mb: int = Field(default=1024, ge=1)
    """Free space, in MB, below which nothing is received any more (0xA700)."""
