"""The story teller: a causal transformer of two layers in GPT-2's shape, to read beside the lesson."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attn_core.masks import causal
from attn_core.tiny.layers import MLP, Attention, waves


@dataclass(frozen=True)
class DecoderShape:
    """How large the decoder is."""

    n_words: int
    n_layers: int = 2
    n_heads: int = 4
    d_model: int = 128  # 32 for each head: with 16 to 24 the heads come out smeared
    d_mlp: int = 256
    context: int = 64


class Block(nn.Module):
    """Attention adds ΔE to every word, then the MLP adds its part; each reads a normalised copy of the stream."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        std = 0.6 * shape.d_model**-0.5
        std_out = std / (2 * shape.n_layers) ** 0.5  # every block adds two parts: keep their sum of one size
        self.norm_1, self.norm_2 = nn.LayerNorm(shape.d_model), nn.LayerNorm(shape.d_model)
        self.attention = Attention(shape.d_model, shape.n_heads, std, std_out)
        self.mlp = MLP(shape.d_model, shape.d_mlp, std, std_out)

    def forward(self, x: Tensor, may_look: Tensor) -> tuple[Tensor, Tensor]:
        """E [batch, token, d_model] → (E after the block, pattern [batch, head, query, key])."""
        normed = self.norm_1(x)
        delta_e, pattern = self.attention(normed, normed, may_look)
        x = x + delta_e
        return x + self.mlp(self.norm_2(x)), pattern


class Decoder(nn.Module):
    """Words in, a guess of the next word at every position out. The embedding also reads the guesses: it is tied."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.word = nn.Embedding(shape.n_words, shape.d_model)
        self.position = nn.Embedding(shape.context, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(shape.d_model)
        with torch.no_grad():
            self.word.weight.mul_(0.5 * shape.d_model**-0.5)
            self.position.weight.copy_(waves(shape.context, shape.d_model, amplitude=0.2))

    def forward(self, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """ids [batch, token] → (logits [batch, token, word], patterns: per layer [batch, head, query, key])."""
        x, patterns = self.embed(ids), []
        may_look = causal(ids.shape[-1], ids.shape[-1])
        for block in self.blocks:
            x, pattern = block(x, may_look)
            patterns.append(pattern)
        return self.norm(x) @ self.word.weight.T, patterns

    def embed(self, ids: Tensor) -> Tensor:
        """E, what a word is and where it stands: [batch, token] → [batch, token, d_model]."""
        embedded: Tensor = self.word(ids) + self.position.weight[: ids.shape[-1]]  # [token, d_model]
        return embedded

    def streams(self, ids: Tensor) -> list[Tensor]:
        """E at the start and after every block, each [batch, token, d_model]."""
        may_look = causal(ids.shape[-1], ids.shape[-1])
        found = [self.embed(ids)]
        for block in self.blocks:
            found.append(block(found[-1], may_look)[0])
        return found
