"""Is a series complete? It is when nothing has come for a while: DICOM has no message that says "that was all"."""

from datetime import datetime


def is_quiet(last_instance_at: datetime, now: datetime, quiet_period_s: float) -> bool:
    """Return whether the quiet period (seconds) has passed since the last instance came.

    A `now` before `last_instance_at` (the clock was set back) is not quiet: waiting is the harmless mistake.
    """
    return (now - last_instance_at).total_seconds() >= quiet_period_s
