"""Settings of the way out: what is written, and where it goes."""

from typing import Literal

from pydantic import Field

from stact_pacs.settings.section import AeTitle, Port, Section


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
