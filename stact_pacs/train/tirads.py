"""ACR TI-RADS (Tessler 2017, JACR 14:587): points to level, and whether the level and the size call for a biopsy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stact_pacs.train.data import NoduleRecord, TiradsDescriptors

FNA_FROM_CM: Mapping[int, float] = {3: 2.5, 4: 1.5, 5: 1.0}
"""Fine-needle aspiration is recommended at this largest diameter or above, by level; below TR3 never."""

_LEAST_POINTS = {5: 7, 4: 4, 3: 3, 2: 2}
_NO_LEVEL_POINTS = 1
"""The chart has no level for a sum of 1, and no honest reading of a nodule gives it."""
_LEVELS = range(1, 6)

_ALLOWED: Mapping[str, frozenset[int]] = {
    "composition": frozenset({0, 1, 2}),
    "echogenicity": frozenset({0, 1, 2, 3}),
    "shape": frozenset({0, 3}),
    "margin": frozenset({0, 2, 3}),
    "foci": frozenset(range(7)),
    "level": frozenset(_LEVELS),
}
"""Values that the chart can give. Echogenic foci are summed over all that apply: 1 + 2 + 3 at most."""


def level_of_points(points: int) -> int:
    """Return the level, 1 to 5, of a sum of points; a sum of 1, which the chart lacks, counts as TR1.

    >>> [level_of_points(points) for points in (0, 1, 2, 3, 4, 6, 7, 14)]
    [1, 1, 2, 3, 4, 4, 5, 5]
    """
    return next((level for level, least in _LEAST_POINTS.items() if points >= least), 1)


def descriptor_errors(tirads: TiradsDescriptors) -> list[str]:
    """Return what the ACR chart cannot give, one clause each; empty when all values are possible."""
    return [
        f"TI-RADS {name} is {getattr(tirads, name)}, the chart has {sorted(allowed)}"
        for name, allowed in _ALLOWED.items()
        if getattr(tirads, name) not in allowed
    ]


def descriptor_warnings(tirads: TiradsDescriptors) -> list[str]:
    """Return doubts about the quality of a reading, one clause each."""
    doubts = []
    if tirads.points == _NO_LEVEL_POINTS:
        doubts.append("the TI-RADS points sum to 1, for which the ACR chart has no level; TR1 is taken")
    expected = level_of_points(tirads.points)
    if tirads.level != expected:
        doubts.append(f"the level is TR{tirads.level}, {tirads.points} points make TR{expected}")
    return doubts


def fna_recommended(record: NoduleRecord) -> bool | None:
    """Say whether the ACR recommends a biopsy of this nodule; None when its level or size is unknown.

    TR1 and TR2 are never biopsied, so for them the size need not be known. A nodule that lacks one or two diameters is
    judged by the others.
    """
    if record.tirads is None:
        return None
    threshold_cm = FNA_FROM_CM.get(record.tirads.level)
    if threshold_cm is None:
        return False
    if record.largest_cm is None:
        return None
    return record.largest_cm >= threshold_cm


@dataclass(frozen=True, slots=True, kw_only=True)
class FnaOutcome:
    """What the ACR rule would have done to a cohort with known diagnoses."""

    cancers_biopsied: int
    cancers: int
    """Malignant nodules for which the rule has an answer."""
    benign_spared: int
    benign: int
    """Benign nodules for which the rule has an answer."""
    undecided: int
    """Nodules without a level or a size."""

    @property
    def sensitivity(self) -> float | None:
        """Share of cancers biopsied; None without cancers."""
        return self.cancers_biopsied / self.cancers if self.cancers else None

    @property
    def specificity(self) -> float | None:
        """Share of benign nodules spared; None without benign nodules."""
        return self.benign_spared / self.benign if self.benign else None


PUBLISHED_FNA = FnaOutcome(cancers_biopsied=14, cancers=17, benign_spared=47, benign=175, undecided=0)
"""The rule on Stanford's 192 nodules (Yamashita 2022, Radiology: AI 4:e210174): the oracle for the real data."""


def fna_outcome(records: Iterable[NoduleRecord]) -> FnaOutcome:
    """Count what the ACR rule recommends, against the diagnoses."""
    answers = [(record.malignant, fna_recommended(record)) for record in records]
    return FnaOutcome(
        cancers_biopsied=answers.count((True, True)),
        cancers=answers.count((True, True)) + answers.count((True, False)),
        benign_spared=answers.count((False, False)),
        benign=answers.count((False, True)) + answers.count((False, False)),
        undecided=sum(answer is None for _, answer in answers),
    )
