"""Divide a cohort into folds, and say who trains, who validates and who tests: nobody does two of these."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.train.data import NoduleRecord

FEWEST_FOLDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The nodules of one fold's experiment, by annot_id, in the order of the cohort."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    """Chooses thresholds and checkpoints: the fold after the test fold. With two folds it is the training fold."""
    test: tuple[str, ...]


def divide(records: Sequence[NoduleRecord], folds: int, seed: int) -> dict[str, int]:
    """Return the fold, from 0, of every nodule: stratified by class, alike in frames, no patient in two folds.

    Patients are dealt, not nodules; a nodule of an unknown patient is dealt alone. A patient with a malignant nodule
    counts as malignant.

    Raises
    ------
    Misconfigured
        There are fewer patients of a class than folds.
    """
    patients = _patients(records)
    order = np.random.default_rng([seed, folds]).permutation(len(patients))  # decides between patients of equal length
    dealt = [patients[i] for i in order]
    malignant = [any(record.malignant for record in nodules) for nodules in dealt]
    of_class = [malignant.count(label) for label in (True, False)]
    if folds < FEWEST_FOLDS or min(of_class) < folds:
        raise Misconfigured(
            f"{of_class[0]} malignant and {of_class[1]} benign patients cannot fill {folds} folds.",
            remedy=f"Take fewer folds, at least {FEWEST_FOLDS}, or more data.",
        )
    lengths = [sum(record.number_of_frames for record in nodules) for nodules in dealt]
    fold_of_patient = assign_folds(malignant, lengths, folds).tolist()
    fold_of = {
        record.annot_id: fold for nodules, fold in zip(dealt, fold_of_patient, strict=True) for record in nodules
    }
    return {record.annot_id: fold_of[record.annot_id] for record in records}


def assign_folds(malignant: Sequence[bool], lengths: Sequence[int], folds: int) -> np.ndarray:
    """Return the fold of every nodule: int64 (n,), 0 to folds - 1.

    Inside each class the nodules are dealt by length, forwards and backwards in turn (a snake), so that no fold
    collects the long sweeps.

    >>> assign_folds([True, False, False, True], [5, 6, 7, 8], folds=2).tolist()
    [1, 1, 0, 0]
    """
    labels, sizes = np.asarray(malignant), np.asarray(lengths)
    fold_of = np.empty(len(labels), dtype=np.int64)
    snake = [*range(folds), *reversed(range(folds))]
    for label in (True, False):
        members = np.flatnonzero(labels == label)
        longest_first = members[np.argsort(-sizes[members], kind="stable")]
        fold_of[longest_first] = np.resize(snake, len(members))
    return fold_of


def _patients(records: Sequence[NoduleRecord]) -> list[list[NoduleRecord]]:
    """Return the nodules of each patient, in the order of the cohort."""
    nodules: dict[tuple[str, str], list[NoduleRecord]] = defaultdict(list)
    for record in records:
        nodules[("patient", record.patient_id) if record.patient_id else ("nodule", record.annot_id)].append(record)
    return list(nodules.values())


def require_no_leak(records: Sequence[NoduleRecord], fold_of: Mapping[str, int]) -> None:
    """Compare the folds with the cohort: every nodule in exactly one, every known patient in exactly one.

    Raises
    ------
    Defect
        A nodule is missing or foreign, or a patient is in two folds: every score would be too good.
    """
    if sorted(fold_of) != sorted(record.annot_id for record in records):
        raise Defect("folds.json names other nodules than the cohort has.", remedy="Start a new run.")
    folds_of_patient = defaultdict(set)
    for record in records:
        folds_of_patient[record.patient_id].add(fold_of[record.annot_id])
    straddling = sum(len(folds) > 1 for patient, folds in folds_of_patient.items() if patient)
    if straddling:
        raise Defect(f"{straddling} patients are in more than one fold.", remedy="Start a new run.")


def split_of(fold_of: Mapping[str, int], fold: int) -> Split:
    """Return who does what when `fold` is the test fold; validation is the fold after it (Yamashita et al. 2022)."""
    folds = max(fold_of.values()) + 1
    val = (fold + 1) % folds
    training = {val} if folds == FEWEST_FOLDS else set(range(folds)) - {fold, val}
    return Split(
        train=tuple(annot_id for annot_id, at in fold_of.items() if at in training),
        val=tuple(annot_id for annot_id, at in fold_of.items() if at == val),
        test=tuple(annot_id for annot_id, at in fold_of.items() if at == fold),
    )
