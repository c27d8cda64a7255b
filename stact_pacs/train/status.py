"""Tell from the files alone how far a run is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stact_pacs.errors import NotFound
from stact_pacs.train.run_folder import AtWork, RunFolder, announced
from stact_pacs.train.stages import Stage, planned_stages

_MINUTE_S = 60
_TOLD = 4
"""So many running stages have room in one line."""


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
    part: str
    """What `at_work` counts: epoch or nodule."""
    at_work: AtWork | None
    """How far a running stage is; None for the others."""

    @property
    def text(self) -> str:
        """For people: `encoder vit, fold 2: epoch 12 of 50, about 3 min left`."""
        if self.at_work is None or not self.at_work.total:
            return self.label
        counted = f"{self.label}: {self.part} {self.at_work.done} of {self.at_work.total}"
        left_s = self.at_work.seconds_left
        return counted if left_s is None else f"{counted}, about {_duration(left_s)} left"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE_S else f"{seconds / _MINUTE_S:.0f} min"


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
    return tuple(stage_status(folder, stage, at_work=at_work) for group in planned_stages(folder) for stage in group)


def stage_status(folder: RunFolder, stage: Stage, *, at_work: bool) -> StageStatus:
    """Return where one stage is; `at_work`: a process holds the run, so that marks are of the living."""
    result = stage.result(folder)
    finished = result.exists()
    mark = announced(result) if at_work and not finished else None
    return StageStatus(
        label=stage.label,
        work=stage.work.value,
        fold=stage.fold,
        progress=Progress.FINISHED if finished else Progress.RUNNING if mark else Progress.MISSING,
        part=stage.part,
        at_work=mark,
    )


def work_at_hand(folder: RunFolder, stages: Sequence[Stage]) -> str:
    """Return one line on those of the stages that are running; empty when none is."""
    running = [stage.text for stage in (stage_status(folder, stage, at_work=True) for stage in stages) if stage.at_work]
    more = f"; {len(running) - _TOLD} more" if len(running) > _TOLD else ""
    return "; ".join(running[:_TOLD]) + more


def status_text(stages: Sequence[StageStatus]) -> str:
    """Return one line for every stage, and a sum."""
    finished = sum(stage.progress is Progress.FINISHED for stage in stages)
    lines = [f"{stage.progress.value:<9} {stage.text}" for stage in stages]
    return "\n".join([*lines, f"{finished} of {len(stages)} stages are finished."])
