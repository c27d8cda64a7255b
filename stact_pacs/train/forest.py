"""Scores without a picture: the forest over TI-RADS descriptors, and the floors that every model must beat."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from stact_pacs.errors import Misconfigured
from stact_pacs.train.data import NoduleRecord, TiradsDescriptors

FEATURES = ("composition", "echogenicity", "shape", "margin", "foci", "level")
"""What the forest sees of a nodule: five descriptors in ACR points, and the TI-RADS level (paper, Section 3)."""
TREES = 500
"""The paper gives no setting of its forest; with this many, the seed moves a probability by .005 (SD), at most .02."""
MIN_NODULES_IN_LEAF = 3
"""A leaf of fewer nodules would learn single cancers by heart: a training set has about fourteen."""

Floor = Callable[[Sequence[NoduleRecord]], np.ndarray]
"""Records to float64 (n,) scores; higher is more malignant. Nothing is learned, and none is a probability."""


def fit_forest(records: Sequence[NoduleRecord], seed: int) -> RandomForestClassifier:
    """Fit the paper's TI-RADS model; both classes weigh the same.

    Raises
    ------
    Misconfigured
        A nodule has no descriptors, or all nodules are of one class.
    """
    malignant = np.array([record.malignant for record in records])
    if len(set(malignant.tolist())) < 2:
        raise Misconfigured(
            f"The TI-RADS forest got {len(records)} nodules of one class.", remedy="Give benign and malignant nodules."
        )
    forest = RandomForestClassifier(
        n_estimators=TREES, min_samples_leaf=MIN_NODULES_IN_LEAF, class_weight="balanced", random_state=seed
    )
    return forest.fit(_features(records), malignant)


def forest_probabilities(forest: RandomForestClassifier, records: Sequence[NoduleRecord]) -> np.ndarray:
    """Return the forest's probability of malignancy for each nodule: float64 (n,)."""
    malignant = list(forest.classes_).index(True)
    return np.asarray(forest.predict_proba(_features(records))[:, malignant], dtype=np.float64)


def _features(records: Sequence[NoduleRecord]) -> np.ndarray:
    """Return float64 (n, 6): points and level as ordinals, in the order of `FEATURES`."""
    rows = [[getattr(descriptors, name) for name in FEATURES] for descriptors in _descriptors(records)]
    return np.array(rows, dtype=np.float64)


def frame_count(records: Sequence[NoduleRecord]) -> np.ndarray:
    """Score by the number of annotated frames: what a model gets for nothing if it can count."""
    return np.array([record.number_of_frames for record in records], dtype=np.float64)


def nodule_size(records: Sequence[NoduleRecord]) -> np.ndarray:
    """Score by minus the largest diameter in cm: of biopsied nodules the small ones are more often malignant.

    Raises
    ------
    Misconfigured
        No diameter of a nodule is known.
    """
    largest = [record.largest_cm for record in records]
    _refuse_gaps(records, largest, "a size", "Fill size_x, size_y or size_z")
    return -np.array(largest, dtype=np.float64)


def tirads_points(records: Sequence[NoduleRecord]) -> np.ndarray:
    """Score by the sum of the five descriptors' points: what a reader gives before any model is asked.

    Raises
    ------
    Misconfigured
        A nodule has no descriptors.
    """
    return np.array([descriptors.points for descriptors in _descriptors(records)], dtype=np.float64)


def all_benign(records: Sequence[NoduleRecord]) -> np.ndarray:
    """Call everything benign: it finds no cancer and has a high accuracy wherever cancer is rare."""
    return np.zeros(len(records))


FLOORS: Mapping[str, Floor] = {
    "frame-count": frame_count,
    "nodule-size": nodule_size,
    "ti-rads-points": tirads_points,
    "all-benign": all_benign,
}
"""The scoring function of every recipe whose method is a floor, by the recipe's name."""


def _descriptors(records: Sequence[NoduleRecord]) -> list[TiradsDescriptors]:
    described = [record.tirads for record in records]
    _refuse_gaps(records, described, "TI-RADS descriptors", "Fill the five ti-rads columns and the level")
    return [descriptors for descriptors in described if descriptors is not None]


def _refuse_gaps(records: Sequence[NoduleRecord], values: Sequence[object], what: str, remedy: str) -> None:
    """Raise Misconfigured, naming the nodules, where a value is missing."""
    lacking = [record.annot_id for record, value in zip(records, values, strict=True) if value is None]
    if lacking:
        raise Misconfigured(
            f"{len(lacking)} of {len(records)} nodules have no record of {what}, the first is {lacking[0]!r}.",
            remedy=f"{remedy} of every nodule in the cohort's table, or leave this recipe out.",
        )
