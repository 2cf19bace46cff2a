"""The overview of a model of 32 layers × 32 heads at 512 tokens: each pattern computed once, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import word_tokenizer

import attn_core as ac
from attn_core.figures.canvas import heads as canvas_heads
from attn_core.traces.stream import StreamTrace
from attn_core.views.arrangement import arrange
from ui.all_heads import packets

LAYERS = HEADS = 32
TOKENS = 512
MEGABYTES = 4_000_000


@pytest.fixture(scope="module")
def stream() -> Iterator[StreamTrace]:
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=99,
        hidden_size=HEADS,
        intermediate_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=4,
        max_position_embeddings=TOKENS,
    )
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = TOKENS
    model = ac.wrap(tf.LlamaModel(config).eval(), tokenizer, name="large", limit=TOKENS)
    yield ac.trace(model, [3 + i % 90 for i in range(TOKENS)]).stream()
    del model  # only now: ΔE needs its weights


def test_the_overview_is_small_and_made_a_layer_at_a_time(stream: StreamTrace, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int]] = []
    compute, pack = StreamTrace.patterns, canvas_heads._bytes_of

    def patterns(self: StreamTrace, layer: int, rows: slice | None = None) -> np.ndarray:
        done.append(("computed", layer))
        return compute(self, layer, rows)

    def packed(pooled: np.ndarray, *rest: Any) -> np.ndarray:
        done.append(("packed", pooled.size))
        return pack(pooled, *rest)

    monkeypatch.setattr(StreamTrace, "patterns", patterns)
    monkeypatch.setattr(canvas_heads, "_bytes_of", packed)
    packet = packets.every_pattern(stream, arrange(stream.tokens, causal=True))
    pooled = HEADS * 57 * 57  # nine words a cell
    assert done == [each for layer in range(LAYERS) for each in (("computed", layer), ("packed", pooled))]
    assert len(packet) <= MEGABYTES


def test_a_trace_of_it_keeps_nothing_quadratic(stream: StreamTrace) -> None:
    stream.patterns(0), stream.delta_e_sizes(0)  # what readers computed is not kept either
    kept = [tensor for layer in stream._layers for tensor in layer.tensors()]
    assert max(t.untyped_storage().nbytes() // t.element_size() for t in kept) < TOKENS * TOKENS
