"""What can be left out of a head, or spoilt on purpose: the quickest way to see why a stage is there."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

import torch
from torch import Tensor

from attn_core.attention import AttentionWeights


class StageAblation(StrEnum):
    """What can be left out or spoilt on purpose. The values are what links carry."""

    SHUFFLED_POSITIONS = "shuffled-positions"
    RANDOM_WEIGHTS = "random-weights"
    KEYS_ARE_QUERIES = "keys-are-queries"
    NO_SCALE = "no-scale"
    NO_MASK = "no-mask"
    CAUSAL_MASK = "causal-mask"
    NO_SOFTMAX = "no-softmax"
    NO_W_O = "no-w-o"


def permuted_weights(weights: AttentionWeights) -> AttentionWeights:
    """W_Q and W_K (and their biases) with their own numbers in random places: as large as before, but nothing learnt.

    The places are the same at every call, so that a view can be seen again.
    """
    dice = torch.Generator().manual_seed(0)

    def scatter(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.flatten()[torch.randperm(x.numel(), generator=dice)].view_as(x)

    w_q, w_k = scatter(weights.w_q), scatter(weights.w_k)
    assert w_q is not None and w_k is not None
    return replace(weights, w_q=w_q, w_k=w_k, b_q=scatter(weights.b_q), b_k=scatter(weights.b_k))


def raw_weights(masked: Tensor) -> Tensor:
    """The weights where the softmax is left out: the scores themselves, and 0 in masked cells."""
    return masked.masked_fill(masked == -math.inf, 0.0)


def side_by_side(w_o: Tensor, slot: int) -> Tensor:
    """What takes the place of W_O when there is none: the head's numbers, where they stand when heads lie side by side.

    A matrix [d_head, d_model] of zeros and ones, from `slot` on, which copies and mixes nothing.
    """
    d_head, d_model = w_o.shape
    copy = torch.zeros_like(w_o)
    copy[torch.arange(d_head), (slot + torch.arange(d_head)) % d_model] = 1.0
    return copy
