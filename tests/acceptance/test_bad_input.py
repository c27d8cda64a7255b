"""Bad input is answered, not suffered: a clear message with its remedy, a non-zero exit, nothing lost."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from stact_pacs.shipped import shipped
from stact_pacs.train.phantom_dicom import write_phantom_dicom

pytestmark = pytest.mark.slow


def stact_pacs(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stact_pacs", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


# -- files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> pydicom.Dataset:
    path = tmp_path_factory.mktemp("phantom") / "phantom.dcm"
    write_phantom_dicom(path, seed=3, malignant=False)
    return pydicom.dcmread(path)


def no_pixel_data(dataset: pydicom.Dataset) -> None:
    del dataset.PixelData


def truncated_pixel_data(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


def one_frame_too_many(dataset: pydicom.Dataset) -> None:
    dataset.NumberOfFrames = int(dataset.NumberOfFrames) + 1


def zero_frames(dataset: pydicom.Dataset) -> None:
    dataset.NumberOfFrames = 0


def unknown_transfer_syntax(dataset: pydicom.Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")  # MPEG-4
    dataset.PixelData = encapsulate([b"a film, not frames"])


DAMAGES: tuple[Callable[[pydicom.Dataset], None], ...] = (
    no_pixel_data,
    truncated_pixel_data,
    one_frame_too_many,
    zero_frames,
    unknown_transfer_syntax,
)


@pytest.fixture(scope="module")
def answers(phantom: pydicom.Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what `process` says of every damaged file, by the name of the damage; they go in together."""
    folder = tmp_path_factory.mktemp("damaged")
    uids = {}
    for damage in DAMAGES:
        dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(_bytes_of(phantom)))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        damage(dataset)
        dataset.save_as(folder / f"{damage.__name__}.dcm", enforce_file_format=False)
        uids[str(dataset.SOPInstanceUID)] = damage.__name__
    (folder / "not_dicom.dcm").write_bytes(b"this is a letter, not an image\n" * 50)
    (folder / "empty.dcm").write_bytes(b"")
    ran = stact_pacs("process", folder, "--out", "out", "--json", cwd=folder.parent)
    assert ran.returncode == 3, ran.stderr
    records = json.loads(ran.stdout)
    named = {uids[r["source_sop_instance_uids"][0]]: r for r in records if r["source_sop_instance_uids"]}
    return named | {Path(r["file"]).stem: r for r in records if "file" in r}


def _bytes_of(dataset: pydicom.Dataset) -> bytes:
    buffer = pydicom.filebase.DicomBytesIO()
    dataset.save_as(buffer)
    content = buffer.getvalue()
    assert isinstance(content, bytes)
    return content


@pytest.mark.parametrize("damage", [damage.__name__ for damage in DAMAGES])
def test_a_damaged_cine_is_not_scored_and_the_reason_has_a_remedy(answers: dict[str, Any], damage: str) -> None:
    record = answers[damage]
    assert (record["outcome"], record["reason"]) == ("not_scored", "not_decodable")
    assert "Remedy:" in record["reason_text"]
    assert [made["kind"] for made in record["objects"]] == ["SR"], "the reason is delivered too, never silence"


@pytest.mark.parametrize("name", ["not_dicom", "empty"])
def test_what_is_not_dicom_gets_a_result_that_says_so(answers: dict[str, Any], name: str) -> None:
    assert (answers[name]["outcome"], answers[name]["reason"]) == ("not_scored", "not_dicom")
    assert "Remedy:" in answers[name]["reason_text"]


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    ran = stact_pacs("process", "nothing-here.dcm", "--out", "out", cwd=tmp_path)
    assert ran.returncode == 2
    assert "nothing-here.dcm" in ran.stderr


# -- installation --------------------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """Return the folder of a fresh installation that may receive."""
    assert stact_pacs("init", ".", cwd=tmp_path).returncode == 0
    file = tmp_path / "stact-pacs.toml"
    text = file.read_text(encoding="utf-8").replace("# calling_ae_titles = []", 'calling_ae_titles = ["PACS"]')
    file.write_text(text.replace("# reserve_mb = 1024", "reserve_mb = 100"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def set_port(installation: Path, port: int) -> None:
    file = installation / "stact-pacs.toml"
    text = file.read_text(encoding="utf-8").replace("# port = 11112", f"port = {port}")
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("role", [(), ("--only", "receive")])
def test_a_port_in_use_stops_the_start_and_says_which(
    installation: Path, taken_port: int, role: tuple[str, ...]
) -> None:
    set_port(installation, taken_port)
    ran = stact_pacs("serve", *role, cwd=installation)
    assert ran.returncode == 3
    assert str(taken_port) in ran.stderr
    assert "remedy:" in ran.stderr


def test_init_never_overwrites_a_settings_file(installation: Path) -> None:
    before = (installation / "stact-pacs.toml").read_bytes()
    ran = stact_pacs("init", ".", cwd=installation)
    assert ran.returncode == 3
    assert (installation / "stact-pacs.toml").read_bytes() == before


@pytest.fixture
def own_models(installation: Path) -> Path:
    """Return the folder of the active bundle: a copy that may be damaged."""
    shutil.copytree(shipped("models"), installation / "models")
    file = installation / "stact-pacs.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('# folder = "..."  (not set)', 'folder = "models"', 1), encoding="utf-8")
    return installation / "models" / "phantom-demo" / "1.0.0"


def test_an_altered_bundle_file_is_never_loaded(installation: Path, own_models: Path) -> None:
    weights = own_models / "segmenter.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for command in (("serve",), ("check",), ("models", "verify", "phantom-demo/1.0.0")):
        ran = stact_pacs(*command, cwd=installation)
        assert ran.returncode == 3, command
        assert "segmenter.safetensors" in ran.stderr + ran.stdout


def test_a_missing_bundle_file_is_named(installation: Path, own_models: Path) -> None:
    (own_models / "member-3.safetensors").unlink()
    ran = stact_pacs("serve", cwd=installation)
    assert ran.returncode == 3
    assert "member-3.safetensors" in ran.stderr
    assert "remedy:" in ran.stderr


def test_a_database_of_a_newer_version_is_left_alone(installation: Path) -> None:
    file = installation / "stact-pacs-data" / "stact-pacs.sqlite3"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    for command in (("serve",), ("jobs", "list"), ("db", "upgrade"), ("db", "status")):
        ran = stact_pacs(*command, cwd=installation)
        assert ran.returncode == 3, command
        assert "newer" in ran.stderr
        assert "remedy:" in ran.stderr
    assert file.read_bytes() == before


def test_a_destination_that_is_down_is_told_and_keeps_nothing_from_starting(
    installation: Path, taken_port: int
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = probe.getsockname()[1]
    ran = stact_pacs("echo", f"PACS@127.0.0.1:{dead}", cwd=installation)
    assert ran.returncode == 1
    assert "remedy:" in ran.stderr
    with (installation / "stact-pacs.toml").open("a", encoding="utf-8") as file:
        file.write(f'[[destinations]]\nname = "down"\nhost = "127.0.0.1"\nport = {dead}\nae_title = "PACS"\n')
    checked = json.loads(stact_pacs("check", "--json", cwd=installation).stdout)
    [problem] = [p for check in checked for p in check["problems"]]
    assert problem["where"] == "destinations.down"
    assert problem["remedy"]
    assert not problem["fatal"]


def test_sending_to_nobody_fails_and_says_so(installation: Path) -> None:
    cine = str(get_testdata_file("examples_ybr_color.dcm", download=False))
    ran = stact_pacs("send", cine, "--to", "nowhere", cwd=installation)
    assert ran.returncode == 3
    assert "AE@host:port" in ran.stderr
