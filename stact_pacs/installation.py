"""Make a new installation: settings file, folders, database."""

from pathlib import Path

from stact_pacs.app import open_database
from stact_pacs.errors import Misconfigured
from stact_pacs.patients import patient_key
from stact_pacs.settings.loading import DEFAULT_FILE, load
from stact_pacs.settings.whole import Settings
from stact_pacs.settings_template import example_toml
from stact_pacs.store.migrate import upgrade


def make_installation(directory: Path, toml: str | None = None) -> Path:
    """Write the settings file into the folder and prepare what it names; return the file.

    Raises
    ------
    Misconfigured
        A settings file is there already; it is never overwritten.
    """
    file = (directory / DEFAULT_FILE).resolve()
    if file.exists():
        raise Misconfigured(f"There is a settings file {file} already.", remedy="Edit it, or choose another folder.")
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text(example_toml() if toml is None else toml, encoding="utf-8")
    prepare(load(file))
    return file


def prepare(settings: Settings) -> None:
    """Make the folders and bring the database to this software's version."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    patient_key(settings.patient_key_file)
    database = open_database(settings)
    try:
        upgrade(database)
    finally:
        database.close()
