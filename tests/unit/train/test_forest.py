"""Scores without a picture: the TI-RADS forest and the floors."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from stact_pacs.errors import Misconfigured
from stact_pacs.train.data import NoduleRecord, TiradsDescriptors
from stact_pacs.train.discrimination import auroc_with_method
from stact_pacs.train.forest import (
    FEATURES,
    FLOORS,
    MIN_NODULES_IN_LEAF,
    TREES,
    all_benign,
    fit_forest,
    forest_probabilities,
    frame_count,
    nodule_size,
    tirads_points,
)
from stact_pacs.train.recipes import RECIPES, Method

HARMLESS = TiradsDescriptors(composition=1, echogenicity=1, shape=0, margin=0, foci=0, level=2)
SUSPICIOUS = TiradsDescriptors(composition=2, echogenicity=2, shape=3, margin=2, foci=3, level=5)


def nodule(annot_id: str, *, malignant: bool = False, tirads: TiradsDescriptors | None = HARMLESS) -> NoduleRecord:
    return NoduleRecord(
        annot_id=annot_id,
        patient_id="",
        malignant=malignant,
        number_of_frames=30,
        size_cm=(1.0, 2.5, None),
        tirads=tirads,
    )


def cohort(nodules: int = 96, seed: int = 4) -> list[NoduleRecord]:
    """Return a cohort in which one of eight is malignant, and each descriptor of a cancer tends to be worse."""
    generator = np.random.default_rng(seed)

    def described(malignant: bool) -> TiradsDescriptors:
        worse = generator.random(5) < (0.75 if malignant else 0.25)
        composition, echogenicity, shape, margin, foci = (np.array([2, 2, 3, 2, 3]) * worse).tolist()
        points = composition + echogenicity + shape + margin + foci
        level = 1 + sum(points >= least for least in (2, 3, 4, 7))
        return TiradsDescriptors(
            composition=composition, echogenicity=echogenicity, shape=shape, margin=margin, foci=foci, level=level
        )

    return [nodule(str(n), malignant=n % 8 == 0, tirads=described(n % 8 == 0)) for n in range(nodules)]


@pytest.fixture(scope="module")
def training() -> list[NoduleRecord]:
    return cohort()


@pytest.fixture(scope="module")
def forest(training: list[NoduleRecord]) -> RandomForestClassifier:
    return fit_forest(training, seed=1)


def test_the_forest_finds_cancers_that_it_has_not_seen(forest: RandomForestClassifier) -> None:
    unseen = cohort(seed=5)
    probabilities = forest_probabilities(forest, unseen)
    assert probabilities.shape == (96,)
    assert auroc_with_method(np.array([n.malignant for n in unseen]), probabilities)[0].value > 0.8


def test_the_forest_is_the_one_that_was_agreed(forest: RandomForestClassifier) -> None:
    assert len(forest.estimators_) == TREES == 500
    assert forest.min_samples_leaf == MIN_NODULES_IN_LEAF == 3
    assert forest.class_weight == "balanced"
    assert forest.n_features_in_ == len(FEATURES)
    assert FEATURES[-1] == "level"


def test_the_same_seed_grows_the_same_forest_and_another_seed_nearly_the_same(training: list[NoduleRecord]) -> None:
    first, again, other = (forest_probabilities(fit_forest(training, seed=seed), training) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert 0 < np.abs(first - other).max() < 0.1


def test_the_forest_gives_the_probability_of_malignancy_and_not_of_its_opposite(forest: RandomForestClassifier) -> None:
    suspicious, harmless = forest_probabilities(forest, [nodule("1", tirads=SUSPICIOUS), nodule("2")])
    assert suspicious > 0.5 > harmless


def test_the_forest_never_sees_frames_size_or_age(forest: RandomForestClassifier) -> None:
    long_and_large = replace(nodule("1"), number_of_frames=400, size_cm=(6.0, 6.0, 6.0), age_years=20.0)
    assert np.ptp(forest_probabilities(forest, [nodule("1"), long_and_large])) == 0


def test_a_forest_cannot_learn_from_one_class() -> None:
    with pytest.raises(Misconfigured, match="one class"):
        fit_forest([nodule("1"), nodule("2")], seed=1)


def test_longer_clips_score_higher_by_frame_count() -> None:
    clips = [replace(nodule("1"), number_of_frames=frames) for frames in (11, 80, 442)]
    assert frame_count(clips).tolist() == [11, 80, 442]


def test_smaller_nodules_score_higher_by_size_and_a_missing_diameter_is_passed_over() -> None:
    small, large = replace(nodule("1"), size_cm=(0.9, 0.7, 0.8)), nodule("2")
    assert nodule_size([small, large]).tolist() == [-0.9, -2.5]


def test_points_are_summed_over_the_five_descriptors() -> None:
    assert tirads_points([nodule("1"), nodule("2", tirads=SUSPICIOUS)]).tolist() == [2, 12]


def test_all_benign_ranks_nothing(training: list[NoduleRecord]) -> None:
    assert auroc_with_method(np.array([n.malignant for n in training]), all_benign(training))[0].value == 0.5


@pytest.mark.parametrize("score", [tirads_points, lambda records: fit_forest(records, seed=1)])
def test_nodules_without_descriptors_are_counted_and_the_first_is_named(
    score: Callable[[Sequence[NoduleRecord]], object],
) -> None:
    records = [nodule("7", malignant=True), nodule("8", tirads=None), nodule("9", tirads=None)]
    with pytest.raises(Misconfigured, match=r"2 of 3 nodules .* TI-RADS descriptors, the first is '8'"):
        score(records)


def test_a_nodule_of_unknown_size_is_refused_with_a_remedy() -> None:
    with pytest.raises(Misconfigured, match=r"'4'.*size_x"):
        nodule_size([replace(nodule("4"), size_cm=(None, None, None))])


def test_every_floor_of_the_recipes_has_its_function_and_no_other_has() -> None:
    assert list(FLOORS) == [recipe.name for recipe in RECIPES.values() if recipe.method is Method.FLOOR]
