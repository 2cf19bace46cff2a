"""What readers take in memory beside a trace of 8,192 tokens: never a square, unless a square is what they give."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from families import word_tokenizer

import attn_core as ac
from attn_core.capture.interface import read_mask
from benchmarks.torch_memory import PeakMemory

N = 8192
MOST = 48e6  # bytes: 64 MB are allowed, and one square of booleans has 67
READERS: dict[str, Callable[[ac.Trace], Any]] = {
    "one row": lambda trace: trace.pattern_row(0, 1, N - 1),
    "some rows": lambda trace: trace.patterns(0, slice(N - 64, N)),
    "every row": lambda trace: [None for _ in trace.iter_patterns(0)],
    "vectors": lambda trace: (trace.query(0, 1), trace.key(0, 1), trace.value(0, 1), trace.weighted_values(0, 1)),
    "sizes": lambda trace: trace.delta_e_sizes(0),
    "delta": lambda trace: trace.delta_e(0, 1),
    "by source": lambda trace: trace.delta_e_by_source(0, 1, N - 1),
    "of every head": lambda trace: trace.heads_delta_e(0, N - 1),
    "output": lambda trace: trace.attention_output(0),
    "stream": lambda trace: (
        trace.embedding(0),
        trace.after_attention(0),
        trace.mlp_added(0),
        trace.attention_input(0),
    ),
    "check": lambda trace: trace.check(),
}
SQUARES: dict[str, Callable[[ac.Trace], Any]] = {
    "raw scores": lambda trace: trace.raw_scores(0, 1),
    "scores": lambda trace: trace.scores(0, 1),
    "pattern": lambda trace: trace.pattern(0, 1),
    "flags": lambda trace: trace.may_look(0),
}


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """A layer of GPT-2's kind with two heads of its size; a square of one of them takes 268 MB."""
    settings = tf.GPT2Config(vocab_size=99, n_layer=1, n_embd=128, n_head=2, n_positions=N)
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = N
    torch.manual_seed(0)
    return ac.trace(ac.wrap(tf.GPT2Model(settings).eval(), tokenizer), [5 + i % 20 for i in range(N)])


def peak(read: Callable[[], Any]) -> float:
    """The most bytes at once, of torch's and of numpy's, that are there while something runs and were not before."""
    tracemalloc.start()
    with PeakMemory() as torch_memory:
        read()
    most = torch_memory.peak + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("name", READERS)
def test_readers_make_no_square(trace: ac.Trace, name: str) -> None:
    trace.stream()._layers[0]  # made of what the pass left when it is first asked for
    assert peak(lambda: READERS[name](trace)) <= MOST


@pytest.mark.parametrize("name", SQUARES)
def test_what_is_a_square_is_made_once(trace: ac.Trace, name: str) -> None:
    found = []
    most = peak(lambda: found.append(SQUARES[name](trace)))
    assert found[0].shape == (N, N) and most - found[0].nbytes <= MOST


@pytest.mark.parametrize(("kind", "window"), [("flags", None), ("added", 4096)])
def test_a_mask_is_read_without_another_square(kind: str, window: int | None) -> None:
    square = torch.ones(1, 1, N, N, dtype=torch.bool).tril_()
    square = square if window is None else square.triu_(1 - window)
    if kind == "added":
        square = torch.zeros(1, 1, N, N).masked_fill_(~square, torch.finfo(torch.float32).min)
    found = []
    assert peak(lambda: found.append(read_mask(square, None, False, N, N))) <= MOST
    ((rule, bias),) = found
    assert (
        bias is None and rule.cells is None and (rule.ahead, rule.back) == (0, None if window is None else window - 1)
    )
