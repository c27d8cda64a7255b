"""One look at the records: reachable, how many of what, how long the oldest job has waited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from stact_pacs.domain.deliveries import Circuit, DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.errors import DatabaseUnavailable
from stact_pacs.web.ports import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What one look at the records showed."""

    database_error: str
    """Why the database cannot be reached; empty when it can."""
    jobs: Mapping[JobState, int]
    """Jobs in each state; empty when the database cannot be reached."""
    deliveries: Mapping[DeliveryState, int]
    failing: Sequence[Circuit]
    """Destinations that failed when they were last asked, and are left alone for a while."""
    oldest_waiting_s: float
    """Age of the oldest waiting job; 0 when none waits."""

    @property
    def is_healthy(self) -> bool:
        return not self.database_error


def look(records: Records, now: datetime) -> Status:
    """Ask the records once."""
    try:
        oldest = records.jobs.oldest_waiting_at()
        return Status(
            database_error="",
            jobs=records.jobs.counts(),
            deliveries=records.deliveries.counts(),
            failing=records.circuits.list(),
            oldest_waiting_s=0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0),
        )
    except DatabaseUnavailable as error:
        return Status(database_error=str(error), jobs={}, deliveries={}, failing=(), oldest_waiting_s=0.0)


def exposition(status: Status) -> bytes:
    """Return the status as Prometheus metrics."""
    registry = CollectorRegistry()
    up = Gauge("stact_pacs_database_up", "1 when the database can be reached", registry=registry)
    up.set(1 if status.is_healthy else 0)
    jobs = Gauge("stact_pacs_jobs", "Jobs by state", ["state"], registry=registry)
    for state, count in status.jobs.items():
        jobs.labels(state=state.value).set(count)
    deliveries = Gauge("stact_pacs_deliveries", "Deliveries by state", ["state"], registry=registry)
    for delivery_state, count in status.deliveries.items():
        deliveries.labels(state=delivery_state.value).set(count)
    failing = Gauge(
        "stact_pacs_destination_failures", "Failures in a row of a destination", ["destination"], registry=registry
    )
    for circuit in status.failing:
        failing.labels(destination=circuit.destination).set(circuit.failures)
    oldest = Gauge("stact_pacs_oldest_waiting_job_seconds", "Age of the oldest waiting job", registry=registry)
    oldest.set(status.oldest_waiting_s)
    return generate_latest(registry)
