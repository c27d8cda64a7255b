"""The one table of everything that is compared: each row says what is built, and what the paper printed for it.

Two recipes differ in nothing but what their rows say: data, folds, crops, losses and seeds are the same for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.design import Aggregator, ImageEncoder


class Method(StrEnum):
    """How a recipe comes to its scores."""

    NETWORK = "network"
    """Trained on clips; the score is a logit."""
    FOREST = "forest"
    """A random forest trained on TI-RADS descriptors; the score is a probability."""
    FLOOR = "floor"
    """Nothing is trained; the score only ranks, so it has an AUROC and no calibration."""


class Need(StrEnum):
    """What a recipe needs of the data beside the labels."""

    FRAMES = "frames"
    MASKS = "masks"
    """Of every network: its crops lie around the nodule, even where it never sees the mask itself."""
    TIRADS = "tirads"
    SIZE = "size"


CLIPS = frozenset({Need.FRAMES, Need.MASKS})
"""What every network needs."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure as the paper prints it; the spread is called a standard deviation over five folds."""

    text: str
    """Such as `0.90 ± 0.02`; the decimals tell how exact it is."""

    @property
    def value(self) -> float:
        return float(self.text.split(" ± ")[0])

    @property
    def spread(self) -> float:
        return float(self.text.split(" ± ")[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One row of a results table; None where the paper prints a dash or has no such column."""

    table: Literal[2, 3, 4]
    label: str
    """The row's name in the paper."""
    nodule_acc: Printed | None = None
    nodule_precision: Printed | None = None
    nodule_recall: Printed | None = None
    nodule_f1: Printed | None = None
    nodule_auroc: Printed | None = None
    frame_acc: Printed | None = None
    """Frame means a stack of three frames."""
    frame_auroc: Printed | None = None
    footnotes: tuple[str, ...] = ()
    """Where this row cannot be right, or cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One thing that is trained, or only computed, and measured."""

    name: str
    title: str
    """For the tables of a report."""
    method: Method = Method.NETWORK
    needs: frozenset[Need] = CLIPS
    image_encoder: ImageEncoder | None = None
    """None: no image is seen."""
    mask_branch: bool = False
    """Whether the masks are encoded and seen."""
    aggregator: Aggregator | None = None
    """From stacks to the nodule; None where no network is trained."""
    published: tuple[PaperRow, ...] = ()
    """Empty for what the paper does not report."""
    note: str = ""
    """What the reader of a report should know of it; empty when its name says all."""

    def __post_init__(self) -> None:
        branches = (self.image_encoder is not None) + self.mask_branch
        wanted = 0 if self.aggregator is None else 2 if self.aggregator.joins_branches else 1
        if branches != wanted:
            raise ValueError(f"Recipe {self.name} has {branches} branches, aggregator {self.aggregator} takes {wanted}")
        if (self.method is Method.NETWORK) != (self.aggregator is not None):
            raise ValueError(f"Recipe {self.name} is a {self.method} with aggregator {self.aggregator}")

    @property
    def tables(self) -> tuple[int, ...]:
        """The paper's tables that have a row of it."""
        return tuple(row.table for row in self.published)

    @property
    def design(self) -> tuple[Method, ImageEncoder | None, bool, Aggregator | None]:
        """What is built: two network recipes of one design are one run under two names."""
        return self.method, self.image_encoder, self.mask_branch, self.aggregator


_WEIGHTED = (
    "Precision, recall and F1 fit only as means weighted by class size: at 17 of 192 malignant they are reproduced by"
    " 10 true and 15 false positives, that is a sensitivity of .59 (95 % interval .36 to .78), a PPV of .40 and an F1"
    " of the malignant class of .48."
)
_BELOW_TRIVIAL = "Calling all 192 nodules benign has an accuracy of .911, more than this."
_TIGHT = "± .01 to .03 cannot be the SD of AUROC over folds with 3 or 4 cancers each; about .10 is what sampling gives."
_VIT_TWICE = "Table 2 and Table 4 print this model twice and differ: recall .75 and .76, F1 .75 and .76."
_F1_SPREAD = "A spread of 0.3 is almost surely a misprint of .03."
_VIT_RECALL = (
    "Recall differs from accuracy, so it is no weighted mean; no averaging at 8.85 % malignant gives this row."
)
_VIT_GAIN = "The text has STACT-Time gain .19 in F1 over this row; the tables give .13 or .14."
_SEG_TRIVIAL = (
    "This is what calling everything benign gives on a set with 20 % malignant, not on the 8.85 % of the cohort."
)
_SEG_TWICE = (
    "Table 2 and Table 4 print this model with different decimals: precision .63 and .636, recall .80 and .806."
)
_TIRADS_BEST = (
    "It has the table's best accuracy and recall; both fit 2 true and 5 false positives, a sensitivity of .12. So"
    " STACT-Time is better in precision, F1 and AUROC only."
)
_QUOTED = "Quoted from Yamashita et al. 2022, with other folds and other training; not run by the paper."
_TRIVIAL_FRAMES = "A frame accuracy of .88 is that of calling every frame benign (.887)."
_VIT_LOW = "The text praises the accuracy on nodules, which is the second lowest of the table."
_SEG_SWAPPED = "The text gives .90 as the nodule accuracy; the table has it as the frame accuracy, and .79 for nodules."
_JOINT_TIE = "The text calls .832 higher than all other backbones; in the table the ViT has .83 as well."
_MAYBE_LEAK = (
    "Early public folds of the authors divided frames, not nodules; whether this row was run on them is unknown."
)

_TRANSFORMER = (
    "The paper does not describe this transformer; here it is that of Cine-CNNTrans. The printed figures suggest that"
    " it is the run that Table 4 calls self attention."
)
_STACT_TIME = "0.89 ± 0.03 | 0.91 ± 0.02 | 0.88 ± 0.01 | 0.89 ± 0.02 | 0.91 ± 0.01"

_NODULE_COLUMNS = ("nodule_acc", "nodule_precision", "nodule_recall", "nodule_f1", "nodule_auroc")
_BACKBONE_COLUMNS = ("frame_acc", "nodule_acc", "frame_auroc", "nodule_auroc")


def _paper_row(table: Literal[2, 3, 4], label: str, cells: str, *footnotes: str) -> PaperRow:
    """Return a row from its cells in the paper's order, with bars between them, so that it can be proof-read."""
    columns = _BACKBONE_COLUMNS if table == 3 else _NODULE_COLUMNS
    figures = zip(columns, cells.split(" | "), strict=True)
    printed = {column: Printed(text) for column, text in figures if text != "-"}
    return PaperRow(table=table, label=label, footnotes=footnotes, **printed)


_ROWS = (
    Recipe(
        name="cine-cnn-avgpool",
        title="Cine-CNNAvePool",
        image_encoder=ImageEncoder.MOBILENET_V2,
        aggregator=Aggregator.MEAN,
        published=(_paper_row(2, "Cine-CNNavePool", "- | - | - | - | 0.82 ± 0.07", _QUOTED),),
        note="The same design as mobilenet-v2.",
    ),
    Recipe(
        name="cine-cnn-trans",
        title="Cine-CNNTrans",
        image_encoder=ImageEncoder.MOBILENET_V2,
        aggregator=Aggregator.TRANSFORMER,
        published=(_paper_row(2, "Cine-CNNTrans", "- | - | - | - | 0.88 ± 0.10", _QUOTED),),
    ),
    Recipe(
        name="ti-rads",
        title="TI-RADS forest",
        method=Method.FOREST,
        needs=frozenset({Need.TIRADS}),
        published=(
            _paper_row(
                2,
                "TI-RADS",
                "0.90 ± 0.02 | 0.86 ± 0.06 | 0.90 ± 0.02 | 0.88 ± 0.04 | 0.84 ± 0.08",
                _TIRADS_BEST,
                _BELOW_TRIVIAL,
            ),
        ),
        note="A reader has described each nodule by hand: it is no competitor that reads clips.",
    ),
    Recipe(
        name="seg-transformer",
        title="Segmentation + transformer",
        mask_branch=True,
        aggregator=Aggregator.TRANSFORMER,
        published=(
            _paper_row(
                2,
                "Segmentation + Transformer",
                "0.80 ± 0.02 | 0.63 ± 0.03 | 0.80 ± 0.02 | 0.71 ± 0.01 | 0.82 ± 0.03",
                _SEG_TRIVIAL,
                _SEG_TWICE,
                _TIGHT,
            ),
        ),
        note=_TRANSFORMER,
    ),
    Recipe(
        name="vit-transformer",
        title="ViT + transformer",
        image_encoder=ImageEncoder.VIT,
        aggregator=Aggregator.TRANSFORMER,
        published=(
            _paper_row(
                2,
                "ViT + Transformer",
                "0.87 ± 0.01 | 0.83 ± 0.02 | 0.75 ± 0.02 | 0.75 ± 0.3 | 0.87 ± 0.02",
                _VIT_RECALL,
                _F1_SPREAD,
                _VIT_TWICE,
                _TIGHT,
            ),
        ),
        note=_TRANSFORMER,
    ),
    Recipe(
        name="stact-time",
        title="STACT-Time",
        image_encoder=ImageEncoder.VIT,
        mask_branch=True,
        aggregator=Aggregator.CROSS_ATTENTION,
        published=(
            _paper_row(2, "STACT-Time", _STACT_TIME, _WEIGHTED, _BELOW_TRIVIAL, _TIGHT),
            _paper_row(4, "ViT+Seg+Cross (STACT-Time)", _STACT_TIME, _WEIGHTED, _BELOW_TRIVIAL, _TIGHT),
        ),
    ),
    Recipe(
        name="shufflenet-v2",
        title="ShuffleNet v2",
        image_encoder=ImageEncoder.SHUFFLENET_V2,
        aggregator=Aggregator.MEAN,
        published=(
            _paper_row(
                3,
                "ShuffleNet v2 Backbone",
                "0.88 ± 0.01 | 0.88 ± 0.01 | 0.69 ± 0.02 | 0.79 ± 0.03",
                _TRIVIAL_FRAMES,
                _MAYBE_LEAK,
            ),
        ),
    ),
    Recipe(
        name="mobilenet-v2",
        title="MobileNet v2",
        image_encoder=ImageEncoder.MOBILENET_V2,
        aggregator=Aggregator.MEAN,
        published=(
            _paper_row(
                3,
                "MobileNet v2 Backbone",
                "0.88 ± 0.01 | 0.88 ± 0.01 | 0.73 ± 0.02 | 0.78 ± 0.01",
                _TRIVIAL_FRAMES,
                _MAYBE_LEAK,
            ),
        ),
        note="The same design as cine-cnn-avgpool.",
    ),
    Recipe(
        name="vit",
        title="ViT",
        image_encoder=ImageEncoder.VIT,
        aggregator=Aggregator.MEAN,
        published=(_paper_row(3, "ViT Backbone", "0.92 ± 0.01 | 0.81 ± 0.01 | 0.76 ± 0.03 | 0.83 ± 0.05", _VIT_LOW),),
    ),
    Recipe(
        name="segmentation",
        title="Segmentation",
        mask_branch=True,
        aggregator=Aggregator.MEAN,
        published=(
            _paper_row(
                3, "Segmentation Backbone", "0.90 ± 0.02 | 0.79 ± 0.02 | 0.74 ± 0.03 | 0.80 ± 0.02", _SEG_SWAPPED
            ),
        ),
    ),
    Recipe(
        name="joint-fusion",
        title="Joint fusion",
        image_encoder=ImageEncoder.VIT,
        mask_branch=True,
        aggregator=Aggregator.JOINT,
        published=(
            _paper_row(3, "Joint Fusion Backbone", "0.94 ± 0.02 | 0.85 ± 0.01 | 0.83 ± 0.03 | 0.83 ± 0.03", _JOINT_TIE),
        ),
    ),
    Recipe(
        name="vit-self",
        title="ViT + self attention",
        image_encoder=ImageEncoder.VIT,
        aggregator=Aggregator.SELF_ATTENTION,
        published=(
            _paper_row(
                4,
                "ViT + Self",
                "0.873 ± 0.01 | 0.83 ± 0.02 | 0.76 ± 0.02 | 0.76 ± 0.3 | 0.87 ± 0.02",
                _VIT_RECALL,
                _F1_SPREAD,
                _VIT_TWICE,
                _VIT_GAIN,
                _TIGHT,
            ),
        ),
    ),
    Recipe(
        name="seg-self",
        title="Segmentation + self attention",
        mask_branch=True,
        aggregator=Aggregator.SELF_ATTENTION,
        published=(
            _paper_row(
                4,
                "Seg+ Self",
                "0.80 ± 0.02 | 0.636 ± 0.03 | 0.806 ± 0.02 | 0.711 ± 0.01 | 0.823 ± 0.03",
                _SEG_TRIVIAL,
                _SEG_TWICE,
                _TIGHT,
            ),
        ),
    ),
    Recipe(
        name="frame-count",
        title="Number of frames",
        method=Method.FLOOR,
        needs=frozenset(),
        note="A shortcut: on the Stanford cohort the longer clips of cancers alone have an AUROC of .66.",
    ),
    Recipe(
        name="nodule-size",
        title="Small size",
        method=Method.FLOOR,
        needs=frozenset({Need.SIZE}),
        note="A shortcut: on the Stanford cohort the smaller size of cancers alone has an AUROC of .70.",
    ),
    Recipe(
        name="ti-rads-points",
        title="TI-RADS points",
        method=Method.FLOOR,
        needs=frozenset({Need.TIRADS}),
        note="The honest bar: on the Stanford cohort the reader's plain sum of points has an AUROC of .859.",
    ),
    Recipe(
        name="all-benign",
        title="All benign",
        method=Method.FLOOR,
        needs=frozenset(),
        note="On the Stanford cohort: accuracy .911, weighted F1 .869, and no cancer found.",
    ),
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ROWS}
"""Every recipe by its name, in the order of the paper's tables; the floors come last."""


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises
    ------
    Misconfigured
        There is none; the remedy lists all names.
    """
    if name not in RECIPES:
        raise Misconfigured(f"There is no recipe {name!r}.", remedy=f"Choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]


def recipes_of_table(table: int) -> tuple[Recipe, ...]:
    """Return the recipes with a row in that table of the paper (2, 3 or 4), in the paper's order.

    >>> [recipe.name for recipe in recipes_of_table(4)]
    ['vit-self', 'seg-self', 'stact-time']
    """
    rows = (recipe for recipe in _ROWS if table in recipe.tables)
    return tuple(
        sorted(rows, key=lambda recipe: recipe.name == "stact-time")
    )  # the paper's own model closes its tables
