"""How the Delivery AE behaves: where results go, and what an answer makes of them (PS3.2 N.4.5)."""

from collections.abc import Iterator

from stact_pacs.conformance.document import Section, Table
from stact_pacs.conformance.web_answers import http_statuses
from stact_pacs.deliver.association import IMPLEMENTATION_VERSION_NAME, LONGEST_PDU_BYTES, MAX_CONTEXTS
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, outcome_of_status
from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.settings.delivering import AnyDestination, Deliver, WebDestination
from stact_pacs.settings.whole import Settings

_MEANS = {
    Accepted: "stored; asked for proof where the destination has one",
    RefusedForGood: "dead letter at once; a person decides",
}
_TRIED_AGAIN = "the same bytes are sent again after a wait"
_STATUS_RANGE = range(0x10000)


def destinations(settings: Settings) -> Section:
    """Return where results go."""
    columns = ("Name", "Where", "Objects", "Profile", "For the senders", "Security", "Proof of arrival")
    rows = tuple(_destination(each) for each in settings.destinations)
    return Section(
        number="4.4",
        title="Delivery AE: destinations",
        paragraphs=_policy(settings.deliver),
        tables=(_limits(settings.deliver), Table(caption="Destinations", columns=columns, rows=rows)),
    )


def answers() -> Section:
    """Return what each status of a C-STORE response, or reason of a STOW-RS response, leads to."""
    rows = tuple(
        (_named(first, last), outcome.text.partition(": ")[2], _means(outcome)) for first, last, outcome in _runs()
    )
    table = Table(
        caption="Statuses of C-STORE responses, and Failure and Warning Reasons of STOW-RS responses",
        columns=("Status", "Meaning", "Behaviour"),
        rows=rows,
    )
    others = (
        "An association rejected for good (result 1) and a presentation context that is not accepted are dead letters "
        "at once; a transient rejection, no connection and no answer are tried again. An answer that did not come "
        "counts as unknown, and the same bytes are sent again."
    )
    over_the_web = (
        "An instance that a STOW-RS response names in Failed SOP Sequence was not stored, whatever the HTTP status; "
        "its Failure Reason is judged as in the first table. No redirection is followed."
    )
    return Section(
        number="4.6", title="Delivery AE: answers", paragraphs=(others, over_the_web), tables=(table, http_statuses())
    )


def _policy(deliver: Deliver) -> tuple[str, ...]:
    return (
        f"Results are sent under the AE title {deliver.ae_title}. Every destination is served by itself, objects of "
        f"one study in order. What fails is tried again after {deliver.retry_base_s:g} s, doubled up to "
        f"{deliver.retry_cap_s:g} s, for {deliver.horizon_h:g} hours; every wait for the peer ends after "
        f"{deliver.timeout_s:g} s. The objects of a job have derived UIDs, so what is sent again is the same object. "
        f"What is proven is never sent again; what is accepted and not proven within {deliver.proof_horizon_h:g} h "
        "is, where a destination asks for proof.",
    )


def _limits(deliver: Deliver) -> Table:
    rows = (
        ("Implementation class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation version name", IMPLEMENTATION_VERSION_NAME),
        ("Maximum PDU received", f"{LONGEST_PDU_BYTES} bytes"),
        ("Longest PDU sent", f"{LONGEST_PDU_BYTES} bytes, or what the peer allows"),
        ("Most presentation contexts in an association", str(MAX_CONTEXTS)),
        ("Asynchronous operations", "not negotiated"),
        ("Longest wait for a connection, an answer, or progress of an object", f"{deliver.timeout_s:g} s"),
    )
    return Table(caption="Policies of the Delivery AE", columns=("What", "Value"), rows=rows)


def _destination(destination: AnyDestination) -> tuple[str, ...]:
    if isinstance(destination, WebDestination):
        where = f"STOW-RS {destination.url}"
        security = "TLS" if destination.url.startswith("https:") else "none"
        security += ", bearer token" if destination.token_file else ", HTTP Basic" if destination.user else ""
    else:
        where = f"C-STORE {destination.ae_title} at {destination.host}:{destination.port}"
        security = "none" if destination.tls is None else "TLS"
    return (
        destination.name,
        where,
        ", ".join(destination.objects),
        destination.profile or "as in [results]",
        ", ".join(destination.senders) or "all",
        security,
        destination.proof,
    )


def _runs() -> Iterator[tuple[int, int, SendOutcome]]:
    """Yield the ranges of statuses that mean the same."""
    first, outcome = 0, outcome_of_status(0)
    for status in _STATUS_RANGE[1:]:
        following = outcome_of_status(status)
        if _meaning(following) != _meaning(outcome):
            yield first, status - 1, outcome
            first, outcome = status, following
    yield first, _STATUS_RANGE[-1], outcome


def _meaning(outcome: SendOutcome) -> tuple[type, str]:
    return type(outcome), outcome.text.partition(": ")[2]


def _named(first: int, last: int) -> str:
    return f"0x{first:04X}" if first == last else f"0x{first:04X} to 0x{last:04X}"


def _means(outcome: SendOutcome) -> str:
    return _MEANS.get(type(outcome), _TRIED_AGAIN)
