"""Which instances of a series make up which cine."""

from collections import defaultdict
from collections.abc import Hashable, Iterable

from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import CineSource


def cines_of(instances: Iterable[Instance]) -> tuple[CineSource, ...]:
    """Return the cines of one series, in an order that depends only on the instances themselves.

    A multi-frame instance is a cine. Single frames of equal geometry and kind are one cine together, ordered by
    Instance Number, then SOP Instance UID. A series often mixes clips and stills: hence never "one series, one cine".
    """
    groups: defaultdict[Hashable, list[Instance]] = defaultdict(list)
    for instance in sorted(instances, key=_position):
        groups[_cine_identity(instance)].append(instance)
    sources = [CineSource(instances=tuple(group)) for group in groups.values()]
    return tuple(sorted(sources, key=lambda source: _position(source.instances[0])))


def _position(instance: Instance) -> tuple[int, str]:
    return instance.instance_number, instance.sop_instance_uid


def _cine_identity(instance: Instance) -> Hashable:
    """What single frames must share to be frames of one cine; unique for a multi-frame instance."""
    if instance.number_of_frames != 1:
        return instance.sop_instance_uid
    return (
        instance.sop_class_uid,
        instance.rows,
        instance.columns,
        instance.samples_per_pixel,
        instance.photometric_interpretation,
    )
