"""Ask destinations whether they hold what they accepted: by storage commitment, C-FIND or QIDO-RS."""

from collections.abc import Mapping, Sequence

from stact_pacs.deliver.commitment_request import request_commitment
from stact_pacs.deliver.find import find_instances
from stact_pacs.deliver.stow import StowSender
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.domain.instances import SeriesKey
from stact_pacs.settings.delivering import AnyDestination, Deliver, Destination, WebDestination

Evidence = Mapping[int, str]
"""By the id of a delivery that is proven: how, as a sentence."""


def gather(destination: AnyDestination, deliveries: Sequence[UnprovenDelivery], settings: Deliver) -> Evidence:
    """Ask one destination about deliveries, in the way that it is to be asked.

    Raises
    ------
    DestinationUnavailable
        It cannot be reached, or does not say.
    DeliveryRefused
        It rejects the association for good.
    """
    if isinstance(destination, WebDestination):
        return _search(destination, deliveries, settings)
    committed = _commitments(destination, deliveries, settings) if destination.proof == "commitment" else {}
    unsaid = [delivery for delivery in deliveries if delivery.sop_instance_uid not in committed]
    by_commitment = {
        delivery.id: "Storage commitment: the destination is committed to it."
        for delivery in deliveries
        if committed.get(delivery.sop_instance_uid)
    }
    return by_commitment | _find(destination, unsaid, settings)


def _commitments(
    destination: Destination, deliveries: Sequence[UnprovenDelivery], settings: Deliver
) -> Mapping[str, bool]:
    return request_commitment(destination, deliveries, calling=settings.ae_title, timeout_s=settings.timeout_s)


def _find(destination: Destination, deliveries: Sequence[UnprovenDelivery], settings: Deliver) -> dict[int, str]:
    """Ask once for every series."""
    series: dict[SeriesKey, list[UnprovenDelivery]] = {}
    for delivery in deliveries:
        key = SeriesKey(
            study_instance_uid=delivery.study_instance_uid, series_instance_uid=delivery.series_instance_uid
        )
        series.setdefault(key, []).append(delivery)
    found: dict[int, str] = {}
    for key, of_series in series.items():
        there = find_instances(destination, key, calling=settings.ae_title, timeout_s=settings.timeout_s)
        found |= {each.id: "C-FIND: the destination holds it." for each in of_series if each.sop_instance_uid in there}
    return found


def _search(destination: WebDestination, deliveries: Sequence[UnprovenDelivery], settings: Deliver) -> dict[int, str]:
    with StowSender(settings).association(destination) as service:
        return {each.id: "QIDO-RS: the destination holds it." for each in deliveries if service.holds(each)}
