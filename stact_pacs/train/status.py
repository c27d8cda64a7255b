"""Tell from the files alone how far a run is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stact_pacs.errors import NotFound
from stact_pacs.train.run import planned_stages
from stact_pacs.train.run_folder import RunFolder, is_announced


class Progress(StrEnum):
    """Where a stage is."""

    FINISHED = "finished"
    RUNNING = "running"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """One stage of a run."""

    label: str
    """For people: `encoder vit, fold 2`."""
    work: str
    fold: int | None
    """None: once for the run."""
    progress: Progress


def status(out: Path) -> tuple[StageStatus, ...]:
    """Return every stage of the run in `out`, in their order.

    Raises
    ------
    NotFound
        There is no run.
    """
    folder = RunFolder(out)
    if not folder.settings.exists():
        raise NotFound(f"{out} holds no run.")
    at_work = folder.is_locked()
    return tuple(
        StageStatus(
            label=stage.label,
            work=stage.work.value,
            fold=stage.fold,
            progress=_progress(stage.result(folder), at_work=at_work),
        )
        for group in planned_stages(folder)
        for stage in group
    )


def _progress(result: Path, *, at_work: bool) -> Progress:
    if result.exists():
        return Progress.FINISHED
    return Progress.RUNNING if at_work and is_announced(result) else Progress.MISSING


def status_text(stages: Sequence[StageStatus]) -> str:
    """Return one line for every stage, and a sum."""
    finished = sum(stage.progress is Progress.FINISHED for stage in stages)
    lines = [f"{stage.progress.value:<9} {stage.label}" for stage in stages]
    return "\n".join([*lines, f"{finished} of {len(stages)} stages are finished."])
