"""Divide nodules into folds: each class spread evenly, and every fold with about as many stacks as the others."""

from collections.abc import Sequence

import numpy as np


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
