"""Real ultrasound that packages of the registry carry: openly licensed, de-identified by their makers."""

import zipfile
from importlib.resources import files
from pathlib import Path

GREY_CINE = "GREYSCALE_CINE.dcm"
COLOUR_CINE = "RGB_CINE.dcm"
COLOUR_DOPPLER = "ultrasound-multiframe.dcm"
JPEG_CINE = "color3d_jpeg_baseline.dcm"
TWO_FRAMES = "OBXXXX1A_rle_2frame.dcm"
STILL = "JPGLosslessP14SV1_1s_1f_8b.dcm"

ALL = (GREY_CINE, COLOUR_CINE, COLOUR_DOPPLER, JPEG_CINE, TWO_FRAMES, STILL)


def real_ultrasound(name: str, folder: Path) -> Path:
    """Put one of the files into the folder and return its path."""
    target = folder / name
    target.write_bytes(_content(name))
    return target


def _content(name: str) -> bytes:
    if name in (GREY_CINE, COLOUR_CINE):
        archive = files("deid_data") / "data" / "ultrasounds" / name.replace(".dcm", ".zip")
        with archive.open("rb") as file, zipfile.ZipFile(file) as zipped:
            return zipped.read(next(member for member in zipped.namelist() if member.endswith(name)))
    if name == COLOUR_DOPPLER:
        return (files("deid_data") / "data" / "ultrasounds" / name).read_bytes()
    return (files("data_store") / "data" / name).read_bytes()
