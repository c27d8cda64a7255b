"""Look for all problems of an installation; every one comes with a remedy.

A check returns its problems and never stops another check. `serve` runs the quick ones and does not start
on a fatal problem; `stact-pacs check` runs all.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stact_pacs.app import App, utc_now
from stact_pacs.cine.syntaxes import SUPPORTED_TRANSFER_SYNTAXES, decoder_package
from stact_pacs.domain.problems import Problem
from stact_pacs.errors import StactError
from stact_pacs.patients import patient_key
from stact_pacs.settings.delivering import AnyDestination, Deliver, WebDestination
from stact_pacs.settings.whole import problems as settings_problems
from stact_pacs.tls import expiry_problems, server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check found."""

    name: str
    problems: tuple[Problem, ...]
    summary: str
    """What is well, when nothing is wrong."""
    parts: tuple[str, ...] = ()
    """What is well, one by one, also beside problems."""


def startup_problems(app: App) -> list[Problem]:
    """Return what could keep the service from starting; takes well under a second."""
    return [problem for check in _QUICK for problem in check(app).problems]


def all_problems(app: App) -> list[Checked]:
    """Run every check."""
    return [check(app) for check in (*_QUICK, *_SLOW)]


# -- quick: before every start ----------------------------------------------------------------------------


def check_settings(app: App) -> Checked:
    """Judge settings that are each valid, together."""
    return Checked(name="settings", problems=tuple(settings_problems(app.settings)), summary="valid")


def check_folders(app: App) -> Checked:
    """Ask whether we can write where data goes, and how much room there is."""
    return Checked(name="disk", problems=tuple(_folder_problems(app)), summary=_free_words(app.settings.data_dir))


def _folder_problems(app: App) -> Iterator[Problem]:
    folder = app.settings.data_dir
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Problem(
            where=str(folder),
            text="The data folder is missing or not writable.",
            remedy="Run: stact-pacs db upgrade (it makes the folder), or correct storage.data_dir.",
        )
        return
    reserve_mb = app.settings.storage.reserve_mb
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < reserve_mb:
        yield Problem(
            where=str(folder),
            text=f"{free_mb:.0f} MB are free, below storage.reserve_mb {reserve_mb}: nothing will be received.",
            remedy="Free space, or lower storage.reserve_mb.",
            fatal=False,
        )


def _free_words(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / 1e9:.1f} GB free" if folder.is_dir() else ""


def check_database(app: App) -> Checked:
    """Ask whether the database answers, has our version, and keeps what it has committed."""
    problems = _problems_of("database", app.require_schema)
    problems = problems or _problems_of("database", app.database.require_durable_commits)
    return Checked(name="database", problems=problems, summary="reachable, up to date, commits are durable")


def check_patient_key(app: App) -> Checked:
    """Ask whether the key is sound under which a patient's earlier results are found; one that was lost is missed."""
    file = app.settings.patient_key_file
    if file.exists():
        problems = _problems_of("database.patient_key_file", lambda: patient_key(file))
        return Checked(name="patient key", problems=problems, summary="there, for its owner only")
    with suppress(StactError):  # what is wrong with the database, its own check says
        if app.jobs.know_patients():
            problem = Problem(
                where=str(file),
                text="The key of the patients on record is missing: their earlier results will not be found.",
                remedy="Put the file back from your backup. Without it, the worker makes a new key.",
                fatal=False,
            )
            return Checked(name="patient key", problems=(problem,), summary="")
    return Checked(name="patient key", problems=(), summary="made with the first result")


def check_port(app: App) -> Checked:
    """Ask whether the DICOM port can be had; a service of ours that is running may hold it."""
    receive = app.settings.receive
    where = f"receive.port {receive.port}"
    if _can_bind(receive.host, receive.port):
        return Checked(name="port", problems=(), summary=f"{receive.host}:{receive.port} is free")
    problem = Problem(
        where=where,
        text=f"{receive.host}:{receive.port} cannot be bound: it is in use, or not an address of this machine.",
        remedy="Stop the other program (or the service that runs already), or change receive.host or receive.port.",
    )
    return Checked(name="port", problems=(problem,), summary="")


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def check_tls(app: App) -> Checked:
    """Ask whether the files of TLS can be used, and how long their certificates are good for."""
    tls = app.settings.receive.tls
    if tls is None:
        return Checked(name="tls", problems=(), summary="off: the DICOM port is plain")
    problems = _problems_of("receive.tls", lambda: server_context(tls))
    if not problems:
        problems = tuple(expiry_problems(tls, utc_now()))
    return Checked(name="tls", problems=problems, summary="on, the certificates are good for a month at least")


def check_bundle(app: App) -> Checked:
    """Compare every file of the active bundle with its digest."""
    problems = _problems_of("models.active", lambda: app.bundle)
    summary = f"{app.settings.models.active}, every digest as its manifest says" if not problems else ""
    return Checked(name="bundle", problems=problems, summary=summary)


# -- slow: only `check` -----------------------------------------------------------------------------------


def check_golden(app: App) -> Checked:
    """Let the networks answer the bundle's golden input on this machine's device."""
    if check_bundle(app).problems:
        return Checked(name="self-test", problems=(), summary="not run: the bundle is not sound")
    faults: list[str] = []
    problems = _problems_of("compute.device", lambda: faults.extend(app.desk.scorer.self_test()))
    problems += tuple(
        Problem(where=app.settings.models.active, text=fault, remedy="Set compute.device to cpu, or reinstall torch.")
        for fault in faults
    )
    summary = "" if problems else f"golden answer given on {app.desk.scorer.device}"
    return Checked(name="self-test", problems=problems, summary=summary)


def check_decoders(app: App) -> Checked:
    """Let the decoding process decode the known answers of every transfer syntax."""
    faults: dict[str, str] = {}
    if problems := _problems_of("decoders", lambda: faults.update(app.decoder.faults())):
        return Checked(name="decoders", problems=problems, summary="")
    remedy = "Install the package again; until then images in this transfer syntax are refused."
    return Checked(
        name="decoders",
        problems=tuple(Problem(where=_decoder(uid), text=text, remedy=remedy) for uid, text in faults.items()),
        summary=f"all {len(SUPPORTED_TRANSFER_SYNTAXES)} transfer syntaxes decode their known answers",
        parts=tuple(_decoder(uid) for uid in SUPPORTED_TRANSFER_SYNTAXES if uid not in faults),
    )


def _decoder(transfer_syntax_uid: str) -> str:
    from pydicom.uid import UID

    package = decoder_package(transfer_syntax_uid)
    try:
        package += f" {version(package)}"
    except PackageNotFoundError:
        package += ", which is not installed"
    return f"{UID(transfer_syntax_uid).name}, by {package}"


def check_stored_files(app: App) -> Checked:
    """Look whether the file of every instance on record is in its place."""
    from stact_pacs.receive.compare import compare
    from stact_pacs.receive.folders import Folders

    try:
        missing = compare(Folders(app.settings.inbox_dir), app.instances).missing
    except (StactError, FileNotFoundError):  # what hinders it is told of by other checks, or nothing came yet
        return Checked(name="inbox", problems=(), summary="not looked at: there is no database or no inbox")
    problem = Problem(
        where="inbox",
        text=f"{len(missing)} instances on record have lost their file.",
        remedy="Restore it from a backup, or have them sent again; the log of receive names them at its start.",
        fatal=False,
    )
    summary = "the file of every instance on record is there"
    return Checked(name="inbox", problems=(problem,) if missing else (), summary=summary)


def check_peers(app: App) -> Checked:
    """Ask every destination by C-ECHO, or by a search; one that is down keeps nothing from starting."""
    problems = [
        problem
        for destination in app.settings.destinations
        for problem in _problems_of(
            f"destinations.{destination.name}", partial(_echo, destination, app.settings.deliver), fatal=False
        )
    ]
    names = ", ".join(destination.name for destination in app.settings.destinations) or "none configured"
    return Checked(name="destinations", problems=tuple(problems), summary=f"answer: {names}")


def check_workitem_server(app: App) -> Checked:
    """Ask the workitem server for scheduled work items, where there is one; it may be away for now."""
    from stact_pacs.receive.ups_client import UpsClient

    settings = app.settings.receive.ups
    if settings is None:
        return Checked(name="work items", problems=(), summary="no workitem server is configured")
    problems = _problems_of("receive.ups", UpsClient(settings).scheduled, fatal=False)
    return Checked(name="work items", problems=tuple(problems), summary=f"answers: {settings.url}")


def _echo(destination: AnyDestination, settings: Deliver) -> None:
    from stact_pacs.deliver.cstore import CStoreSender
    from stact_pacs.deliver.stow import StowSender

    if isinstance(destination, WebDestination):
        StowSender(settings).echo(destination)
    else:
        CStoreSender(settings).echo(destination)


def _problems_of(where: str, act: Callable[[], object], *, fatal: bool = True) -> tuple[Problem, ...]:
    """Return the error of ours that the act raises, as a problem."""
    try:
        act()
    except StactError as error:
        return (Problem(where=where, text=error.text, remedy=error.remedy or "See the log.", fatal=fatal),)
    return ()


_QUICK = (check_settings, check_folders, check_database, check_patient_key, check_port, check_tls, check_bundle)
_SLOW = (check_golden, check_decoders, check_stored_files, check_peers, check_workitem_server)
