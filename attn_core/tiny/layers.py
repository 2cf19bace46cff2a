"""The parts that both small models are built of. The attention in them is `attn_core.attention`, nothing else.

Matrices are [in, out], so that `linear(x, w, b)` reads as x·W + b, and so that they can be handed over as they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from attn_core.attention import AttentionWeights, cross_attention, linear


def matrix(n_in: int, n_out: int, std: float) -> nn.Parameter:
    """A random matrix [n_in, n_out]."""
    return nn.Parameter(torch.randn(n_in, n_out) * std)


def vector(n: int) -> nn.Parameter:
    """A bias that starts at zero."""
    return nn.Parameter(torch.zeros(n))


class Attention(nn.Module):
    """One attention block: queries from `x`, keys and values from `memory`; the same thing twice is self-attention."""

    def __init__(self, d_model: int, n_heads: int, std: float, std_out: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.w_q, self.w_k, self.w_v = (matrix(d_model, d_model, std) for _ in range(3))
        self.b_q, self.b_k, self.b_v = (vector(d_model) for _ in range(3))
        self.w_o, self.b_o = matrix(d_model, d_model, std_out), vector(d_model)

    def forward(self, x: Tensor, memory: Tensor, may_look: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[batch, query, d_model], [batch, key, d_model] → (what is added to x, pattern [batch, head, query, key])."""
        return cross_attention(x, memory, self.weights(), self.n_heads, may_look)

    def weights(self) -> AttentionWeights:
        """The matrices under the names that the lesson's functions use."""
        return AttentionWeights(
            w_q=self.w_q, w_k=self.w_k, w_v=self.w_v, w_o=self.w_o,
            b_q=self.b_q, b_k=self.b_k, b_v=self.b_v, b_o=self.b_o,
        )  # fmt: skip


class MLP(nn.Module):
    """The other half of a block: each token by itself, through a wider space with a GELU in it."""

    def __init__(self, d_model: int, d_mlp: int, std: float, std_out: float) -> None:
        super().__init__()
        self.w_up, self.b_up = matrix(d_model, d_mlp, std), vector(d_mlp)
        self.w_down, self.b_down = matrix(d_mlp, d_model, std_out), vector(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """[…, d_model] → [… , d_model], what is added to x."""
        return linear(functional.gelu(linear(x, self.w_up, self.b_up)), self.w_down, self.b_down)


def waves(n_positions: int, d_model: int, amplitude: float) -> Tensor:
    """A full Fourier basis of positions, [n_positions, d_model]: sines and cosines of evenly spaced frequencies.

    As a start for learned positions it lets a head find "the word before" in a few hundred steps, because a shift by
    one is a rotation of every pair.
    """
    frequency = math.pi * (torch.arange(d_model // 2) + 0.5) / (d_model // 2)
    angle = torch.arange(n_positions)[:, None] * frequency
    return amplitude * torch.cat([angle.sin(), angle.cos()], dim=-1)
