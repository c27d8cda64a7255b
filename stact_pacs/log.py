"""Structured logging that cannot carry a patient: only the listed fields ever leave.

Use it as ``log = get_logger()`` and ``log.info("instance stored", action="instance_stored", sop_instance_uid=uid)``:
a sentence, a stable `action`, and fields of the allow list. `bound(job_id=...)` adds fields to every line
inside its block.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

ALLOWED_FIELDS = frozenset(
    {
        "action", "address", "ae_title", "attempt", "bytes", "count", "destination", "device", "duration_ms",
        "error", "event", "exit_code", "frames", "job_id", "job_key", "kind", "level", "lease_token", "model",
        "outcome", "path", "pid", "port", "process", "reason", "remedy", "retry_in_s", "revision",
        "series_instance_uid", "sop_class_uid", "sop_instance_uid", "state", "status",
        "study_instance_uid", "timestamp", "transaction_uid", "transfer_syntax_uid", "version",
    }
)  # fmt: skip
"""Every field a log line may have; all others are dropped, whatever they hold."""

_UIDS = re.compile(r"(?:\d+(?:\.\d+)+(?: \d+(?:\.\d+)+)*)?", re.ASCII)
"""None, one, or several with a space between. A number without a dot could be a patient's."""


def get_logger() -> Any:
    """Return the logger of the package."""
    return structlog.get_logger("stact_pacs")


def configure(level: str = "INFO", *, json_lines: bool | None = None) -> None:
    """Send log lines to standard error: JSON unless it is a terminal, or as `json_lines` says."""
    as_json = (not sys.stderr.isatty()) if json_lines is None else json_lines
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed_fields,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        # The stream of the moment, not of the import. Line and line break in one write: the roles share the stream.
        logger_factory=lambda *_names: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def is_configured() -> bool:
    """Return whether `configure` was called: before, lines would go out with all their fields."""
    return structlog.is_configured()


def keep_allowed_fields(_logger: Any, _method: str, fields: Any) -> Any:
    """Drop every field that is not on the allow list, line breaks inside the ones that are, and UIDs that are none."""
    return {name: _harmless(name, value) for name, value in fields.items() if name in ALLOWED_FIELDS}


def _harmless(name: str, value: Any) -> Any:
    if name.endswith("_uid") and not _UIDS.fullmatch(str(value)):
        return "(not a UID)"  # what a peer put in its place could be anything
    return _one_line(value)


def _one_line(value: Any) -> Any:
    if not isinstance(value, str):
        return value if isinstance(value, (int, float, bool, type(None))) else _one_line(str(value))
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add these fields to every log line of the block."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield
