"""From the embeddings of a nodule's stacks to one score: train a recipe's aggregator on one fold, and predict."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from scipy.special import logit as logit_of
from torch import Tensor, nn

from stact_pacs.networks.baselines import CnnEncoder, StackVote, build_aggregator
from stact_pacs.networks.design import Aggregator
from stact_pacs.networks.image_encoder import ImageHead
from stact_pacs.networks.mask_encoder import MaskEncoder
from stact_pacs.train.controls import CONTROLS
from stact_pacs.train.data import Cohort, NoduleRecord
from stact_pacs.train.encoder_stage import MASK, load_encoder, read_embeddings
from stact_pacs.train.forest import FLOORS, fit_forest, forest_probabilities
from stact_pacs.train.loop import fit
from stact_pacs.train.losses import focal_loss
from stact_pacs.train.recipes import Method, Recipe
from stact_pacs.train.run_folder import load_weights, write_json, write_weights
from stact_pacs.train.run_labels import labels_for, missed_nodules
from stact_pacs.train.run_setup import RunSetup, derived_seed

_WEIGHT_DECAY = 0.01
_LEAST_KEPT = 0.7
"""In training at least this share of a nodule's stacks is shown, so that their number tells nothing."""
_SURE = 1e-6
"""A forest's probability of 0 or 1 is moved by this, so that it has a logit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branches:
    """What a recipe sees of every nodule, by annot_id: float32 (S, 256) each."""

    image: dict[str, Tensor] | None
    mask: dict[str, Tensor] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a recipe says of one nodule."""

    logit: float
    probability: float | None
    """Not calibrated; None for a floor, which only ranks."""
    stack_probabilities: list[float] | None = None
    """One for each stack; None where stacks have no score of their own."""
    missed: bool = False
    """The segmenter did not find it: the networks saw the whole region and an empty mask."""


# -- networks ------------------------------------------------------------------------------------------


def predict_with_network(setup: RunSetup, recipe: Recipe, fold: int, variant: str = "") -> None:
    """Train the aggregator of a recipe on one fold, and write what it says of the validation and the test nodules."""
    started = time.monotonic()
    branches = read_branches(setup, recipe, fold, variant)
    labels = labels_for(setup, variant)
    with setup.chance(
        "aggregator", *map(str, recipe.design), variant, str(fold)
    ):  # one design under two names: one run
        aggregator = _untrained(setup, recipe, fold, variant)
        if recipe.aggregator is not Aggregator.MEAN:
            _fit(aggregator, branches, labels, setup.split(fold).train, setup)
    aggregator.eval().requires_grad_(False)
    write_weights(setup.folder.aggregator(recipe.name + variant, fold), aggregator)
    answers = _answers(aggregator, branches, setup, fold)
    write_predictions(setup, recipe.name + variant, fold, answers, labels, started)


def predict_disturbed(setup: RunSetup, recipe: Recipe, fold: int, control: str) -> None:
    """Ask the trained recipe again, with masks that a control made meaningless."""
    started = time.monotonic()
    branches = read_branches(setup, recipe, fold)
    given = read_embeddings(setup, MASK, fold)
    assert given.constant is not None, "the mask encoder leaves its answer to the mean mask"
    rng = np.random.default_rng(derived_seed(setup.seed, control, str(fold)))
    disturbed = replace(branches, mask=CONTROLS[control](given.by_nodule, given.constant, rng))
    aggregator = _untrained(setup, recipe, fold)
    load_weights(aggregator, setup.folder.aggregator(recipe.name, fold))
    answers = _answers(aggregator, disturbed, setup, fold)
    write_predictions(setup, recipe.name + control, fold, answers, labels_for(setup), started)


def encoders_of(recipe: Recipe) -> list[str]:
    """Return the names of the encoders whose embeddings a recipe sees."""
    image = [recipe.image_encoder.value] if recipe.image_encoder else []
    return [*image, *([MASK] if recipe.mask_branch else [])]


def read_branches(setup: RunSetup, recipe: Recipe, fold: int, variant: str = "") -> Branches:
    """Return the embeddings that the recipe sees, by the encoders of this fold."""
    by_name = {name: read_embeddings(setup, name, fold, variant).by_nodule for name in encoders_of(recipe)}
    return Branches(image=by_name[recipe.image_encoder.value] if recipe.image_encoder else None, mask=by_name.get(MASK))


def _untrained(setup: RunSetup, recipe: Recipe, fold: int, variant: str = "") -> nn.Module:
    """Return the recipe's aggregator; the mean over stacks has nothing to train, it scores with the encoder's head."""
    assert recipe.aggregator is not None, "a network recipe has an aggregator"
    head: ImageHead | MaskEncoder | None = None
    if recipe.aggregator is Aggregator.MEAN:
        encoder = load_encoder(encoders_of(recipe)[0], setup, fold, variant)
        head = encoder.head if isinstance(encoder, CnnEncoder) else encoder
    return build_aggregator(recipe.aggregator, setup.preset.member, head).to(setup.torch_device)


def _fit(
    aggregator: nn.Module, branches: Branches, labels: Mapping[str, bool], training: Sequence[str], setup: RunSetup
) -> None:
    schedule = setup.preset.fusion_schedule
    targets = torch.tensor([float(labels[annot_id]) for annot_id in training])
    optimizer = torch.optim.AdamW(aggregator.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY)
    lengths = _lengths(branches)
    aggregator.train()

    def loss_of(batch: Tensor) -> Tensor:
        annot_ids = [training[i] for i in batch.tolist()]
        shown = [_shown_stacks(lengths[annot_id]) for annot_id in annot_ids]
        logits = aggregator(*_batch(branches, annot_ids, shown, setup.torch_device))
        return focal_loss(logits, targets[batch].to(setup.torch_device))

    fit(optimizer, len(training), schedule, loss_of, setup.tick)


def _lengths(branches: Branches) -> dict[str, int]:
    seen = branches.image or branches.mask
    assert seen is not None, "a network sees images or masks"
    return {annot_id: len(stacks) for annot_id, stacks in seen.items()}


def _shown_stacks(stacks: int) -> Tensor:
    """Return which stacks are shown: most of them, in order or, as if swept the other way, in reverse."""
    least = max(1, int(_LEAST_KEPT * stacks))
    count = int(torch.randint(least, stacks + 1, ()))
    kept = torch.randperm(stacks)[:count].sort().values
    return kept.flip(0) if torch.rand(()) < 0.5 else kept


def _batch(
    branches: Branches, annot_ids: Sequence[str], shown: Sequence[Tensor], device: torch.device
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Return image (B, S, 256), mask (B, S, 256) and valid (B, S) of nodules, each with the stacks that are shown."""
    sequences = [
        None if branch is None else [branch[i][stacks] for i, stacks in zip(annot_ids, shown, strict=True)]
        for branch in (branches.image, branches.mask)
    ]
    _, valid = padded([torch.zeros(len(stacks), 1) for stacks in shown])
    image, mask = (None if given is None else padded(given)[0].to(device) for given in sequences)
    return image, mask, valid.to(device)


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return sequences of (S, C) as one batch (B, longest S, C) with zeros after their ends, and `valid` (B, S)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    batch = torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True)
    return batch, torch.arange(batch.shape[1]) < lengths.unsqueeze(1)


def _answers(aggregator: nn.Module, branches: Branches, setup: RunSetup, fold: int) -> dict[str, Answer]:
    """Return what the aggregator says of every validation and test nodule, one at a time as in the service."""
    lengths, split, missed = _lengths(branches), setup.split(fold), missed_nodules(setup)
    answers = {}
    for annot_id in {*split.val, *split.test}:
        given = _batch(branches, [annot_id], [torch.arange(lengths[annot_id])], setup.torch_device)
        with torch.inference_mode():
            logit = aggregator(*given)
            stacks = aggregator.stack_logits(*given) if isinstance(aggregator, StackVote) else None
        answers[annot_id] = Answer(
            logit=logit.item(),
            probability=logit.sigmoid().item(),
            stack_probabilities=None if stacks is None else stacks[0].sigmoid().tolist(),
            missed=annot_id in missed,
        )
    return answers


# -- tables --------------------------------------------------------------------------------------------


def predict_from_tables(setup: RunSetup, recipe: Recipe, cohort: Cohort, fold: int) -> None:
    """Write what a recipe says that sees no picture: the TI-RADS forest, or a floor."""
    started = time.monotonic()
    split = setup.split(fold)
    records = {record.annot_id: record for record in cohort.records}
    training = [records[annot_id] for annot_id in split.train]
    asked = [records[annot_id] for annot_id in setup.fold_of if annot_id in {*split.val, *split.test}]
    if recipe.method is Method.FOREST:
        forest = fit_forest(training, derived_seed(setup.seed, recipe.name, str(fold)))
        answers = _probable(asked, forest_probabilities(forest, asked))
    else:
        scores = FLOORS[recipe.name](asked).tolist()
        answers = {
            record.annot_id: Answer(logit=score, probability=None) for record, score in zip(asked, scores, strict=True)
        }
    write_predictions(setup, recipe.name, fold, answers, labels_for(setup), started)


def _probable(records: Sequence[NoduleRecord], probabilities: np.ndarray) -> dict[str, Answer]:
    logits = logit_of(np.clip(probabilities, _SURE, 1 - _SURE)).tolist()
    return {
        record.annot_id: Answer(logit=logit, probability=probability)
        for record, logit, probability in zip(records, logits, probabilities.tolist(), strict=True)
    }


# -- predictions ---------------------------------------------------------------------------------------


def write_predictions(
    setup: RunSetup,
    name: str,
    fold: int,
    answers: Mapping[str, Answer],
    labels: Mapping[str, bool],
    started: float,
) -> None:
    """Write the answers of a recipe on one fold; a floor's `logit` is its score, and its `probability` null."""
    split = setup.split(fold)
    roles = [("val", annot_id) for annot_id in split.val] + [("test", annot_id) for annot_id in split.test]
    nodules = [
        {
            "annot_id": annot_id,
            "malignant": labels[annot_id],
            "split": role,
            **asdict(answers[annot_id]),
        }
        for role, annot_id in roles
    ]
    seconds = round(time.monotonic() - started, 3)
    content = {"recipe": name, "fold": fold, "nodules": nodules, "seconds": seconds}
    write_json(setup.folder.predictions(name, fold), content)
