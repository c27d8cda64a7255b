"""The fusion: attention that sums to one, answers that do not depend on padding, and a reference to agree with."""

import math

import pytest
import torch
from torch.nn import functional

from stact_pacs.networks.config import MemberConfig
from stact_pacs.networks.member import Member
from stact_pacs.networks.stact import AttentionBlock, StactTime, masked_mean, sinusoidal_positions

CONFIG = MemberConfig(trunk_dim=6, embedding_dim=16, heads=2, ffn_dim=8, hidden_dim=8)


@pytest.fixture(params=["mean", "attention"])
def fusion(request: pytest.FixtureRequest) -> StactTime:
    torch.manual_seed(3)
    return StactTime(
        MemberConfig(trunk_dim=6, embedding_dim=16, heads=2, ffn_dim=8, hidden_dim=8, pooling=request.param)
    ).eval()


def embeddings(stacks: int, nodules: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(stacks)
    shape = (nodules, stacks, CONFIG.embedding_dim)
    return torch.randn(shape), torch.randn(shape), torch.ones(nodules, stacks, dtype=torch.bool)


def test_one_logit_and_one_weight_per_stack_come_out(fusion: StactTime) -> None:
    output = fusion(*embeddings(5, nodules=3))
    assert output.logit.shape == (3,)
    assert output.attention.shape == (3, 5)


def test_the_attention_sums_to_one_over_the_valid_stacks_and_padding_gets_none(fusion: StactTime) -> None:
    image, mask, valid = embeddings(5, nodules=2)
    valid[1, 3:] = False
    attention = fusion(image, mask, valid).attention
    assert torch.allclose(attention.sum(dim=1), torch.ones(2), atol=1e-6)
    assert attention[1, 3:].abs().max() == 0


def test_padding_changes_nothing_whatever_it_holds(fusion: StactTime) -> None:
    image, mask, valid = embeddings(4)
    garbage = torch.full((1, 3, CONFIG.embedding_dim), 1e3)
    padded = fusion(torch.cat([image, garbage], 1), torch.cat([mask, -garbage], 1), functional.pad(valid, (0, 3)))
    alone = fusion(image, mask, valid)
    assert torch.allclose(padded.logit, alone.logit, atol=1e-6)
    assert torch.allclose(padded.attention[:, :4], alone.attention, atol=1e-6)


def test_the_order_of_the_stacks_matters_because_positions_are_encoded(fusion: StactTime) -> None:
    image, mask, valid = embeddings(4)
    assert not torch.allclose(fusion(image.flip(1), mask.flip(1), valid).logit, fusion(image, mask, valid).logit)


def test_it_matters_which_mask_goes_with_which_image(fusion: StactTime) -> None:
    image, mask, valid = embeddings(4)
    assert not torch.allclose(fusion(image, mask.flip(1), valid).logit, fusion(image, mask, valid).logit)


def test_the_cross_attention_agrees_with_the_formula_over_the_same_weights() -> None:
    torch.manual_seed(5)
    block = AttentionBlock(CONFIG).eval()
    queries, keys, valid = embeddings(4)
    _, weights = block(queries, keys, valid)
    half = CONFIG.embedding_dim // CONFIG.heads
    w_query, w_key, _ = block.attention.in_proj_weight.chunk(3)
    q = (block.query_norm(queries) @ w_query.T).unflatten(-1, (CONFIG.heads, half)).transpose(1, 2)
    k = (block.key_norm(keys) @ w_key.T).unflatten(-1, (CONFIG.heads, half)).transpose(1, 2)
    expected = (q @ k.transpose(-1, -2) / math.sqrt(half)).softmax(dim=-1).mean(dim=1)
    assert torch.allclose(weights, expected, atol=1e-6)


def test_the_concatenation_is_twice_the_embedding_as_in_the_paper() -> None:
    assert StactTime(MemberConfig()).classifier[0].in_features == 512


def test_positions_are_sines_and_cosines_of_falling_rate() -> None:
    positions = sinusoidal_positions(3, 4)
    expected = [math.sin(2), math.cos(2), math.sin(2 / 30**0.5), math.cos(2 / 30**0.5)]
    assert positions[2].tolist() == pytest.approx(expected, abs=1e-6)


def test_no_two_stacks_of_the_longest_clip_have_nearly_the_same_position() -> None:
    positions = sinusoidal_positions(147, 256)
    alike = functional.cosine_similarity(positions[:, None], positions[None], dim=-1) - torch.eye(147)
    assert alike.max() < 0.98


def test_before_training_a_query_attends_most_to_its_own_place_or_the_next() -> None:
    torch.manual_seed(0)
    positions = sinusoidal_positions(15, MemberConfig().embedding_dim).unsqueeze(0)
    block = AttentionBlock(MemberConfig()).eval()
    _, weights = block(positions, positions, torch.ones(1, 15, dtype=torch.bool))
    assert (weights[0].argmax(dim=-1) - torch.arange(15)).abs().max() <= 1


def test_a_masked_mean_leaves_out_what_is_not_valid() -> None:
    values = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert masked_mean(values, torch.tensor([[True, True, False]])).item() == 2.0


def test_a_member_scores_a_batch_as_it_scores_each_nodule_alone() -> None:
    torch.manual_seed(7)
    member = Member(CONFIG).eval()
    features, masks = torch.randn(2, 5, 6), torch.rand(2, 5, 3, 32, 32)
    valid = torch.ones(2, 5, dtype=torch.bool)
    valid[1, 3:] = False
    together = member(features, masks, valid).logit
    first = member(features[:1], masks[:1], valid[:1]).logit
    second = member(features[1:, :3], masks[1:, :3], valid[1:, :3]).logit
    assert torch.allclose(together, torch.cat([first, second]), atol=1e-6)


def test_a_gradient_reaches_every_parameter_of_the_fusion() -> None:
    fusion = StactTime(CONFIG)
    fusion(*embeddings(4, nodules=2)).logit.square().sum().backward()
    assert [name for name, parameter in fusion.named_parameters() if parameter.grad is None] == []


def test_the_same_seed_makes_the_same_member() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(11)
        weights.append(torch.cat([parameter.flatten() for parameter in Member(CONFIG).parameters()]))
    assert torch.equal(*weights)


def test_heads_must_divide_the_embedding() -> None:
    with pytest.raises(ValueError, match="heads"):
        MemberConfig(embedding_dim=10, heads=4)
