"""Instances and cines as rows, and back."""

from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.series import CineSource
from stact_pacs.store.schema import instances, job_instances

_SAME_NAME = [field.name for field in fields(Instance) if field.name not in ("series", "path")]
"""Attributes of `Instance` whose column has the same name and value."""
_same = attrgetter(*_SAME_NAME)


def instance_values(instance: Instance) -> dict[str, Any]:
    """Return the column values of an instance."""
    values = dict(zip(_SAME_NAME, _same(instance), strict=True))
    values["study_instance_uid"] = instance.series.study_instance_uid
    values["series_instance_uid"] = instance.series.series_instance_uid
    values["path"] = str(instance.path)
    return values


def instance_of(row: sa.RowMapping) -> Instance:
    """Return the instance that a row of `instances` tells of."""
    return Instance(series=key_of(row), path=Path(row["path"]), **{name: row[name] for name in _SAME_NAME})


def key_of(row: sa.RowMapping) -> SeriesKey:
    """Return the series key in a row of `series` or `instances`."""
    return SeriesKey(study_instance_uid=row["study_instance_uid"], series_instance_uid=row["series_instance_uid"])


def source_of(connection: Connection, job_id: int) -> CineSource:
    """Return the cine of a job, its instances in frame order."""
    rows = connection.execute(
        sa.select(instances)
        .join(job_instances, job_instances.c.instance_id == instances.c.id)
        .where(job_instances.c.job_id == job_id)
        .order_by(job_instances.c.position)
    ).mappings()
    return CineSource(instances=tuple(instance_of(row) for row in rows))
