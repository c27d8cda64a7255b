"""What the HTTP status of a STOW-RS response leads to: read off the function that judges real ones."""

from http import HTTPStatus

from pydicom.dataset import Dataset

from stact_pacs.conformance.document import Table
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood
from stact_pacs.deliver.stow_answer import outcome_of_answer
from stact_pacs.errors import DestinationUnavailable

_UID = "2.25.1"
_A_STATUS_OF_NO_MEANING = 599


def http_statuses() -> Table:
    """Return the table; what is not in it has the last row."""
    others = _behaviour(_A_STATUS_OF_NO_MEANING)
    by_behaviour: dict[str, list[str]] = {}
    for status in HTTPStatus:
        if (behaviour := _behaviour(status)) != others:
            by_behaviour.setdefault(behaviour, []).append(f"{status.value} {status.phrase}")
    rows = [(", ".join(statuses), behaviour) for behaviour, statuses in by_behaviour.items()]
    return Table(
        caption="HTTP statuses of STOW-RS responses that do not name the instance among the failed ones",
        columns=("Status", "Behaviour"),
        rows=(*rows, ("any other", others)),
    )


def _behaviour(http_status: int) -> str:
    try:
        outcome = outcome_of_answer(http_status, _response_that_names_it(), _UID)
        unnamed = outcome_of_answer(http_status, b"", _UID)
    except DestinationUnavailable as error:
        return f"the destination rests, the same bytes are sent again afterwards. {error.remedy}".rstrip()
    if isinstance(outcome, Accepted):
        named = "stored, if Referenced SOP Sequence names the instance"
        return named if isinstance(unnamed, Accepted) else f"{named}; else the same bytes are sent again after a wait"
    if isinstance(outcome, RefusedForGood):
        return "dead letter at once; a person decides"
    return "the same bytes are sent again after a wait"


def _response_that_names_it() -> bytes:
    item, response = Dataset(), Dataset()
    item.ReferencedSOPInstanceUID = _UID
    response.ReferencedSOPSequence = [item]
    return response.to_json().encode()
