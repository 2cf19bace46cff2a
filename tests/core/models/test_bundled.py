"""What the lesson says, on the real weights that come with the install."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from families import STARTER_LABELS

import attn_core as ac
from attn_core.models.sources import bundled_folder


@pytest.fixture(scope="module")
def minilm() -> Any:
    return ac.load("minilm")


def at(trace: ac.Trace, word: str) -> int:
    return trace.tokens.labels.index(word)


def test_it_is_the_published_model(minilm: Any) -> None:
    assert minilm.n_parameters == 22_713_216
    trace = ac.trace(minilm, "a fluffy blue creature roamed the verdant forest")
    assert (trace.n_layers, trace.n_heads, trace.d_model, trace.d_head) == (6, 12, 384, 32)
    assert (trace.kind, trace.streams, minilm.limit) == ("encoder", ("self",), 512)
    assert trace.tokens.labels == STARTER_LABELS


@pytest.mark.parametrize("adjectives", [("fluffy", "blue"), ("blue", "fluffy"), ("tiny", "old")])
def test_head_0_2_looks_one_word_back_whichever_word_that_is(minilm: Any, adjectives: tuple[str, str]) -> None:
    trace = ac.trace(minilm, f"a {adjectives[0]} {adjectives[1]} creature roamed the verdant forest")
    assert trace.pattern(0, 2)[at(trace, "creature"), at(trace, adjectives[1])] > 0.99


@pytest.mark.parametrize("adjectives", [("fluffy", "blue"), ("blue", "fluffy")])
def test_head_0_3_looks_at_both_adjectives_in_either_order(minilm: Any, adjectives: tuple[str, str]) -> None:
    trace = ac.trace(minilm, f"a {adjectives[0]} {adjectives[1]} creature roamed the verdant forest")
    row = trace.pattern(0, 3)[at(trace, "creature")]
    assert row[at(trace, "fluffy")] > 0.1 and row[at(trace, "blue")] > 0.1
    others = [at(trace, word) for word in ("a", "the", "[CLS]", "[SEP]")]
    assert min(row[at(trace, "fluffy")], row[at(trace, "blue")]) > row[others].max()


def test_patterns_and_sums_equal_the_librarys_eager_model(minilm: Any) -> None:
    from transformers import AutoModel

    eager = AutoModel.from_pretrained(bundled_folder(), attn_implementation="eager").eval()
    trace = ac.trace(minilm, "One mole of carbon dioxide weighs 44 grams; a café's 🤗 mole does not.")
    with torch.inference_mode():
        theirs = eager(torch.tensor([trace.tokens.ids]), output_attentions=True, output_hidden_states=True)
    for layer in range(6):
        assert np.abs(trace.patterns(layer) - theirs.attentions[layer][0].numpy()).max() < 1e-5
        assert np.abs(trace.embedding(layer) - theirs.hidden_states[layer][0].numpy()).max() < 1e-4
    parity = trace.check()
    assert parity.ok and max(parity) < 2e-6


def test_a_trace_grows_with_the_sentence_and_not_with_its_square(minilm: Any) -> None:
    short, long = ac.trace(minilm, range(2000, 2064)), ac.trace(minilm, range(2000, 2512))
    assert long.n_bytes == pytest.approx(8 * short.n_bytes, rel=0.01)
    all_patterns = 6 * 12 * 512 * 512 * 4
    assert long.n_bytes < all_patterns
