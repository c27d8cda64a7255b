"""What is known of each nodule beside its pictures: its label, and whether the segmenter found it."""

import numpy as np

from stact_pacs.train.run_folder import read_json
from stact_pacs.train.run_setup import RunSetup, derived_seed

PERMUTED = "+permuted"
"""A variant that is trained and tested on labels dealt out anew in each fold: it must be no better than chance.

In each fold by itself: dealt out over all folds, a kind of nodule that got many malignant labels in training has few
left for the test, and what was learned by chance is wrong more often than right (an AUROC of 0.41 was seen).
"""


def labels_for(setup: RunSetup, variant: str = "") -> dict[str, bool]:
    """Return whether each nodule is malignant, by annot_id in the cohort's order; dealt out anew for `+permuted`."""
    labels: dict[str, bool] = read_json(setup.folder.folds)["malignant"]
    if variant != PERMUTED:
        return labels
    rng = np.random.default_rng(derived_seed(setup.seed, "permuted labels"))
    dealt = dict(labels)
    for fold in sorted(set(setup.fold_of.values())):
        members = [annot_id for annot_id in labels if setup.fold_of[annot_id] == fold]
        dealt.update(zip(members, rng.permutation([labels[annot_id] for annot_id in members]).tolist(), strict=True))
    return dealt


def missed_nodules(setup: RunSetup) -> set[str]:
    """Return the annot_ids of the nodules that the segmenter of their fold did not find."""
    folds = sorted(set(setup.fold_of.values()))
    tables = [read_json(setup.folder.segmentation(fold))["nodules"] for fold in folds]
    return {nodule["annot_id"] for table in tables for nodule in table if nodule["missed"]}
