"""Settings of the way out: what is written, and where it goes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from stact_pacs.settings.section import AeTitle, Port, Section

ObjectKindName = Literal["SEG", "SR", "SC", "KOS", "PDF"]
"""As in `domain.ObjectKind`."""


class Writing(Section):
    """How objects are written: what differs between the viewers and archives of different destinations."""

    seg_geometry: Literal["viewer", "strict"] = "viewer"
    """viewer adds Plane Orientation and Pixel Measures to a SEG without a Frame of Reference, which OHIF needs;
    strict leaves them out, as PS3.3 A.51 says."""
    seg_type: Literal["BINARY", "LABELMAP"] = "BINARY"
    """LABELMAP writes one image of segment numbers per frame (Label Map Segmentation Storage), which few archives
    know yet."""
    seg_empty_frames: bool = False
    """Write a frame of the SEG for every frame of the cine, for viewers that lose their place without."""
    nominal_spacing_mm: float = Field(default=1.0, gt=0)
    """Pixel spacing that the viewer geometry of an uncalibrated cine carries; never used for a measurement."""
    sr_class: Literal["comprehensive", "comprehensive_3d"] = "comprehensive"
    """SOP class of the report; the content is the same, and more archives take comprehensive."""
    sc_compression: Literal["jpeg", "none"] = "jpeg"
    """How the pixels of the secondary capture are written: a cine of 90 frames takes some 10 MB in JPEG, 80 MB
    without."""


class Profile(Writing):
    """A second way of writing objects, for the destinations that name it. What it does not say is as in [results]."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """How destinations call it."""


class Results(Writing):
    """What is written back, and how."""

    outputs: tuple[ObjectKindName, ...] = ("SEG", "SR")
    """Kinds of object that are made in any case; what a destination asks for is made too."""
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
    sc_series_number: int = Field(default=9003, ge=1)
    """Series number of the secondary captures."""
    kos_series_number: int = Field(default=9004, ge=1)
    """Series number of the key object selections."""
    pdf_series_number: int = Field(default=9005, ge=1)
    """Series number of the pages."""
    profiles: tuple[Profile, ...] = ()
    """Other ways of writing; see `[[results.profiles]]`."""

    @field_validator("profiles")
    @classmethod
    def _names_differ(cls, profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
        names = [profile.name for profile in profiles]
        if len(names) != len(set(names)):
            raise ValueError("two profiles have the same name")
        return profiles

    def in_profile(self, name: str) -> "Results":
        """Return the section with the settings of a profile over its own; as it is for the empty name."""
        if not name:
            return self
        profile = next(profile for profile in self.profiles if profile.name == name)
        said = {key: getattr(profile, key) for key in profile.model_fields_set & Writing.model_fields.keys()}
        return self.model_copy(update=said)


class ClientTls(Section):
    """TLS 1.2 or 1.3 towards a destination."""

    ca_file: Path | None = None
    """PEM file: the CA certificates that the destination's certificate is checked against; none means the system's."""
    certificate_file: Path | None = None
    """PEM file: our certificate, for a destination that asks for one."""
    key_file: Path | None = None
    """PEM file (mode 0600): the private key of the certificate, without a password."""
    check_host_name: bool = True
    """The destination's certificate has to name the host that we connect to; only for DICOM ports can this be off."""

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> "ClientTls":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class ResultsDestination(Section):
    """Where results go: what a DICOM destination and a DICOMweb destination have in common."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """How the command line and the reports call it."""
    objects: tuple[ObjectKindName, ...] = ("SEG", "SR")
    """Kinds of object that it gets. For a viewer that shows neither SEG nor SR: SC is the cine with the outlines
    drawn, KOS selects the key frames, PDF is the result on one page."""
    profile: str = ""
    """Name of the `[[results.profiles]]` entry in whose way they are written; empty takes [results]."""
    senders: tuple[AeTitle, ...] = ()
    """Calling AE titles whose series it gets the results of, so that results return to where the images came from;
    empty means all."""
    tls: ClientTls | None = None
    """TLS; none means a plain port, or for an https URL the system's CA certificates."""


class Destination(ResultsDestination):
    """A destination that takes results by C-STORE."""

    host: str
    """Host name or address."""
    port: Port
    """Its DICOM port."""
    ae_title: AeTitle
    """Its AE title."""
    transfer_syntaxes: tuple[Literal["explicit", "implicit", "deflated"], ...] = Field(
        default=("explicit", "implicit"), min_length=1
    )
    """Transfer syntaxes to offer, the best first: Explicit VR, Implicit VR and Deflated Explicit VR Little Endian."""
    proof: Literal["none", "commitment", "query"] = "none"
    """How it is asked whether it holds what it accepted: by storage commitment (and C-FIND where its report does not
    come), or by C-FIND alone."""


class WebDestination(ResultsDestination):
    """A destination that takes results by STOW-RS."""

    url: str = Field(pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?$")
    """URL of the DICOMweb service, such as https://pacs.example.org/dicom-web."""
    user: str = ""
    """User name for HTTP Basic authentication, with password_file."""
    password_file: Path | None = None
    """File (mode 0600) with the password."""
    token_file: Path | None = None
    """File (mode 0600) with a bearer token; it is read again for every connection."""
    proof: Literal["none", "query"] = "none"
    """query asks by QIDO-RS whether it holds what it accepted."""

    @model_validator(mode="after")
    def _credentials_are_whole_and_not_in_clear(self) -> "WebDestination":
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together")
        if self.user and self.token_file is not None:
            raise ValueError("user and token_file exclude each other")
        if (self.user or self.token_file) and not self.url.startswith("https:"):
            raise ValueError("credentials need an https url")
        return self


def _kind_of_destination(values: object) -> str:
    is_web = "url" in values if isinstance(values, dict) else isinstance(values, WebDestination)
    return "DICOMweb" if is_web else "DICOM"


AnyDestination = Annotated[
    Annotated[Destination, Tag("DICOM")] | Annotated[WebDestination, Tag("DICOMweb")],
    Discriminator(_kind_of_destination),
]
"""A `[[destinations]]` entry; the one with a url is a DICOMweb service."""


class Deliver(Section):
    """How results are sent."""

    ae_title: AeTitle = "STACT_PACS"
    """AE title under which we call."""
    timeout_s: float = Field(default=30, gt=0)
    """Longest wait for a connection or an answer, and for a destination to take some bytes of an object."""
    retry_base_s: float = Field(default=5, gt=0)
    """Longest wait before the second attempt; it doubles with every further one."""
    retry_cap_s: float = Field(default=300, gt=0)
    """Longest wait between two attempts."""
    horizon_h: float = Field(default=72, gt=0)
    """A delivery that still fails after this many hours becomes a dead letter."""
    lease_s: float = Field(default=120, gt=1)
    """A sender that gives no sign of life for this long loses its delivery."""
    proof_horizon_h: float = Field(default=1, gt=0)
    """What was accepted but is not proven after this many hours is sent again, where a destination asks for proof."""
