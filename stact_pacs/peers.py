"""Name a DICOM peer: a configured destination, or `AE@host:port`."""

import re
from collections.abc import Sequence

from pydantic import ValidationError

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.delivering import AnyDestination, Destination

_PEER = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d+)")


def peer_of(text: str, destinations: Sequence[AnyDestination]) -> Destination:
    """Return the peer that the text names.

    Raises
    ------
    Misconfigured
        It is neither a configured name nor of the form AE@host:port.

    >>> peer_of("PACS@127.0.0.1:104", []).port
    104
    """
    for destination in destinations:
        if destination.name == text:
            return _dicom(destination)
    if parts := _PEER.fullmatch(text):
        try:
            return Destination(
                name="peer",
                ae_title=parts["ae_title"],
                host=parts["host"].strip("[]"),
                port=int(parts["port"]),
            )
        except ValidationError as error:
            raise _unknown(text, destinations) from error
    raise _unknown(text, destinations)


def _dicom(destination: AnyDestination) -> Destination:
    if isinstance(destination, Destination):
        return destination
    text = f"The destination {destination.name} is a DICOMweb service, which knows no C-ECHO and no C-STORE."
    raise Misconfigured(text, remedy="Run: stact-pacs check (it asks every destination in its own way).")


def _unknown(text: str, destinations: Sequence[AnyDestination]) -> Misconfigured:
    names = ", ".join(destination.name for destination in destinations) or "none"
    return Misconfigured(f"There is no peer {text!r}.", remedy=f"Write AE@host:port, or a configured name ({names}).")
