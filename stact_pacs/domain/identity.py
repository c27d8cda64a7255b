"""What carries a name for ever: UIDs, and the key of a job."""

import hashlib
import uuid
from collections.abc import Iterable

_UID_NAMESPACE = uuid.UUID("5e5f3c6e-8d0b-5f0c-9d2c-1b7a4c7e9a10")


def derived_uid(*parts: str) -> str:
    """Return the UID that belongs to these words for ever: `2.25.` and the integer of a UUIDv5 (PS3.5 B.2).

    >>> derived_uid("job", "SEG") == derived_uid("job", "SEG")
    True
    """
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, '/'.join(parts)).int}"


def new_uid() -> str:
    """Return a UID that nobody has had: `2.25.` and the integer of a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


IMPLEMENTATION_CLASS_UID = derived_uid("implementation", "STACT-PACS")
"""Names this software in File Meta Information and in association negotiation (PS3.7 D.3.3.2)."""


def job_key(instance_digests: Iterable[str], bundle_digest: str) -> str:
    """Return the identity of a job: what is scored (in any order) and by which bundle. 64 hex digits."""
    lines = [*sorted(instance_digests), bundle_digest]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
