"""What arrives: an instance that is offered to the records, and the mark that it leaves on its series."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from stact_pacs.domain import Instance
from stact_pacs.store.schema import series


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An instance, offered to the records."""

    instance: Instance
    now: datetime
    association_id: str | None
    """Which association brought it, and holds its series from now on; None for none."""


def touch() -> sa.Update:
    """Return the statement that starts the quiet time of series anew."""
    return sa.update(series).values(activity=series.c.activity + 1)
