"""Security: transport, access, what is on record, and what a log may hold (PS3.2 N.6)."""

from stact_pacs.conformance.document import Section, Table
from stact_pacs.log import ALLOWED_FIELDS
from stact_pacs.settings.whole import Settings
from stact_pacs.store.history import Action
from stact_pacs.tls import SUITES_OF_TLS_1_2


def transport(settings: Settings) -> Section:
    """Return how connections are protected."""
    tls = settings.receive.tls
    if tls is None:
        incoming = "no TLS: only for a network that is trusted"
    else:
        asked = (
            "a certificate of the sender is required" if tls.require_client_certificate else "senders may be anonymous"
        )
        incoming = f"TLS 1.2 or 1.3; {asked}; a peer's certificate can be bound to its AE title"
    secured = [
        each.name
        for each in settings.destinations
        if each.tls is not None or getattr(each, "url", "").startswith("https:")
    ]
    plain = [each.name for each in settings.destinations if each.name not in secured]
    rows = (
        ("Listener", f"{settings.receive.host}:{settings.receive.port}", incoming),
        ("Destinations with TLS", ", ".join(secured) or "none", "TLS 1.2 or 1.3, certificates checked"),
        ("Destinations without TLS", ", ".join(plain) or "none", "plain"),
        ("Suites of TLS 1.2", SUITES_OF_TLS_1_2, "OpenSSL's names; forward secrecy and AEAD only"),
        ("Web pages", f"{settings.web.host}:{settings.web.port}", "plain HTTP, for the machine itself or a proxy"),
    )
    table = Table(caption="Transport", columns=("What", "Where", "How"), rows=rows)
    profile = (
        "With TLS, the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12) is what is aimed "
        "at; it has not been certified by anybody."
    )
    return Section(number="6.1", title="Secure transport and access", paragraphs=(profile,), tables=(table,))


def records() -> Section:
    """Return what is on record of every case, and what the log may hold."""
    events = Table(
        caption="Events on record in the database, each in the transaction of what it tells of",
        columns=("Event",),
        rows=tuple((action.value,) for action in Action),
    )
    fields = Table(
        caption="Fields that a log line may have; every other one is dropped",
        columns=("Fields",),
        rows=((", ".join(sorted(ALLOWED_FIELDS)),),),
    )
    text = (
        "These are records of our own; messages in the format of PS3.15 A.5 are not sent. No patient attribute is in "
        "the log or in an event. Received instances and results hold them, as does the database in the results."
    )
    return Section(number="6.2", title="Records and logs", paragraphs=(text,), tables=(events, fields))
