"""What the associations of one listener share: who may come in, how many at once, and who was refused."""

from dataclasses import dataclass

from stact_pacs.receive.access import AllowList
from stact_pacs.receive.refusals import Refusals
from stact_pacs.receive.slots import Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The way in; any number of threads may use it."""

    allow_list: AllowList
    slots: Slots
    refusals: Refusals
