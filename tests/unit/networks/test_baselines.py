"""The baselines: the sizes of their papers to the unit, one contract for all, and scores that padding cannot move."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2, shufflenet_v2_x1_0

from stact_pacs.networks.baselines import (
    CnnEncoder,
    CrossAttention,
    LinearHead,
    MeanOfStacks,
    SelfAttention,
    StackVote,
    build_aggregator,
    logit_of_mean,
    malignancy,
)
from stact_pacs.networks.config import MemberConfig
from stact_pacs.networks.design import Aggregator, ImageEncoder
from stact_pacs.networks.image_encoder import ImageHead
from stact_pacs.networks.mask_encoder import MaskEncoder
from stact_pacs.networks.stact import StactTime

SMALL = MemberConfig(trunk_dim=6, embedding_dim=16, heads=2, ffn_dim=8, hidden_dim=8)
CONVOLUTIONAL = (ImageEncoder.MOBILENET_V2, ImageEncoder.SHUFFLENET_V2)
STACKS = 5
ALL_VALID = torch.ones(1, STACKS, dtype=torch.bool)

Embeddings = tuple[Tensor | None, Tensor | None]


def aggregator(kind: Aggregator, config: MemberConfig = SMALL) -> nn.Module:
    torch.manual_seed(2)
    return build_aggregator(kind, config, ImageHead(config.trunk_dim, config.embedding_dim)).eval()


def embeddings(kind: Aggregator, seed: int = 1, nodules: int = 1) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    image, mask = torch.randn(2, nodules, STACKS, SMALL.embedding_dim, generator=generator)
    return image, mask if kind.joins_branches else None


def changed(branches: Embeddings, change: Callable[[Tensor], Tensor]) -> Embeddings:
    image, mask = (None if branch is None else change(branch) for branch in branches)
    return image, mask


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def without_gradient(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(("name", "count"), [(CONVOLUTIONAL[0], 2_552_322), (CONVOLUTIONAL[1], 1_516_518)])
def test_a_convolutional_encoder_has_the_parameters_of_its_paper_to_the_unit(name: ImageEncoder, count: int) -> None:
    with torch.device("meta"):
        assert parameters(CnnEncoder(name, 256)) == count


@pytest.mark.parametrize(
    ("name", "original"), [(CONVOLUTIONAL[0], mobilenet_v2), (CONVOLUTIONAL[1], shufflenet_v2_x1_0)]
)
def test_weights_of_torchvision_fit_but_for_their_own_classifier(name: ImageEncoder, original: type) -> None:
    with torch.device("meta"):
        weights = {key for key in original().state_dict() if not key.startswith(("classifier.", "fc."))}
        assert set(CnnEncoder(name, 256).trunk.state_dict()) == weights


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_stack_becomes_an_embedding_and_two_logits_without_activation_between(name: ImageEncoder) -> None:
    encoder = CnnEncoder(name, 16).eval()
    stacks = torch.rand(2, 3, 32, 32)
    embedded = encoder.embed(stacks)
    assert embedded.shape == (2, 16)
    assert torch.allclose(encoder(stacks), encoder.head.classifier(embedded), atol=1e-6)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_gradient_reaches_every_parameter_of_a_convolutional_encoder(name: ImageEncoder) -> None:
    torch.manual_seed(3)
    encoder = CnnEncoder(name, 16)
    encoder(torch.rand(4, 3, 64, 64)).square().sum().backward()
    assert without_gradient(encoder) == []


def test_the_vit_is_no_convolutional_network() -> None:
    with pytest.raises(ValueError, match="build_trunk"):
        CnnEncoder(ImageEncoder.VIT, 256)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (Aggregator.MEAN, 514),
        (Aggregator.TRANSFORMER, 2_630_658),
        (Aggregator.SELF_ATTENTION, 561_153),
        (Aggregator.JOINT, 65_793),
        (Aggregator.CROSS_ATTENTION, 1_122_049),
    ],
)
def test_an_aggregator_of_the_papers_sizes_has_exactly_these_parameters(kind: Aggregator, count: int) -> None:
    with torch.device("meta"):
        assert parameters(aggregator(kind, MemberConfig())) == count


@pytest.mark.parametrize("kind", Aggregator)
def test_every_aggregator_gives_one_logit_per_nodule(kind: Aggregator) -> None:
    valid = ALL_VALID.expand(3, -1)
    assert aggregator(kind)(*embeddings(kind, nodules=3), valid).shape == (3,)


@pytest.mark.parametrize("kind", Aggregator)
def test_padding_changes_no_logit_whatever_it_holds(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind)
    longer = changed(branches, lambda branch: functional.pad(branch, (0, 0, 0, 3), value=1e3))
    assert torch.allclose(network(*longer, functional.pad(ALL_VALID, (0, 3))), network(*branches, ALL_VALID), atol=1e-5)


@pytest.mark.parametrize("kind", Aggregator)
def test_a_batch_is_scored_in_inference_as_each_nodule_alone_is_in_training(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind, nodules=2)
    valid = torch.tensor([[True] * STACKS, [True] * 3 + [False] * 2])
    with torch.inference_mode():
        together = network(*branches, valid)
    first = network(*changed(branches, lambda branch: branch[:1]), valid[:1])
    second = network(*changed(branches, lambda branch: branch[1:, :3]), valid[1:, :3])
    assert torch.allclose(together, torch.cat([first, second]), atol=1e-5)


@pytest.mark.parametrize("kind", Aggregator)
def test_padding_changes_no_gradient_either(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind)
    network(*branches, ALL_VALID).sum().backward()
    alone = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    longer = changed(branches, lambda branch: functional.pad(branch, (0, 0, 0, 3), value=10.0))
    network(*longer, functional.pad(ALL_VALID, (0, 3))).sum().backward()
    for before, parameter in zip(alone, network.parameters(), strict=True):
        assert torch.allclose(before, parameter.grad, atol=1e-5)


@pytest.mark.parametrize("kind", Aggregator)
def test_a_gradient_reaches_every_parameter_of_an_aggregator(kind: Aggregator) -> None:
    network = aggregator(kind)
    network(*embeddings(kind, nodules=4), ALL_VALID.expand(4, -1)).square().sum().backward()
    assert without_gradient(network) == []


@pytest.mark.parametrize("kind", [kind for kind in Aggregator if not kind.joins_branches])
def test_an_aggregator_of_one_branch_takes_masks_as_it_takes_images(kind: Aggregator) -> None:
    network, (image, _) = aggregator(kind), embeddings(kind)
    assert torch.equal(network(None, image, ALL_VALID), network(image, None, ALL_VALID))


@pytest.mark.parametrize("kind", [kind for kind in Aggregator if not kind.joins_branches])
def test_an_aggregator_of_one_branch_refuses_two_and_none(kind: Aggregator) -> None:
    network, (image, _) = aggregator(kind), embeddings(kind)
    for branches in ((image, image), (None, None)):
        with pytest.raises(ValueError, match="one branch"):
            network(*branches, ALL_VALID)


@pytest.mark.parametrize("kind", [Aggregator.JOINT, Aggregator.CROSS_ATTENTION])
def test_an_aggregator_of_both_branches_refuses_one(kind: Aggregator) -> None:
    network, (image, mask) = aggregator(kind), embeddings(kind)
    for branches in ((image, None), (None, mask)):
        with pytest.raises(ValueError, match="joins the branches"):
            network(*branches, ALL_VALID)


@pytest.mark.parametrize("kind", [Aggregator.SELF_ATTENTION, Aggregator.CROSS_ATTENTION])
def test_attention_of_stact_time_knows_the_order_of_the_stacks(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind)
    backwards = changed(branches, lambda branch: branch.flip(1))
    assert not torch.allclose(network(*backwards, ALL_VALID), network(*branches, ALL_VALID), atol=1e-4)


@pytest.mark.parametrize("kind", [Aggregator.MEAN, Aggregator.TRANSFORMER, Aggregator.JOINT])
def test_a_vote_of_stacks_does_not_know_their_order(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind)
    backwards = changed(branches, lambda branch: branch.flip(1))
    assert torch.allclose(network(*backwards, ALL_VALID), network(*branches, ALL_VALID), atol=1e-5)


@pytest.mark.parametrize("kind", [Aggregator.MEAN, Aggregator.TRANSFORMER, Aggregator.JOINT])
def test_a_vote_gives_the_mean_of_its_stacks_probabilities(kind: Aggregator) -> None:
    network, branches = aggregator(kind), embeddings(kind)
    assert isinstance(network, StackVote)
    stacks = network.stack_logits(*branches, ALL_VALID)
    assert stacks.shape == (1, STACKS)
    assert torch.allclose(network(*branches, ALL_VALID).sigmoid(), stacks.sigmoid().mean(dim=1), atol=1e-6)


@pytest.mark.parametrize("head", [ImageHead(6, 16), LinearHead(6, 16)])
def test_the_mean_over_stacks_scores_a_stack_as_the_image_head_does(head: ImageHead) -> None:
    features = torch.randn(1, STACKS, 6)
    stacks = MeanOfStacks(head).stack_logits(head.embed(features), None, ALL_VALID)
    assert torch.allclose(stacks, malignancy(head(features)))


def test_the_mean_over_stacks_scores_a_stack_as_the_mask_encoder_does() -> None:
    encoder = MaskEncoder(SMALL).eval()
    masks = torch.rand(STACKS, 3, 32, 32)
    stacks = MeanOfStacks(encoder).stack_logits(None, encoder.embed(masks)[None], ALL_VALID)
    assert torch.allclose(stacks[0], encoder(masks).squeeze(-1))


def test_the_mean_over_stacks_needs_a_head() -> None:
    with pytest.raises(ValueError, match="head"):
        build_aggregator(Aggregator.MEAN, SMALL)


def test_cross_attention_is_stact_time_itself() -> None:
    network, (image, mask) = aggregator(Aggregator.CROSS_ATTENTION), embeddings(Aggregator.CROSS_ATTENTION)
    assert isinstance(network, CrossAttention)
    assert isinstance(network.fusion, StactTime)
    assert torch.equal(network(image, mask, ALL_VALID), network.fusion(image, mask, ALL_VALID).logit)


def test_self_attention_says_that_it_knows_no_other_pooling() -> None:
    with pytest.raises(ValueError, match="pooling"):
        SelfAttention(MemberConfig(pooling="attention"))


def test_the_logit_of_the_mean_stays_finite_where_probabilities_round_to_one() -> None:
    logits = torch.tensor([[200.0, 220.0]], requires_grad=True)
    mean = logit_of_mean(logits, torch.ones(1, 2, dtype=torch.bool))
    mean.sum().backward()
    assert 200 < mean.item() < 220
    assert logits.grad is not None
    assert logits.grad.sum() > 0.5
