"""Settings of the way in: the listener, when a series is complete, and where things lie."""

from pathlib import Path

from pydantic import Field, IPvAnyNetwork, field_validator, model_validator

from stact_pacs.settings.section import AeTitle, Port, Section


class Peer(Section):
    """A sender that has to prove who it is."""

    ae_title: AeTitle
    """The AE title under which it calls."""
    addresses: tuple[IPvAnyNetwork, ...] = ()
    """Addresses and networks (10.1.2.0/24) that it may call from; empty means any."""
    certificates: tuple[str, ...] = ()
    """Its certificate: common name, DNS name or SHA-256 fingerprint; any one of these does. Empty means any."""
    called_ae_title: AeTitle | None = None
    """The AE title that it calls; none means receive.ae_title."""
    may_store: bool = True
    """Take its instances. False for one that only verifies the connection or asks for storage commitment (0x0124)."""
    reserved_associations: int = Field(default=1, ge=0)
    """How many of receive.max_associations are kept for it, whatever others do."""
    commitment_host: str = ""
    """Host that its storage commitment reports go to; empty means that it may not ask for storage commitment."""
    commitment_port: Port = 104
    """DICOM port there."""


class ReceiveTls(Section):
    """TLS 1.2 or 1.3 on the port of receive; without this section the port is plain."""

    certificate_file: Path
    """PEM file: our certificate, then the ones between it and the root."""
    key_file: Path
    """PEM file (mode 0600): the private key of the certificate, without a password."""
    ca_file: Path | None = None
    """PEM file: the CA certificates that a sender's certificate is checked against."""
    require_client_certificate: bool = True
    """Refuse senders that prove no certificate; needs ca_file."""

    @model_validator(mode="after")
    def _can_require_certificates(self) -> "ReceiveTls":
        if self.require_client_certificate and self.ca_file is None:
            raise ValueError("require_client_certificate needs ca_file; or set it to false")
        return self


class Ups(Section):
    """A workitem server (UPS-RS) whose work items are claimed; without this section there is none."""

    url: str = Field(pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?$")
    """URL of the DICOMweb service with the work items and their images, such as https://pacs.example.org/dicom-web."""
    token_file: Path | None = None
    """File (mode 0600) with a bearer token; it is read again for every request."""
    ca_file: Path | None = None
    """PEM file: the CA certificates that the server's certificate is checked against; none means the system's."""
    label: str = ""
    """Claim only work items with this Procedure Step Label (0074,1204); empty claims every scheduled one."""
    poll_s: float = Field(default=30, gt=0)
    """How often the server is asked."""
    timeout_s: float = Field(default=30, gt=0)
    """Longest wait for a connection or an answer."""
    longest_work_h: float = Field(default=24, gt=0)
    """A work item whose inputs do not come, or whose results are not delivered, for so many hours is given up."""

    @model_validator(mode="after")
    def _token_is_not_in_clear(self) -> "Ups":
        if self.token_file is not None and not self.url.startswith("https:"):
            raise ValueError("a token needs an https url")
        return self


class Receive(Section):
    """The DICOM listener."""

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless you open it."""
    port: Port = 11112
    """Port to listen on."""
    ae_title: AeTitle = "STACT_PACS"
    """Our AE title; an association that calls another one is rejected."""
    calling_ae_titles: tuple[AeTitle, ...] = ()
    """AE titles that may send, from any address: the short form of receive.peers. Both empty accepts nobody."""
    accept_any: bool = False
    """Accept every other calling AE title as well. Only for a closed network."""
    max_associations: int = Field(default=32, ge=1, le=1024)
    """Associations at once; more are rejected as transient (2/3/2)."""
    max_associations_per_address: int = Field(default=16, ge=1, le=1024)
    """Connections at once from one address."""
    max_pdu_bytes: int = Field(default=131072, ge=16384, le=1048576)
    """Longest PDU that we announce and accept."""
    max_instance_mb: int = Field(default=2048, ge=1)
    """Longest instance accepted, in MB (10^6 bytes)."""
    pdu_timeout_s: float = Field(default=10, gt=0)
    """Longest wait for the rest of a PDU that has begun."""
    negotiation_timeout_s: float = Field(default=10, gt=0)
    """Longest wait for the association request after a connection, TLS handshake included."""
    idle_timeout_s: float = Field(default=60, gt=0)
    """An association that sends nothing for this long is aborted."""
    memory_limit_mb: int = Field(default=1024, ge=256)
    """Most memory for data of the listener's process, in MB (10^6 bytes): 256, and 10 for each association."""
    peers: tuple[Peer, ...] = ()
    """Senders that have to prove who they are."""
    tls: ReceiveTls | None = None
    """TLS; none means a plain port."""
    ups: Ups | None = None
    """Work items that are claimed from a workitem server; none means that images are only pushed."""

    @model_validator(mode="after")
    def _one_rule_for_each_title(self) -> "Receive":
        titles = [title.strip() for title in (*self.calling_ae_titles, *(peer.ae_title for peer in self.peers))]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"calling_ae_titles and peers name {', '.join(twice)} more than once")
        return self

    @model_validator(mode="after")
    def _reserves_no_more_than_there_is(self) -> "Receive":
        reserved = sum(peer.reserved_associations for peer in self.peers)
        if reserved > self.max_associations:
            raise ValueError(f"peers reserve {reserved} associations, max_associations is {self.max_associations}")
        return self

    @model_validator(mode="after")
    def _has_memory_for_its_associations(self) -> "Receive":
        needed_mb = 256 + 10 * self.max_associations
        if self.memory_limit_mb < needed_mb:
            raise ValueError(
                f"memory_limit_mb is {self.memory_limit_mb}, {self.max_associations} associations need {needed_mb}"
            )
        return self

    @model_validator(mode="after")
    def _can_check_certificates(self) -> "Receive":
        if any(peer.certificates for peer in self.peers) and (self.tls is None or self.tls.ca_file is None):
            raise ValueError("a peer has certificates, which needs tls.ca_file")
        return self


class Source(Section):
    """A sender that can be asked by C-FIND which instances a series has."""

    calling_ae_title: AeTitle
    """The calling AE title under which it sends."""
    ae_title: AeTitle
    """Its AE title as an archive."""
    host: str = Field(min_length=1)
    """Its name or address."""
    port: Port
    """Its port."""


class Series(Section):
    """When a series is complete."""

    quiet_period_s: float = Field(default=60, gt=0)
    """A series is closed when nothing has come for this long and every association that sent into it has ended."""
    settled_period_s: float = Field(default=10, gt=0)
    """The same when nothing is missing: all expected instances are here, or each is a cine complete in itself."""
    longest_wait_s: float = Field(default=1800, gt=0)
    """A series that misses instances, or is held by an association, is closed after this long, with a warning."""
    sources: tuple[Source, ...] = ()
    """Senders that can be asked which instances a series has."""

    @field_validator("sources")
    @classmethod
    def _senders_differ(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        titles = [source.calling_ae_title for source in sources]
        if len(titles) != len(set(titles)):
            raise ValueError("two sources have the same calling_ae_title")
        return sources


class Storage(Section):
    """Where things lie."""

    data_dir: Path = Path("stact-pacs-data")
    """Received instances, results, reports and (by default) the database. Relative to the settings file."""
    reserve_mb: int = Field(default=1024, ge=1)
    """Free space, in MB, that receiving leaves alone (0xA700); associations are refused a tenth above it."""
