"""Tell UIDs from other text (PS3.5 9.1).

pydicom's own check warns with the text in the message, which a peer could use to write into our log and, since
Python remembers every warning, to fill our memory.
"""

import re

MAX_UID_CHARACTERS = 64
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


def is_uid(text: str) -> bool:
    """Whether this is a valid UID.

    >>> is_uid("1.2.840.10008.1.1"), is_uid("1.2.01"), is_uid("../etc"), is_uid("")
    (True, False, False, False)
    """
    return len(text) <= MAX_UID_CHARACTERS and _UID.fullmatch(text) is not None
