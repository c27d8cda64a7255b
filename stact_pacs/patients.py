"""Recognise a patient in the database without writing down who it is: digests under a key of this installation.

A plain digest would not do: Patient IDs are few enough to be tried one after the other. The key lies in a file of its
own, so the database, or a copy of it, alone tells nobody's ID.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stact_pacs.domain.results import PatientDigests, PatientIdentity
from stact_pacs.errors import Misconfigured
from stact_pacs.files import sync
from stact_pacs.settings.loading import read_secret

_KEY_BYTES = 32  # as long as the digest; more adds nothing to HMAC-SHA256
_REMEDY = "Put back the file from your backup. A new key cannot find the patients of earlier results."


class PatientDigester:
    """Makes the digests of patients.

    Parameters
    ----------
    key
        Of this installation. Another key gives other digests.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digests(self, patient: PatientIdentity) -> PatientDigests | None:
        """Return under what a patient is found; None without a Patient ID: nobody can be told from anybody then.

        A Patient ID is unique only within its issuer (PS3.3 C.7.1.1), so the same ID of another issuer, or of none,
        is another patient. The birth date is the check that an ID was not given to a second person.
        """
        if not patient.patient_id:
            return None
        names = [patient.patient_id, *patient.issuers]
        return PatientDigests(
            patient_id=self._digest(["patient id", *names]),
            patient=self._digest(["patient", *names, patient.birth_date]) if patient.birth_date else None,
        )

    def _digest(self, words: Sequence[str]) -> str:
        return hmac.new(self._key, json.dumps(words).encode(), hashlib.sha256).hexdigest()


def patient_key(file: Path) -> bytes:
    """Return the key in the file; when there is no file, make one with a new key, which only its owner may read.

    Two processes may do this at once: both get the same key.

    Raises
    ------
    Misconfigured
        The file cannot be read or made, others may read it, or it holds no key.
    """
    if not file.exists():
        _make(file)
    text = read_secret(file)
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise Misconfigured(f"The file {file} holds no key: it is not hexadecimal.", remedy=_REMEDY) from error
    if len(key) < _KEY_BYTES:
        raise Misconfigured(f"The file {file} holds no key: {_KEY_BYTES} bytes are needed.", remedy=_REMEDY)
    return key


def _make(file: Path) -> None:
    """Put a file with a new key in place, whole, unless another process was first."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}.part")  # threads, too, have one each
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as written:
            written.write(f"{secrets.token_hex(_KEY_BYTES)}\n")
            written.flush()
            os.fsync(written.fileno())
        with suppress(FileExistsError):
            os.link(part, file)
        sync(file.parent)  # a key that a power failure takes back would leave digests that nobody can make again
    except OSError as error:
        raise Misconfigured(
            f"The file {file} cannot be made: {error.strerror}.", remedy="Correct database.patient_key_file."
        ) from error
    finally:
        part.unlink(missing_ok=True)
