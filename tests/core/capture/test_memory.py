"""What readers take in memory beside a long trace: never a square, unless a square is what they give."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from families import word_tokenizer

import attn_core as ac
from attn_core import masks
from attn_core.capture.interface import read_mask
from attn_core.figures.canvas.heads import Computed, pack_patterns
from attn_core.heads import quantities
from attn_core.traces import call as calls
from benchmarks.torch_memory import PeakMemory

ROOT = Path(__file__).parents[3]
N = 4096
# Bytes. Of the 64 MB that a reader may take at 8,192 tokens of GPT-2's shape, blocks of `masks.CELLS` scores take up to
# 22; the rest grows with tokens, heads and width, of which there are half and a sixth here, and blocks are an eighth.
MOST = (64e6 - 22e6) / 2 / 6 + 22e6 / 8
READERS: dict[str, Callable[[ac.Trace], Any]] = {
    "one row": lambda trace: trace.pattern_row(0, 1, N - 1),
    "some rows": lambda trace: trace.patterns(0, slice(N - 16, N)),
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
    "measures": lambda trace: ac.collect([trace], ["entropy", "distance", "sink", "delta_size"]),
}
SQUARES: dict[str, Callable[[ac.Trace], Any]] = {
    "raw scores": lambda trace: trace.raw_scores(0, 1),
    "scores": lambda trace: trace.scores(0, 1),
    "pattern": lambda trace: trace.pattern(0, 1),
    "flags": lambda trace: trace.may_look(0),
}


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """A layer of GPT-2's kind with two heads of its size; a square of one of them takes 67 MB."""
    settings = tf.GPT2Config(vocab_size=99, n_layer=1, n_embd=128, n_head=2, n_positions=N)
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = N
    torch.manual_seed(0)
    return ac.trace(ac.wrap(tf.GPT2Model(settings).eval(), tokenizer), [5 + i % 20 for i in range(N)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    size = masks.CELLS // 8
    for module in (masks, calls):
        monkeypatch.setattr(module, "CELLS", size)


def beside(read: Callable[[], Any]) -> tuple[Any, float]:
    """What something gives, and the most bytes at once, of torch's and of numpy's, that it needs beside that."""
    tracemalloc.start()
    with PeakMemory() as torch_memory:
        found = read()
    most = torch_memory.peak + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    given = found if isinstance(found, tuple) else (found,)
    return found, most - sum(getattr(each, "nbytes", 0) for each in given)


@pytest.mark.parametrize("name", READERS)
def test_readers_make_no_square(trace: ac.Trace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantities, "KEPT", quantities.KEPT // 8)
    trace.stream()._layers[0]  # made of what the pass left when it is first asked for
    most = beside(lambda: READERS[name](trace))[1]
    assert most <= MOST, most


def test_files_and_pictures_of_all_heads_look_at_one_after_the_other(trace: ac.Trace) -> None:
    """Beside a head's square, of a trace that has more of them: what is written, and a few copies of one on its way."""
    looked: list[tuple[int, int]] = []
    square = 4 * N * N
    one = partial(pack_patterns, n_layers=2, query_labels=trace.tokens.labels, may_look=trace.may_look(0))

    def head(layer: int, head: int) -> Any:
        looked.append((layer, head))
        return trace.pattern(0, head)

    layers = [Computed(4, lambda n, layer=layer: head(layer, n % 2)) for layer in range(2)]
    _, most = beside(lambda: one(layers))
    assert most < 4 * square and looked == [(layer, n % 2) for layer in range(2) for n in range(4)]


@pytest.mark.parametrize("name", SQUARES)
def test_what_is_a_square_is_made_once(trace: ac.Trace, name: str) -> None:
    square, most = beside(lambda: SQUARES[name](trace))
    assert square.shape == (N, N) and most <= MOST, most


@pytest.mark.parametrize(("kind", "window"), [("flags", None), ("added", 1024)])
def test_a_mask_is_read_without_another_square(kind: str, window: int | None) -> None:
    square = torch.ones(1, 1, N, N, dtype=torch.bool).tril_()
    square = square if window is None else square.triu_(1 - window)
    if kind == "added":
        square = torch.zeros(1, 1, N, N).masked_fill_(~square, torch.finfo(torch.float32).min)
    (rule, bias), most = beside(lambda: read_mask(square, None, False, N, N))
    assert most <= MOST, most
    assert (
        bias is None and rule.cells is None and (rule.ahead, rule.back) == (0, None if window is None else window - 1)
    )


TRACED_AGAIN = """
import resource, torch
import attn_core as ac
from benchmarks.passes import IdsOnly
from transformers import GPT2Config, GPT2Model
torch.set_num_threads(1)
model = ac.wrap(GPT2Model(GPT2Config(vocab_size=99, n_layer=3, n_embd=192, n_head=6)).eval(), IdsOnly())
cleared = []
for turn in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    trace = ac.trace(model, [5] * 512)
    kept = trace.n_bytes
    del trace
    cleared.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(cleared)[6], kept // resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep freed memory as they will")
def test_a_pass_finds_the_memory_that_the_trace_before_it_left() -> None:
    """Pages that the system has to clear for a pass are a fraction of those that a trace has."""
    said = subprocess.run([sys.executable, "-c", TRACED_AGAIN], cwd=ROOT, capture_output=True, text=True, check=True)
    cleared, kept = map(int, said.stdout.split())
    assert cleared < kept / 10, (cleared, kept)
