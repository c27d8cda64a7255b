"""For whom does it work: the same figures by sex, age, size, place, TI-RADS level and length of the cine.

A subgroup of this cohort may hold two cancers. Every row therefore carries its counts, shows no figure that its nodules
cannot give, and keeps the group "unknown" in sight. The rows describe; they are too many and too small to test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stact_pacs.bundle import Estimate
from stact_pacs.train.classification import check_scored, figures_at
from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.discrimination import auroc_with_method

UNKNOWN = "unknown"
"""The group of nodules of which the data does not say."""
_AGE_BANDS = ((40.0, "< 40"), (60.0, "40-59"), (float("inf"), ">= 60"))
"""Upper bound, not included, and name; in years."""
_SIZE_BANDS = ("< 1 cm", "1-2 cm", "> 2 cm")
"""1 cm and 2 cm themselves belong to the middle one."""
_TERTILES = ("shortest third", "middle third", "longest third")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupRow:
    """One line of the subgroup table."""

    axis: str
    """What the cohort was divided by: `sex`, `age`, ..."""
    group: str
    n: int
    malignant: int
    auroc: Estimate | None
    """None when the group holds one class only."""
    sensitivity: Estimate | None
    """At the table's threshold; None without a malignant nodule."""
    specificity: Estimate | None
    """At the table's threshold; None without a benign nodule."""
    ppv: Estimate | None
    npv: Estimate | None
    mean_probability: float
    """Beside `prevalence`: the group is over- or underestimated on average."""
    prevalence: float
    brier: float


def subgroup_table(
    malignant: np.ndarray,
    probabilities: np.ndarray,
    axes: Mapping[str, Sequence[str]],
    *,
    threshold: float,
    patients: np.ndarray | None = None,
) -> tuple[SubgroupRow, ...]:
    """Return one row per axis and group, the groups of an axis in the order in which their names sort.

    Parameters
    ----------
    malignant, probabilities
        bool (n,) and float (n,) in [0, 1].
    axes
        For every axis the group of each nodule, n names (see `axes_of`).
    threshold
        Positive means probability >= threshold; one for all groups, as in use.
    patients
        (n,), nodules that belong together; None: every nodule alone.
    """
    check_scored(malignant, probabilities)
    rows = []
    for axis, groups in {"all": ["all"] * len(malignant), **axes}.items():
        for group in sorted(set(groups), key=_place):
            members = np.array([name == group for name in groups])
            related = None if patients is None else patients[members]
            rows.append(_row(axis, group, malignant[members], probabilities[members], threshold, related))
    return tuple(rows)


def _place(group: str) -> tuple[int, str]:
    """Sort bands as they rise, other names by the alphabet, and `unknown` last."""
    bands = [*(name for _, name in _AGE_BANDS), *_SIZE_BANDS, *_TERTILES]
    return (bands.index(group), "") if group in bands else (len(bands) + (group == UNKNOWN), group)


def _row(
    axis: str, group: str, truth: np.ndarray, scores: np.ndarray, threshold: float, related: np.ndarray | None
) -> SubgroupRow:
    both = bool(truth.any() and not truth.all())
    figures = figures_at(truth, scores, threshold)
    return SubgroupRow(
        axis=axis,
        group=group,
        n=len(truth),
        malignant=int(truth.sum()),
        auroc=auroc_with_method(truth, scores, related)[0] if both else None,
        sensitivity=figures.sensitivity,
        specificity=figures.specificity,
        ppv=figures.ppv,
        npv=figures.npv,
        mean_probability=float(scores.mean()),
        prevalence=float(truth.mean()),
        brier=float(np.mean((scores - truth) ** 2)),
    )


def axes_of(records: Sequence[NoduleRecord]) -> dict[str, tuple[str, ...]]:
    """Return the six divisions of a cohort: for every axis the group of each nodule, in the order of the records."""
    return {
        "sex": tuple(record.sex or UNKNOWN for record in records),
        "age": tuple(age_band(record.age_years) for record in records),
        "size": tuple(size_band(record.largest_cm) for record in records),
        "location": tuple(record.location or UNKNOWN for record in records),
        "TI-RADS level": tuple(f"TR{record.tirads.level}" if record.tirads else UNKNOWN for record in records),
        "frames": frame_tertiles([record.number_of_frames for record in records]),
    }


def age_band(age_years: float | None) -> str:
    """Return the band of an age.

    >>> age_band(59.9), age_band(60)
    ('40-59', '>= 60')
    """
    return UNKNOWN if age_years is None else next(name for below, name in _AGE_BANDS if age_years < below)


def size_band(largest_cm: float | None) -> str:
    """Return the band of a largest diameter.

    >>> size_band(0.99), size_band(2.0)
    ('< 1 cm', '1-2 cm')
    """
    return UNKNOWN if largest_cm is None else _SIZE_BANDS[int(largest_cm >= 1) + int(largest_cm > 2)]


def frame_tertiles(numbers_of_frames: Sequence[int]) -> tuple[str, ...]:
    """Return the third of the cohort that each cine belongs to by its length; equal lengths stay together."""
    low, high = np.quantile(numbers_of_frames, [1 / 3, 2 / 3])
    return tuple(_TERTILES[int(frames > low) + int(frames > high)] for frames in numbers_of_frames)
