"""What readers take in memory beside a long trace: never a square, unless a square is what they give."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED

import pandas as pd
import pytest
import torch
import transformers as tf
from families import word_tokenizer
from torch.utils._python_dispatch import TorchDispatchMode

import attn_core as ac
from attn_core import blocks
from attn_core.capture.hooks import recording_to
from attn_core.capture.interface import read_mask
from attn_core.capture.recorder import PassNotes, PassRecorder, recorder_of
from attn_core.circuits.fine_tuning.changed_heads import head_changes
from attn_core.circuits.flow import _edges, flow
from attn_core.circuits.writers import layer_parts
from attn_core.circuits.writers.layer_parts import LayerParts
from attn_core.figures.canvas import heads
from attn_core.heads import quantities
from attn_core.traces import call as calls
from attn_core.views import files
from attn_core.views.derived_checks import full_pattern
from attn_core.views.view import View
from benchmarks.torch_memory import PeakMemory

assert pd.DataFrame  # tables need it, and what its import takes is not theirs
ROOT = Path(__file__).parents[3]
N = 3072
# Bytes: less than a square of flags takes, the smallest that there is. Most of what readers take
# are blocks of scores, an eighth of their size elsewhere; the rest grows with tokens, heads and width.
MOST = 0.8 * N * N
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
    "some flags": lambda trace: trace.may_look(0, slice(N - 16, N)),
    "score": lambda trace: trace.score_parts(0, 1, N - 1, 5),
    "score above the mean": lambda trace: trace.score_parts(0, 1, N - 1, 5, "mean"),
    "value": lambda trace: trace.value_parts(0, 1, N - 1, 5),
    "norms": lambda trace: [
        None for _ in islice(_edges(LayerParts.of(trace.stream(), 0), ["norms"]), 2)
    ],  # of every block alike
    "alti": lambda trace: [None for _ in islice(_edges(LayerParts.of(trace.stream(), 0), ["alti"]), 2)],
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
    """A layer of GPT-2's kind with two heads of its size; a square of one of them takes 38 MB."""
    settings = tf.GPT2Config(vocab_size=99, n_layer=1, n_embd=128, n_head=2, n_positions=N)
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = N
    torch.manual_seed(0)
    model = ac.wrap(tf.GPT2Model(settings).eval(), tokenizer)
    short = ac.trace(model, [5, 6, 7])
    short.overview(), short.to_xarray(), short.frame()  # what they import is nothing that they take
    short.score_parts(0, 1, 2, 1), short.value_parts(0, 1, 2, 1)
    return ac.trace(model, [5 + i % 20 for i in range(N)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    size = blocks.CELLS // 8
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", size)
    monkeypatch.setattr(layer_parts, "FEWEST", layer_parts.FEWEST // 8)


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


def test_the_kinds_of_heads_make_no_square(trace: ac.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of weights nor of flags: every rule's cells, and who may look where, are made with a block's rows."""
    model = ac.load("tiny-decoder")

    def table(own: ac.Trace) -> Any:
        return ac.classify_heads(model, texts=["judged"], seeds=(1,), run=lambda *_, **__: own)

    table(ac.trace(model, "a bird"))  # what is imported or remembered once is not counted
    monkeypatch.setattr(quantities, "KEPT", quantities.KEPT // 8)
    most = beside(lambda: table(trace))[1]
    assert most <= MOST, most


def written(trace: ac.Trace) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        files.write_npz(View(trace), nowhere)


def pair(trace: ac.Trace) -> ac.Trace:
    """The same trace as if a second text had begun in its middle."""
    own = trace.stream()
    tokens = replace(own.tokens, second=N // 2)
    return replace(trace, _streams={"self": replace(own, tokens=tokens, key_tokens=tokens)})


WHOLE: dict[str, Callable[[ac.Trace], Any]] = {  # which take every head's pattern in, and make none of them beside it
    "overview": lambda trace: trace.overview() and None,
    "numbers": lambda trace: written(pair(trace)),
    "shares": lambda trace: pair(trace).segment_shares(0, 1),
    "xarray": lambda trace: trace.to_xarray().pattern.data,
    "rollout": lambda trace: flow(trace.stream(), "rollout").edges,
    "mean": lambda trace: full_pattern(trace.stream(), 0, 1, "heads"),
    "changes": lambda trace: head_changes([(trace.stream(), trace.stream())]).patterns,
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_takes_in_every_weight_makes_no_square(
    trace: ac.Trace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ZIP_DEFLATED", ZIP_STORED)  # quicker
    monkeypatch.setattr(heads, "pool_for", lambda *_: 64)  # pictures do not grow with the sentence, nor shrink with it
    trace.stream()._layers[0]
    most = beside(lambda: WHOLE[name](trace))[1]
    assert most <= MOST, most


def test_a_file_is_written_and_read_tensor_by_tensor(trace: ac.Trace, tmp_path: Path) -> None:
    ac.trace(ac.load("tiny-decoder"), "a bird").save(tmp_path / "x")  # what is imported once is not counted
    trace.stream()._layers[0], trace.tokens.labels  # nor what a trace makes when it is first asked, and keeps
    _, most = beside(lambda: trace.save(tmp_path / "x", with_output=True))
    assert most <= MOST < trace.n_bytes, most
    again, most = beside(lambda: ac.open_trace(tmp_path / "x"))
    assert most - again.n_bytes <= MOST, most - again.n_bytes


@pytest.mark.parametrize("name", SQUARES)
def test_what_is_a_square_is_made_once(trace: ac.Trace, name: str) -> None:
    square, most = beside(lambda: SQUARES[name](trace))
    assert square.shape == (N, N) and most <= MOST, most


@pytest.mark.parametrize(
    ("kind", "window", "words"),
    [
        ("flags", None, slice(0, N)),
        ("added", 1024, slice(0, N)),
        ("flags", None, slice(0, N - 9)),
        ("added", 1024, slice(9, N)),
    ],
)
def test_a_mask_is_read_without_another_square(kind: str, window: int | None, words: slice) -> None:
    """Of a sentence alone, and with filler after it or before."""
    square = torch.ones(1, 1, N, N, dtype=torch.bool).tril_()
    square = square if window is None else square.triu_(1 - window)
    filler = torch.ones(N, dtype=torch.bool)
    filler[words] = False
    square &= ~filler
    blind = None if words == slice(0, N) else filler
    if kind == "added":
        square = torch.zeros(1, 1, N, N).masked_fill_(~square, torch.finfo(torch.float32).min)
    (rule, bias), most = beside(lambda: read_mask(square, None, False, N, N, blind))
    assert most <= MOST, most
    assert bias is None and rule.cells is None and rule.ahead == 0
    assert rule.back == (window - 1 if window else None if blind is None else N - 10)
    found, most = beside(lambda: rule.blind(N, N))
    assert most <= MOST and (found is None if blind is None else torch.equal(found, blind))


class Operations(TorchDispatchMode):
    """Counts what torch is asked to compute."""

    n = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += 1
        return function(*args, **(kwargs or {}))


def test_a_recorded_pass_computes_nothing_that_a_bare_one_does_not() -> None:
    """No copy, slice or view a layer: what is kept are the pass's own tensors; ids and rules of masks are made once."""
    model = ac.load("minilm")
    given = model.inputs_of(model.read_sentence("a bird sat"))
    with model.running(), Operations() as bare:
        model.run(**given)
    with model.running(), recording_to(recorder_of(model.wiring)), Operations() as recorded:
        model.run(**given)
    with Operations() as whole:
        ac.trace(model, "a bird sat")
    assert bare.n > 100 and recorded.n - bare.n < model.hf.config.num_hidden_layers, (recorded.n, bare.n)
    assert whole.n - bare.n < model.hf.config.num_hidden_layers, (whole.n, bare.n)


def test_a_plain_pass_is_sorted_when_its_trace_is_read_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trace is made of costs as much as several hooks of its pass: it is made when somebody asks."""
    model = ac.load("minilm")
    sorted_calls: list[Any] = []
    keep, notice = PassRecorder.on_attention, PassNotes.on_tensors
    monkeypatch.setattr(PassRecorder, "on_attention", lambda own, call: sorted_calls.append(keep(own, call)))
    noticed: list[Any] = []
    monkeypatch.setattr(PassNotes, "on_tensors", lambda own, *what: noticed.append(notice(own, *what)))
    trace = ac.trace(model, "a bird sat")
    assert sorted_calls == [] and noticed == []
    with ThreadPoolExecutor(8) as threads:
        streams = {id(own): own for own in threads.map(lambda _: trace.stream(), range(64))}
    assert len(streams) == 1 and len(sorted_calls) == model.hf.config.num_hidden_layers
    assert trace.check().ok and len(sorted_calls) == model.hf.config.num_hidden_layers


MADE_AGAIN = """
import ctypes, torch
import attn_core as ac
from benchmarks.passes import IdsOnly
from transformers import GPT2Config, GPT2Model
ac.wrap(GPT2Model(GPT2Config(vocab_size=99, n_layer=1, n_embd=24, n_head=2)).eval(), IdsOnly())
class Books(ctypes.Structure):  # mallinfo2(3): what the C library took from the system and what of it is free
    _fields_ = [(n, ctypes.c_size_t) for n in "arena _1 _2 _3 mapped _4 _5 used free _6".split()]
books = ctypes.CDLL(None).mallinfo2
books.restype = Books
tensors = [torch.ones(6 << 20, dtype=torch.uint8) for _ in range(8)]
free = books().free
del tensors
print(books().free - free)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="other C libraries keep freed memory as they will, and old ones have no books",
)
def test_a_pass_finds_the_memory_that_the_trace_before_it_left() -> None:
    """Once a model is wrapped, what tensors leave behind is kept, and not given back to the system."""
    said = subprocess.run([sys.executable, "-c", MADE_AGAIN], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(said.stdout) > 40e6  # of 50 million bytes
