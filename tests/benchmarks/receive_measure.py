"""Measure the receivers cell by cell, taking turns, and write what came out as JSON and as a table."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.receive_loads import Load, write_load
from tests.benchmarks.receive_peers import (
    Running,
    limit,
    orthanc_at_its_best,
    orthanc_with_nagle,
    ours,
    send_s,
    shortest_durable,
    storescp,
)

RECEIVERS: dict[str, Callable[[Path], AbstractContextManager[Running]]] = {
    "ours": ours,
    "storescp": storescp,
    "orthanc": orthanc_at_its_best,
    "limit": limit,
    "shortest durable": shortest_durable,
}
RECEIVERS_OF_NAGLE = {"ours": ours, "orthanc": orthanc_with_nagle}
"""For senders with Nagle's algorithm: no receiver is told of it."""
_OTHERS = [name for name in RECEIVERS if name != "ours"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One load, sent in one way."""

    load: Load
    senders: int
    nagle: bool = False
    """As DCMTK's tools send by default: with Nagle's algorithm."""

    @property
    def name(self) -> str:
        return f"{self.load.name} {self.senders}{' nagle' if self.nagle else ''}"


@dataclass(slots=True)
class Measured:
    """What was measured in one cell, by receiver."""

    cell: Cell
    megabytes: float
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    """Resident memory of the receiver's own process; storescp's children are not counted."""
    load_average: list[float] = field(default_factory=list)
    """Of the machine, before each round."""

    def mb_per_s(self, receiver: str) -> float:
        """Return the median over the rounds."""
        return self.megabytes / statistics.median(self.seconds[receiver])

    def ratio(self, other: str) -> float:
        """Return how many times as fast as another receiver ours is."""
        return self.mb_per_s("ours") / self.mb_per_s(other)


def measure(cell: Cell, folder: Path, *, rounds: int) -> Measured:
    """Let the receivers take turns, each round in another order."""
    receivers = RECEIVERS_OF_NAGLE if cell.nagle else RECEIVERS
    files = write_load(cell.load, folder / "sent")
    measured = Measured(cell, sum(path.stat().st_size for path in files) / 1e6)
    order = list(receivers)
    for turn in range(rounds):
        measured.load_average.append(os.getloadavg()[0])
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            with _space(folder / f"{name}-{turn}") as space, receivers[name](space) as running:
                seconds = send_s(running, cell.load, files, senders=cell.senders, nagle=cell.nagle)
                measured.seconds.setdefault(name, []).append(seconds)
                measured.peak_mb[name] = max(running.peak_mb(), measured.peak_mb.get(name, 0))
    _cut_files(folder / "sent")
    return measured


@contextmanager
def _space(folder: Path) -> Iterator[Path]:
    """Lend a folder; before, nothing is left for the disk to do, and after, it holds no bytes any more."""
    folder.mkdir(parents=True)
    os.sync()
    yield folder
    _cut_files(folder)


def _cut_files(folder: Path) -> None:
    """Free the space of all files, and remove none: ext4 creates files slowly for minutes after many were deleted."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def write_results(cells: list[Measured], folder: Path) -> str:
    """Write `receive.json` and `receive.md`; return the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table = _table(cells)
    (folder / "receive.md").write_text(table)
    (folder / "receive.json").write_text(json.dumps(_record(cells), indent=1))
    return table


def _table(cells: list[Measured]) -> str:
    columns = ["MB/s ours", *(f"MB/s {name}" for name in _OTHERS), *(f"ours : {name}" for name in _OTHERS)]
    columns = ["load, senders", *columns, "peak MB ours", "peak MB orthanc", "load average"]
    lines = [columns, ["---"] * len(columns), *(_row(each) for each in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(each: Measured) -> list[str]:
    speeds = [f"{each.mb_per_s(name):.0f}" if name in each.seconds else "" for name in ("ours", *_OTHERS)]
    ratios = [f"{each.ratio(name):.2f}" if name in each.seconds else "" for name in _OTHERS]
    peaks = [f"{each.peak_mb[name]:.0f}" for name in ("ours", "orthanc")]
    return [each.cell.name, *speeds, *ratios, *peaks, f"{statistics.mean(each.load_average):.1f}"]


def _record(cells: list[Measured]) -> dict[str, Any]:
    machine = {"kernel": platform.release(), "cpus": os.cpu_count(), "python": platform.python_version()}
    return {"machine": machine, "cells": [_cell_record(each) for each in cells]}


def _cell_record(each: Measured) -> dict[str, Any]:
    return {
        "load": each.cell.load.title,
        "instances": each.cell.load.count,
        "megabytes": each.megabytes,
        "senders": each.cell.senders,
        "nagle": each.cell.nagle,
        "seconds": each.seconds,
        "mb_per_s": {name: each.mb_per_s(name) for name in each.seconds},
        "ratio": {name: each.ratio(name) for name in each.seconds if name != "ours"},
        "peak_mb": each.peak_mb,
        "load_average": each.load_average,
    }
