"""A cine becomes findings: segment, follow the nodules, embed and score each, measure."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from stact_pacs.bundle import CHECKS, Bundle
from stact_pacs.cine.crops import NoduleInput, nodule_input
from stact_pacs.cine.stacks import stack_frames
from stact_pacs.domain.findings import Cine, Findings, ModelIdentity, OperatingPoint, Score
from stact_pacs.errors import Transient
from stact_pacs.pipeline import selftest
from stact_pacs.pipeline.embed import trunk_features
from stact_pacs.pipeline.findings import findings_of
from stact_pacs.pipeline.load import load_networks, pick_device
from stact_pacs.pipeline.nodules import Track, Tracking, track_nodules
from stact_pacs.pipeline.score import ask_members, combined
from stact_pacs.pipeline.segment import segment

Progress = Callable[[str, int, int], None]
"""Called with (step, parts done, parts in all); the steps are segment and embed."""


class Scorer:
    """The networks of one bundle on one device, ready to score cines, one after another.

    Parameters
    ----------
    bundle
        A verified bundle.
    device
        `auto`, `cpu`, `cuda` or `cuda:N`.
    batch_frames
        Frames, or stacks, that go through a network together. Does not change a score.
    threads
        CPU threads for the networks; 0 leaves it to torch. Holds for the whole process.

    Raises
    ------
    BundleInvalid, Misconfigured
        The bundle cannot be loaded, or the device is not there.
    """

    def __init__(self, bundle: Bundle, *, device: str = "auto", batch_frames: int = 8, threads: int = 0) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._bundle = bundle
        self._preprocessing = bundle.manifest.preprocessing
        self._batch_frames = batch_frames
        self._networks = load_networks(bundle, pick_device(device))

    @property
    def identity(self) -> ModelIdentity:
        """Which bundle gives the answers."""
        return self._bundle.identity

    @property
    def device(self) -> str:
        """Where the networks run: `cpu`, `cuda` or `cuda:N`."""
        return str(self._networks.device)

    def score(
        self, cine: Cine, *, job_key: str, operating_point: str = "", progress: Progress | None = None
    ) -> Findings:
        """Score every nodule of a cine; the same cine gives the same findings.

        Parameters
        ----------
        job_key
            The tracking UIDs are derived from it.
        operating_point
            Name of the operating point; empty takes the bundle's default.
        progress
            Told how far each step is.

        Raises
        ------
        BundleInvalid
            The bundle has no operating point of that name.
        Transient
            The device ran out of memory.
        """
        point = self._bundle.operating_point(operating_point)
        try:
            with _exact_arithmetic():
                return self._findings(cine, job_key, point, progress or _unheard)
        except torch.OutOfMemoryError as error:
            raise Transient(
                f"The device {self.device} ran out of memory.",
                remedy="If this happens often, set a smaller compute.batch_frames.",
            ) from error

    def self_test(self) -> list[str]:
        """Score the bundle's golden input; return what differs from its golden output, nothing if all is well."""
        content = self._bundle.content(CHECKS)
        return selftest.problems(content, lambda cine: self.score(cine, job_key="golden self-test"))

    def _findings(self, cine: Cine, job_key: str, point: OperatingPoint, progress: Progress) -> Findings:
        clock = _Clock()
        frames = _region_of(cine)
        with clock.step("segment"):
            masks = self._segment(frames, progress)
        with clock.step("track"):
            tracks = track_nodules(masks, self._preprocessing)
        scores = self._scores(frames, tracks, point, progress, clock)
        with clock.step("measure"):
            findings = findings_of(cine, tracks, scores, job_key=job_key)
        return replace(findings, timings_ms=clock.timings_ms)

    def _segment(self, frames: np.ndarray, progress: Progress) -> np.ndarray:
        return segment(
            frames,
            self._networks,
            self._preprocessing,
            batch_frames=self._batch_frames,
            tick=lambda done: progress("segment", done, len(frames)),
        )

    def _scores(
        self, frames: np.ndarray, tracking: Tracking, point: OperatingPoint, progress: Progress, clock: "_Clock"
    ) -> list[Score]:
        """Score the nodules one after another: the stacks of a long cine are too large to keep them all."""
        scores = []
        embedded, total = 0, sum(_stacks(track) for track in tracking.tracks)
        for track in tracking.tracks:
            with clock.step("crop"):
                seen = self._nodule_input(frames, track)
            with clock.step("embed"):
                features = self._embed(seen, partial(_later, progress, embedded, total))
            with clock.step("fuse"):
                scores.append(self._score(track, seen, features, point))
            embedded += len(features)
        return scores

    def _nodule_input(self, frames: np.ndarray, track: Track) -> NoduleInput:
        of_nodule = frames[track.first_frame : track.last_frame + 1]
        return nodule_input(of_nodule, track.masks(*frames.shape[1:]), self._preprocessing)

    def _embed(self, seen: NoduleInput, tick: Callable[[int], None]) -> torch.Tensor:
        return trunk_features(seen.image_stacks, self._networks, batch_stacks=self._batch_frames, tick=tick)

    def _score(self, track: Track, seen: NoduleInput, features: torch.Tensor, point: OperatingPoint) -> Score:
        answers = ask_members(features, seen.mask_stacks, self._networks)
        firsts = tuple(track.first_frame + first for first in seen.first_frames)
        return combined(answers, self._bundle.manifest.calibration, point, firsts)


class _Clock:
    """Milliseconds that each step took, over all nodules; a step that never ran is not listed."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        spent_ms = 1000 * (time.perf_counter() - started)
        self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + spent_ms, 3)


def _region_of(cine: Cine) -> np.ndarray:
    box = cine.region
    region: np.ndarray = cine.frames[:, box.y0 : box.y1, box.x0 : box.x1]
    return region


def _stacks(track: Track) -> int:
    return len(stack_frames(track.last_frame - track.first_frame + 1))


def _later(progress: Progress, before: int, total: int, done: int) -> None:
    """Tell the progress of one nodule's stacks as progress among the stacks of all nodules."""
    progress("embed", before + done, total)


def _unheard(_step: str, _done: int, _total: int) -> None:
    """Do nothing with the progress that nobody asked for."""


def _exact_arithmetic() -> AbstractContextManager[None]:
    """Keep cuDNN to float32 and to algorithms that give the same bits every time."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags
