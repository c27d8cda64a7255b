"""The words for what a nodule classifier is made of; no torch here, so that a list of recipes costs nothing to read."""

from enum import StrEnum


class ImageEncoder(StrEnum):
    """What turns a stack of three frames into an image embedding."""

    VIT = "vit"
    """The frozen vision transformer trunk; only a head of two layers is trained (STACT-Time, Section 2.3)."""
    SHUFFLENET_V2 = "shufflenet-v2"
    """ShuffleNet v2 x1.0, trained whole."""
    MOBILENET_V2 = "mobilenet-v2"
    """MobileNet v2, trained whole, as in Yamashita et al. 2022."""


class Aggregator(StrEnum):
    """What turns the embeddings of a nodule's stacks into one logit."""

    MEAN = "mean"
    """One branch: mean over stacks of the probability that the encoder's own head gives; nothing more is trained."""
    TRANSFORMER = "transformer"
    """One branch: a transformer over the stacks, then the mean of the stacks' probabilities (Yamashita et al. 2022)."""
    SELF_ATTENTION = "self-attention"
    """One branch: the self attention of STACT-Time alone."""
    JOINT = "joint"
    """Both branches: a small network over the joined embeddings of each stack, then the mean of the probabilities."""
    CROSS_ATTENTION = "cross-attention"
    """Both branches: STACT-Time."""

    @property
    def joins_branches(self) -> bool:
        """Whether it needs image and mask embeddings; the others need one of the two, whichever it is."""
        return self in {Aggregator.JOINT, Aggregator.CROSS_ATTENTION}
