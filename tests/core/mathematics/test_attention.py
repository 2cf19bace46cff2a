"""The mathematics against torch's own attention in float64, and against numbers worked out by hand."""

import inspect
import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attn_core import attention, masks

# Two tokens, one head of width 1, so that every step fits on paper: scores [[0, ln 3], [0, 2 ln 3]].
LN3 = math.log(3)
QUERY = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
KEY = torch.tensor([[0.0], [LN3]], dtype=torch.float64)
VALUE = torch.tensor([[8.0], [4.0]], dtype=torch.float64)
W_O = torch.tensor([[1.0, -1.0, 0.5]], dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def qkv(n_heads: int = 3, n_query: int = 5, n_key: int = 7, d_head: int = 4):
    return random(n_heads, n_query, d_head), random(n_heads, n_key, d_head, seed=1), random(n_heads, n_key, 6, seed=2)


def test_a_head_by_hand():
    pattern = attention.pattern(QUERY, KEY)
    assert torch.allclose(pattern, torch.tensor([[1 / 4, 3 / 4], [1 / 10, 9 / 10]], dtype=torch.float64))
    weighted = attention.weighted_values(pattern, VALUE)
    assert torch.allclose(weighted, torch.tensor([[5.0], [4.4]], dtype=torch.float64))
    added = attention.delta_e(pattern, VALUE, W_O)
    assert torch.allclose(added, torch.tensor([[5.0, -5.0, 2.5], [4.4, -4.4, 2.2]], dtype=torch.float64))


def test_a_masked_head_by_hand():
    pattern = attention.pattern(QUERY, KEY, masks.causal(2, 2))
    assert torch.allclose(pattern, torch.tensor([[1.0, 0.0], [0.1, 0.9]], dtype=torch.float64))
    assert pattern[0, 1] == 0


def test_the_scale_by_hand():
    query, key = torch.tensor([[2.0, 0.0, 0.0, 0.0]]), torch.tensor([[LN3, 0, 0, 0], [0.0, 0, 0, 0]])
    assert attention.raw_scores(query, key).tolist() == [[pytest.approx(2 * LN3), 0.0]]
    assert attention.scale(attention.raw_scores(query, key), 4).tolist() == [[pytest.approx(LN3), 0.0]]
    assert attention.pattern(query, key).tolist() == [[pytest.approx(0.75), pytest.approx(0.25)]]


def test_the_softmax_by_hand():
    rows = attention.softmax(torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)], [-math.inf, 5.0]]))
    assert torch.allclose(rows, torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.0, 1.0]]))


@pytest.mark.parametrize("shift", [1e4, -1e4, 1e30])
def test_the_softmax_neither_overflows_nor_drowns(shift):
    weights = attention.softmax(torch.tensor([shift, shift], dtype=torch.float64))
    assert weights.tolist() == [0.5, 0.5]
    assert torch.isfinite(attention.softmax(torch.tensor([3e38, -3e38, -math.inf]))).all()


def masks_for(n_query: int, n_key: int) -> dict[str, torch.Tensor | None]:
    some = torch.rand(n_query, n_key, generator=torch.Generator().manual_seed(3)) > 0.6
    some[:, 0] = True
    return {
        "none": None,
        "causal": masks.causal(n_query, n_key),
        "window": masks.window(n_query, n_key, 2),
        "some": some,
    }


@pytest.mark.parametrize("name", ["none", "causal", "window", "some"])
@pytest.mark.parametrize(("n_query", "n_key"), [(1, 1), (5, 5), (5, 7), (7, 7)])
def test_every_head_agrees_with_torch(name, n_query, n_key):
    may_look = masks_for(n_query, n_key)[name]
    query, key, value = qkv(n_query=n_query, n_key=n_key)
    pattern = attention.pattern(query, key, may_look)
    judge = scaled_dot_product_attention(query, key, value, attn_mask=may_look)
    assert torch.allclose(attention.weighted_values(pattern, value), judge, atol=1e-14)
    assert torch.allclose(pattern.sum(-1), torch.ones(3, n_query, dtype=torch.float64), atol=1e-14)
    if may_look is not None:
        assert bool((pattern[:, ~may_look] == 0).all()) and bool((pattern[:, may_look] > 0).all())


def test_delta_e_splits_by_source_and_sums_to_the_block():
    query, key, value = qkv()
    pattern = attention.pattern(query, key)
    w_o = random(3, 6, 10, seed=4)  # [head, d_head, d_model]
    added = attention.delta_e(pattern, value, w_o)  # [head, query, d_model]
    for head in range(3):
        for q in range(5):
            parts = attention.delta_e_by_source(pattern[head, q], value[head], w_o[head])
            assert parts.shape == (7, 10)
            assert torch.allclose(parts.sum(0), added[head, q], atol=1e-13)
    joined = attention.join_heads(scaled_dot_product_attention(query, key, value))
    assert torch.allclose(added.sum(0), joined @ w_o.flatten(0, 1), atol=1e-13)


def weights(d_model: int = 12, width: int = 12, d_memory: int = 12) -> attention.AttentionWeights:
    return attention.AttentionWeights(
        w_q=random(d_model, width, seed=5),
        w_k=random(d_memory, width, seed=6),
        w_v=random(d_memory, width, seed=7),
        w_o=random(width, d_model, seed=8),
        b_q=random(width, seed=9),
        b_k=random(width, seed=10),
        b_v=random(width, seed=11),
        b_o=random(d_model, seed=12),
    )


def torch_module(w: attention.AttentionWeights, n_heads: int) -> torch.nn.MultiheadAttention:
    judge = torch.nn.MultiheadAttention(w.w_o.shape[1], n_heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        judge.in_proj_weight.copy_(torch.cat([w.w_q.T, w.w_k.T, w.w_v.T]))
        judge.in_proj_bias.copy_(torch.cat([w.b_q, w.b_k, w.b_v]))
        judge.out_proj.weight.copy_(w.w_o.T)
        judge.out_proj.bias.copy_(w.b_o)
    return judge


@pytest.mark.parametrize("n_heads", [1, 3, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_is_torchs_module(n_heads, causal):
    x = random(6, 12, seed=20)
    may_look = masks.causal(6, 6) if causal else None
    output, pattern = attention.multi_head(x, weights(), n_heads, may_look)
    hidden = None if may_look is None else ~may_look
    judged, seen = torch_module(weights(), n_heads)(x, x, x, attn_mask=hidden, average_attn_weights=False)
    assert torch.allclose(output, judged, atol=1e-13)
    assert torch.allclose(pattern, seen, atol=1e-13)


def test_cross_attention_asks_one_sentence_and_reads_the_other():
    x, memory = random(4, 12, seed=21), random(9, 12, seed=22)
    output, pattern = attention.cross_attention(x, memory, weights(), 3)
    judged, seen = torch_module(weights(), 3)(x, memory, memory, average_attn_weights=False)
    assert pattern.shape == (3, 4, 9)
    assert torch.allclose(output, judged, atol=1e-13)
    assert torch.allclose(pattern, seen, atol=1e-13)


def test_without_biases():
    w = weights()
    bare = attention.AttentionWeights(w.w_q, w.w_k, w.w_v, w.w_o)
    output, _ = attention.multi_head(torch.zeros(3, 12, dtype=torch.float64), bare, 3)
    assert torch.equal(output, torch.zeros(3, 12, dtype=torch.float64))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_queries_share_a_key_and_a_value(groups):
    query, key, value = random(4, 5, 3), random(groups, 5, 3, seed=1), random(groups, 5, 3, seed=2)
    full = attention.pattern(query, attention.repeat_groups(key, 4))
    weighted = attention.weighted_values(full, attention.repeat_groups(value, 4))
    judge = scaled_dot_product_attention(query[None], key[None], value[None], enable_gqa=True)[0]
    assert torch.allclose(weighted, judge, atol=1e-14)


def test_neighbouring_heads_share_not_every_second():
    key = torch.arange(2.0).reshape(2, 1, 1)
    assert attention.repeat_groups(key, 4).flatten().tolist() == [0, 0, 1, 1]


def test_split_and_join_undo_each_other():
    x = random(5, 12)
    heads = attention.split_heads(x, 3)
    assert heads.shape == (3, 5, 4)
    assert torch.equal(heads[1], x[:, 4:8])
    assert torch.equal(attention.join_heads(heads), x)


def test_the_soft_cap_by_hand():
    capped = attention.soft_cap(torch.tensor([0.0, 50.0, 1e6, -1e6]), 50.0)
    assert capped.tolist() == pytest.approx([0.0, 50 * math.tanh(1), 50.0, -50.0])


def test_a_row_that_may_look_nowhere_is_refused():
    may_look = torch.tensor([[True, True], [False, False], [True, False]])
    with pytest.raises(ValueError, match=r"queries \[1\] with no key"):
        attention.mask_scores(torch.zeros(3, 2), may_look)
    with pytest.raises(ValueError, match="undefined"):
        attention.pattern(*qkv(n_query=3, n_key=2)[:2], may_look)


def test_masked_scores_are_minus_infinity_not_a_large_number():
    masked = attention.mask_scores(torch.zeros(2, 2), masks.causal(2, 2))
    assert masked.tolist() == [[0.0, -math.inf], [0.0, 0.0]]


def test_it_is_written_out():
    source = inspect.getsource(attention)
    for shortcut in ("scaled_dot_product_attention", "torch.softmax", "MultiheadAttention", "nn.functional", "einsum"):
        assert shortcut not in source


def test_e_is_its_words_scaled_and_its_places() -> None:
    """Some families scale their words alone (Gemma by √d_model), and add what the place gives."""
    token, place, segment = (torch.randn(3, 4, generator=torch.Generator().manual_seed(n)) for n in range(3))
    torch.testing.assert_close(attention.embed(token, place, None, segment, factor=2.0), 2 * token + place + segment)
