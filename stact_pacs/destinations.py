"""One look at every destination: what is on its way there, and whether it is left alone for now."""

from dataclasses import dataclass
from datetime import datetime

from stact_pacs.app import App
from stact_pacs.domain.deliveries import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """How things stand with one destination."""

    name: str
    owed: int
    confirmed: int
    proven: int
    failed: int
    """Dead letters."""
    resting_until: datetime | None
    """It failed when it was last asked, and is asked again then; None when it worked."""
    failures: int
    """How often in a row."""
    detail: str
    """What failed last."""


def destinations_at_a_glance(app: App) -> list[DestinationStatus]:
    """Return the configured destinations, then those that are only on record."""
    counts = app.deliveries.counts_by_destination()
    circuits = {circuit.destination: circuit for circuit in app.circuits.list()}
    names = dict.fromkeys([*(each.name for each in app.settings.destinations), *sorted(counts)])
    nothing = dict.fromkeys(DeliveryState, 0)
    found = []
    for name in names:
        states, circuit = counts.get(name, nothing), circuits.get(name)
        found.append(
            DestinationStatus(
                name=name,
                owed=states[DeliveryState.OWED],
                confirmed=states[DeliveryState.CONFIRMED],
                proven=states[DeliveryState.PROVEN],
                failed=states[DeliveryState.FAILED],
                resting_until=None if circuit is None else circuit.until,
                failures=0 if circuit is None else circuit.failures,
                detail="" if circuit is None else circuit.detail,
            )
        )
    return found
