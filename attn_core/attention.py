"""Attention from scratch, one small function a step, in the order in which the steps happen.

    scores = Q·Kᵀ   →   ÷ √d_head   →   mask   →   softmax   →   pattern · V   →   · W_O = ΔE

Shapes use one vocabulary everywhere: `head`, `query` and `key` (positions that ask and that answer), `d_head` (the
small space of one head) and `d_model` (the large space of the residual stream). Leading axes, such as `head`, are
batched. The lesson that this follows draws queries as columns; here, as in the papers, a query is a row.

Source: Vaswani et al. 2017, "Attention Is All You Need", sections 3.2.1 (scaled dot product) and 3.2.2 (heads).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def embed(token: Tensor, *places: Tensor | None, factor: float = 1.0) -> Tensor:
    """E before any norm: the vectors of the words plus those of their places, [token, d_model] each.

    What a model does not have is None: a rotary model adds no places here, and few models have segments.

    >>> embed(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 4.0]]), None).tolist()
    [[1.0, 4.0]]
    """
    e = factor * token
    for place in places:
        e = e if place is None else e + place
    return e


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """Cut the features of every token into heads: [token, head·d_head] → [head, token, d_head].

    >>> split_heads(torch.arange(8.0).reshape(2, 4), n_heads=2)[1].tolist()
    [[2.0, 3.0], [6.0, 7.0]]
    """
    by_head = x.reshape(*x.shape[:-1], n_heads, -1)  # [token, head·d_head] → [token, head, d_head]
    return by_head.transpose(-3, -2)  # → [head, token, d_head]


def join_heads(x: Tensor) -> Tensor:
    """Put the heads side by side again: [head, token, d_head] → [token, head·d_head]. Undoes `split_heads`."""
    return x.transpose(-3, -2).flatten(-2)  # → [token, head, d_head] → [token, head·d_head]


def repeat_groups(x: Tensor, n_heads: int) -> Tensor:
    """Give every query head its key or value: [group, token, d_head] → [head, token, d_head].

    With grouped queries (Ainslie et al. 2023) neighbouring heads share one key and one value.
    """
    return x.repeat_interleave(n_heads // x.shape[-3], dim=-3)  # a b → a a b b: neighbours share


def raw_scores(query: Tensor, key: Tensor) -> Tensor:
    """How well each key answers each query: their dot products, [query, d_head] and [key, d_head] → [query, key].

    >>> raw_scores(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, -1.0]])).tolist()
    [[11.0, -2.0]]
    """
    return query @ key.transpose(-2, -1)  # [query, d_head] · [d_head, key]


def scale(scores: Tensor, d_head: float) -> Tensor:
    """Divide by √d_head, so that the spread of the scores does not grow with the size of the head.

    >>> scale(torch.tensor([[6.0]]), d_head=4).item()
    3.0
    """
    return scores / math.sqrt(d_head)


def soft_cap(scores: Tensor, cap: float) -> Tensor:
    """Squeeze scores smoothly into (−cap, cap), as Gemma 2 does before its mask."""
    return cap * torch.tanh(scores / cap)


def mask_scores(scores: Tensor, may_look: Tensor) -> Tensor:
    """Set the scores of pairs that may not look at each other to −∞; `may_look` is True where a query may see a key.

    Raises ValueError where a query may look at no key: its softmax would be 0 ÷ 0, and every finite stand-in for −∞
    would draw an invented, even row.
    """
    if not bool(may_look.any(dim=-1).all()):
        rows = sorted(set((~may_look.any(dim=-1)).nonzero()[:, -1].tolist()))
        raise ValueError(f"the mask leaves queries {rows} with no key to look at: their weights are undefined")
    return scores.masked_fill(~may_look, -math.inf)


def softmax(scores: Tensor) -> Tensor:
    """Turn every row of scores into weights that are positive and sum to 1; −∞ becomes exactly 0.

    The row's maximum is subtracted first. It cancels in the quotient, and keeps exp() from overflowing.

    >>> [round(w, 4) for w in softmax(torch.tensor([0.0, math.log(3.0), -math.inf])).tolist()]
    [0.25, 0.75, 0.0]
    """
    exp = torch.exp(scores - scores.amax(dim=-1, keepdim=True))  # [query, key] − [query, 1]
    return exp / exp.sum(dim=-1, keepdim=True)


def pattern(query: Tensor, key: Tensor, may_look: Tensor | None = None) -> Tensor:
    """The attention pattern of heads: [head, query, d_head] and [head, key, d_head] → [head, query, key].

    Every row sums to 1. `may_look` [query, key] is True where looking is allowed; None allows everything.
    """
    scores = scale(raw_scores(query, key), query.shape[-1])
    if may_look is not None:
        scores = mask_scores(scores, may_look)
    return softmax(scores)


def weighted_values(weights: Tensor, value: Tensor) -> Tensor:
    """Mix the values by the pattern, still in the small space: [query, key] · [key, d_head] → [query, d_head].

    >>> weighted_values(torch.tensor([[0.25, 0.75]]), torch.tensor([[4.0, 0.0], [0.0, 4.0]])).tolist()
    [[1.0, 3.0]]
    """
    return weights @ value


def delta_e(weights: Tensor, value: Tensor, w_o: Tensor) -> Tensor:
    """What a head adds to every token: (pattern · value) · W_O, [query, d_model].

    `w_o` [d_head, d_model] holds the head's own rows of the output matrix, the lesson's "value up". The output bias
    belongs to no head, so it is not in here. Summed over heads, plus that bias, this is the block's output.
    """
    return weighted_values(weights, value) @ w_o  # [query, d_head] · [d_head, d_model]


def delta_e_by_source(weights: Tensor, value: Tensor, w_o: Tensor) -> Tensor:
    """One row of ΔE, split by where it came from: weight · value · W_O for each key.

    [key] weights of one query, [key, d_head], [d_head, d_model] → [key, d_model]; sums over keys to that row of ΔE.
    """
    return (weights[..., None] * value) @ w_o  # [key, 1] · [key, d_head], not summed → [key, d_model]


@dataclass(frozen=True)
class AttentionWeights:
    """The matrices of one attention block, each [in, out] so that `x @ w` reads as in the papers; biases may be None.

    `w_q`, `w_k`, `w_v` are [d_model, head·d_head] and `w_o` is [head·d_head, d_model]: one head's slice of `w_v` is
    the lesson's "value down", its rows of `w_o` are "value up".
    """

    w_q: Tensor
    w_k: Tensor
    w_v: Tensor
    w_o: Tensor
    b_q: Tensor | None = None
    b_k: Tensor | None = None
    b_v: Tensor | None = None
    b_o: Tensor | None = None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · W + b, with W [in, out]."""
    return x @ weight if bias is None else x @ weight + bias


def multi_head(
    x: Tensor, weights: AttentionWeights, n_heads: int, may_look: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Self-attention with many heads: [token, d_model] → (output [token, d_model], pattern [head, query, key])."""
    return cross_attention(x, x, weights, n_heads, may_look)


def cross_attention(
    x: Tensor, memory: Tensor, weights: AttentionWeights, n_heads: int, may_look: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention from one sequence to another: queries come from `x`, keys and values from `memory`.

    [query, d_model] and [key, d_model] → (block output [query, d_model], pattern [head, query, key]). The output is
    what is added to `x`; the pattern's rows sum to 1.
    """
    query = split_heads(linear(x, weights.w_q, weights.b_q), n_heads)  # [head, query, d_head]
    key = split_heads(linear(memory, weights.w_k, weights.b_k), n_heads)  # [head, key, d_head]
    value = split_heads(linear(memory, weights.w_v, weights.b_v), n_heads)  # [head, key, d_head]
    attention_pattern = pattern(query, key, may_look)  # [head, query, key]
    joined = join_heads(weighted_values(attention_pattern, value))  # [query, head·d_head]
    return linear(joined, weights.w_o, weights.b_o), attention_pattern
