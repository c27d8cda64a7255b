"""What arrives: an instance that is offered to the records, and the mark that it leaves on its series."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.instances import Instance
from stact_pacs.store.rows import instance_values
from stact_pacs.store.schema import series


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An instance, offered to the records."""

    instance: Instance
    now: datetime
    association_id: str | None
    """Which association brought it, and holds its series from now on; None for none."""

    def row(self) -> dict[str, Any]:
        """Return the column values of the instance."""
        values = instance_values(self.instance)
        values["received_at"] = self.instance.received_at or self.now
        return values


def touch() -> sa.Update:
    """Return the statement that starts the quiet time of series anew."""
    return sa.update(series).values(activity=series.c.activity + 1)
