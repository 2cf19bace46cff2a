"""The translator: an encoder reads the English, a decoder writes the French and looks across, in mBART's shape.

Self-attention asks and answers within one sentence. Cross-attention is the same mathematics with one difference: the
queries come from the French being written, the keys and values from the English that was read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attn_core.masks import causal
from attn_core.tiny.layers import MLP, Attention, waves

# mBART's learned positions begin in row 2 of their table: its ancestor kept two rows for padding.
POSITION_OFFSET = 2


@dataclass(frozen=True)
class TranslatorShape:
    """How large the translator is; both languages share one vocabulary and one embedding, as in mBART."""

    n_words: int
    n_layers: int = 2  # in the encoder, and again in the decoder
    n_heads: int = 4
    d_model: int = 64
    d_mlp: int = 128
    context: int = 48


class Stem(nn.Module):
    """What either side does first: word + position, normalised. The words are shared, the positions are not."""

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        self.position = nn.Embedding(shape.context + POSITION_OFFSET, shape.d_model)
        self.norm = nn.LayerNorm(shape.d_model)
        with torch.no_grad():
            self.position.weight.copy_(waves(shape.context + POSITION_OFFSET, shape.d_model, amplitude=0.2))

    def forward(self, words: Tensor) -> Tensor:
        """[batch, token, d_model] → the same with positions, E of the first layer."""
        placed = words + self.position.weight[POSITION_OFFSET : POSITION_OFFSET + words.shape[-2]]
        normed: Tensor = self.norm(placed)
        return normed


class EncoderBlock(nn.Module):
    """Self-attention in both directions, then the MLP."""

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        std = 0.6 * shape.d_model**-0.5
        self.norm_1, self.norm_2 = nn.LayerNorm(shape.d_model), nn.LayerNorm(shape.d_model)
        self.attention = Attention(shape.d_model, shape.n_heads, std, std)
        self.mlp = MLP(shape.d_model, shape.d_mlp, std, std)

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """E [batch, token, d_model], real [batch, 1, 1, token] → (E after the block, pattern)."""
        normed = self.norm_1(x)
        delta_e, pattern = self.attention(normed, normed, real)
        x = x + delta_e
        return x + self.mlp(self.norm_2(x)), pattern


class DecoderBlock(nn.Module):
    """Self-attention to what is written so far, cross-attention to what was read, then the MLP."""

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        std = 0.6 * shape.d_model**-0.5
        self.norm_1, self.norm_2, self.norm_3 = (nn.LayerNorm(shape.d_model) for _ in range(3))
        self.attention = Attention(shape.d_model, shape.n_heads, std, std)
        self.across = Attention(shape.d_model, shape.n_heads, std, std)
        self.mlp = MLP(shape.d_model, shape.d_mlp, std, std)

    def forward(self, x: Tensor, memory: Tensor, may_look: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """E of the French, memory of the English → (E after the block, self pattern, cross pattern)."""
        normed = self.norm_1(x)
        delta_e, pattern = self.attention(normed, normed, may_look)
        x = x + delta_e
        delta_e, cross_pattern = self.across(self.norm_2(x), memory, real)
        x = x + delta_e
        return x + self.mlp(self.norm_3(x)), pattern, cross_pattern


class Translator(nn.Module):
    """English ids and the French so far in, a guess of the next French word at every position out."""

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        self.shape = shape
        self.word = nn.Embedding(shape.n_words, shape.d_model)
        self.encoder_stem, self.decoder_stem = Stem(shape), Stem(shape)
        self.encoder = nn.ModuleList(EncoderBlock(shape) for _ in range(shape.n_layers))
        self.decoder = nn.ModuleList(DecoderBlock(shape) for _ in range(shape.n_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(shape.d_model), nn.LayerNorm(shape.d_model)
        with torch.no_grad():
            self.word.weight.mul_(0.5 * shape.d_model**-0.5)

    def read(self, english: Tensor, real: Tensor) -> tuple[Tensor, list[Tensor]]:
        """ids [batch, token], real [batch, token] → (memory [batch, token, d_model], patterns of the encoder)."""
        x = self.encoder_stem(self.word(english))
        patterns = []
        for block in self.encoder:
            x, pattern = block(x, real[:, None, None, :])
            patterns.append(pattern)
        return self.encoder_norm(x), patterns

    def write(self, french: Tensor, memory: Tensor, real: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The French so far [batch, token] → (logits [batch, token, word], self patterns, cross patterns)."""
        n_tokens = french.shape[-1]
        may_look = causal(n_tokens, n_tokens)
        x = self.decoder_stem(self.word(french))
        patterns, cross_patterns = [], []
        for block in self.decoder:
            x, pattern, cross_pattern = block(x, memory, may_look, real[:, None, None, :])
            patterns.append(pattern)
            cross_patterns.append(cross_pattern)
        return self.decoder_norm(x) @ self.word.weight.T, patterns, cross_patterns

    @torch.no_grad()
    def translate(self, english: Tensor, start: int, end: int) -> list[int]:
        """Greedy: write the likeliest word, again and again, until the end sign. english [token] → French ids."""
        source, real = english[None], torch.ones(1, len(english), dtype=torch.bool)
        memory, _ = self.read(source, real)
        french = [start]
        while len(french) < self.shape.context:
            logits, _, _ = self.write(torch.tensor([french]), memory, real)
            word = int(logits[0, -1].argmax())
            if word == end:
                break
            french.append(word)
        return french[1:]
