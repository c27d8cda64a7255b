"""Which SOP classes and transfer syntaxes are accepted, and which library decodes each of them."""

from enum import StrEnum

ULTRASOUND_SOP_CLASSES: dict[str, str] = {
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame Image Storage",
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound Image Storage",
    "1.2.840.10008.5.1.4.1.1.3": "Ultrasound Multi-frame Image Storage (Retired)",
    "1.2.840.10008.5.1.4.1.1.6": "Ultrasound Image Storage (Retired)",
    "1.2.840.10008.5.1.4.1.1.6.2": "Enhanced US Volume Storage",
}
"""SOP classes that are ultrasound by themselves, with their names (PS3.6 Annex A)."""

SECONDARY_CAPTURE_SOP_CLASSES: dict[str, str] = {
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.1": "Multi-frame Single Bit Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image Storage",
}
"""Screen captures: ultrasound only if their modality says so."""

SUPPORTED_SOP_CLASSES: tuple[str, ...] = (*ULTRASOUND_SOP_CLASSES, *SECONDARY_CAPTURE_SOP_CLASSES)
"""Every SOP class that is received and may be scored."""


class DecoderName(StrEnum):
    """Which library decodes: one named per transfer syntax, so that a result never depends on what is installed."""

    NATIVE = ""
    """Uncompressed: pydicom reads it itself."""
    LIBJPEG_TURBO = "simplejpeg"
    """Gives the luminance of a colour JPEG without computing its colours, and survives altered bytes: on some of
    those gdcm, the other one for lossless JPEG, ends the whole process."""
    PYJPEGLS = "pyjpegls"
    PYLIBJPEG = "pylibjpeg"
    """With its openjpeg and rle plugins."""


DECODERS: dict[str, DecoderName] = {
    "1.2.840.10008.1.2": DecoderName.NATIVE,  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1": DecoderName.NATIVE,  # Explicit VR Little Endian
    "1.2.840.10008.1.2.2": DecoderName.NATIVE,  # Explicit VR Big Endian
    "1.2.840.10008.1.2.5": DecoderName.PYLIBJPEG,  # RLE Lossless
    "1.2.840.10008.1.2.4.50": DecoderName.LIBJPEG_TURBO,  # JPEG Baseline, 8 bit
    "1.2.840.10008.1.2.4.51": DecoderName.LIBJPEG_TURBO,  # JPEG Extended, if 8 bit
    "1.2.840.10008.1.2.4.57": DecoderName.LIBJPEG_TURBO,  # JPEG Lossless, process 14, if 8 bit
    "1.2.840.10008.1.2.4.70": DecoderName.LIBJPEG_TURBO,  # JPEG Lossless, selection value 1, if 8 bit
    "1.2.840.10008.1.2.4.80": DecoderName.PYJPEGLS,  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81": DecoderName.PYJPEGLS,  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90": DecoderName.PYLIBJPEG,  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91": DecoderName.PYLIBJPEG,  # JPEG 2000
    "1.2.840.10008.1.2.4.201": DecoderName.PYLIBJPEG,  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202": DecoderName.PYLIBJPEG,  # High-Throughput JPEG 2000 Lossless, RPCL
    "1.2.840.10008.1.2.4.203": DecoderName.PYLIBJPEG,  # High-Throughput JPEG 2000
}
"""Transfer syntax UID -> its decoder. Deflated is left out because it inflates without limit before it can be
checked, video because frame and time of a nodule are not addressable in it as DICOM frames."""

SUPPORTED_TRANSFER_SYNTAXES: tuple[str, ...] = tuple(DECODERS)
"""Every transfer syntax that is received and can be decoded."""

JPEG_2000_FAMILY = frozenset(uid for uid in DECODERS if uid.rpartition(".")[2] in {"90", "91", "201", "202", "203"})
"""Codestreams that begin with an SIZ segment (ISO/IEC 15444-1)."""

JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})

JPEG_LOSSLESS = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
"""Their components are stored as they are: no colour transform belongs to these codestreams."""

RLE_LOSSLESS = "1.2.840.10008.1.2.5"


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether the pixel data is cut into fragments (PS3.5 A.4)."""
    return DECODERS[transfer_syntax_uid] is not DecoderName.NATIVE


def decoder_package(transfer_syntax_uid: str) -> str:
    """Return the name of the installed package whose code decodes."""
    match DECODERS[transfer_syntax_uid]:
        case DecoderName.NATIVE:
            return "pydicom"
        case DecoderName.PYLIBJPEG:
            return "pylibjpeg-rle" if transfer_syntax_uid == RLE_LOSSLESS else "pylibjpeg-openjpeg"
        case named:
            return named.value
