"""Say who was refused an association, and which entry of the settings file would let each of them in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from stact_pacs.receive.access import AllowList, Refusal
from stact_pacs.receive.folders import Folders
from stact_pacs.receive.refusals import Refused, read_refused
from stact_pacs.settings.receiving import Peer, Receive
from stact_pacs.settings.whole import Settings
from stact_pacs.settings_template import entry_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPeer:
    """One caller that was refused for one reason."""

    reason: Refusal
    calling_ae_title: str
    """Empty when TLS failed before it said so; the next one as well."""
    called_ae_title: str
    address: str
    certificate_sha256: str | None
    count: int
    first_at: datetime
    last_at: datetime
    setting: str
    """TOML that lets it in; empty when the settings do already, or no entry would."""
    remedy: str
    """What to do with the entry, or instead of it."""


def refused_peers(settings: Settings) -> list[RefusedPeer]:
    """Return who was refused since the inbox was made, the latest last; strangers in numbers drop out."""
    refused = read_refused(Folders(settings.inbox_dir).refused)
    admitting = _admitting(settings.receive, refused)
    return [_refused_peer(one, settings.receive, admitting) for one in refused]


def _admitting(receive: Receive, refused: Iterable[Refused]) -> Receive:
    """Return the section as it would have to be to let in all of them that an entry can let in."""
    for one in refused:
        allow_list = AllowList(receive)
        if allow_list.refusal_of(one.caller) is not None:
            peer = allow_list.peer_that_admits(one.caller)
            receive = receive if peer is None else _with(receive, peer)
    return receive


def _with(receive: Receive, peer: Peer) -> Receive:
    """Return the section with this peer in place of whatever it said of that AE title."""
    others = tuple(other for other in receive.peers if other.ae_title.strip() != peer.ae_title.strip())
    titles = tuple(title for title in receive.calling_ae_titles if title.strip() != peer.ae_title.strip())
    return receive.model_copy(update={"peers": (*others, peer), "calling_ae_titles": titles})


def _refused_peer(refused: Refused, now: Receive, admitting: Receive) -> RefusedPeer:
    caller = refused.caller
    setting, remedy = "", _remedy_without_setting(refused)
    if AllowList(now).refusal_of(caller) is None:
        remedy = "None is needed: the settings admit it by now."
    elif AllowList(admitting).refusal_of(caller) is None:
        setting, remedy = _setting(caller.calling_ae_title, now, admitting)
    return RefusedPeer(
        reason=refused.reason,
        calling_ae_title=caller.calling_ae_title,
        called_ae_title=caller.called_ae_title,
        address=caller.address,
        certificate_sha256=None if caller.certificate is None else caller.certificate.sha256,
        count=refused.count,
        first_at=refused.first_at,
        last_at=refused.last_at,
        setting=setting,
        remedy=remedy,
    )


def _setting(title: str, now: Receive, admitting: Receive) -> tuple[str, str]:
    """Return the entry for an AE title, and where it goes."""
    [peer] = (peer for peer in admitting.peers if peer.ae_title.strip() == title)
    remedy = "If you know it, add the entry to the settings file"
    if any(other.ae_title.strip() == title for other in now.peers):
        remedy = f"If you know it, write the entry in place of the one for {title}"
    elif any(other.strip() == title for other in now.calling_ae_titles):
        remedy += f" and take {title} out of receive.calling_ae_titles"
    return entry_toml("[[receive.peers]]", peer), f"{remedy}; then restart the service."


def _remedy_without_setting(refused: Refused) -> str:
    if refused.reason is Refusal.TLS_FAILED:
        return refused.detail
    if refused.reason is Refusal.NO_CERTIFICATE:
        return "Let the sender show its certificate."
    return "Correct the sender: it uses one AE title in two ways, or one that no peer can have."
