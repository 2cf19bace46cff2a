"""An option that cannot be meant is refused in one sentence that names it, before a pass is run or a file is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attn_core as ac
from attn_core.capture import run
from attn_core.capture.model import Model
from attn_core.models import loading
from attn_core.views import files, view
from attn_core.views.view import View
from ui.shell.menu import PAGES

TEXT, OTHER = "the blue creature ate", "the red creature ate"


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(ac.load("tiny-decoder"), TEXT)


WHOLE, FLAG = "must be a whole number, got", "must be True or False, got"
REFUSED: list[tuple[type[Exception], str, Callable[[Model, ac.Trace], Any]]] = [
    (ValueError, "page must be one of 'all_heads', .*; got 'nope'", lambda m, t: View(t, page="nope")),
    (TypeError, f"words {FLAG} 3", lambda m, t: View(t, words=3)),
    (TypeError, f"hide_sink {FLAG} 'no'", lambda m, t: View(t, hide_sink="no")),
    (TypeError, f"layer {WHOLE} True", lambda m, t: View(t, layer=True)),
    (TypeError, f"head {WHOLE} None", lambda m, t: View(t, head=None)),
    (TypeError, f"query {WHOLE} 1.5", lambda m, t: View(t, query=1.5)),
    (TypeError, "spans are pairs of positions", lambda m, t: View(t, spans=3)),
    (TypeError, "spans are pairs of positions", lambda m, t: View(t, spans=(("a", "b"),))),
    (TypeError, "link must be a dictionary", lambda m, t: View(t, link=3)),
    (TypeError, "a view is of a trace, got 'x'", lambda m, t: View("x")),
    (ValueError, "height must be at least 1 pixel, got -1", lambda m, t: t.show(height=-1)),
    (TypeError, f"height {WHOLE} 'tall'", lambda m, t: t.show(height="tall")),
    (ValueError, "tokens= and key_tokens= go with attention=", lambda m, t: ac.show(t, tokens=["a"])),
    (TypeError, "show takes a trace, got 'x'", lambda m, t: ac.show("x")),
    (ValueError, "attention must hold real numbers", lambda m, t: ac.show(attention="a", tokens=["a"])),
    (ValueError, "in rows of one length", lambda m, t: ac.show(attention=np.eye(2) * 1j, tokens=["a", "b"])),
    (TypeError, f"layer {WHOLE} 0.0", lambda m, t: t.heatmap(0.0, 0)),
    (TypeError, f"head {WHOLE} '0'", lambda m, t: t.links(0, "0")),
    (ValueError, "stream must be one of 'self'; got 'x'", lambda m, t: t.overview(stream="x")),
    (TypeError, "rows must be a slice", lambda m, t: t.pattern(0, 0, 3)),
    (ValueError, "rows must be one after the other", lambda m, t: t.patterns(0, slice(0, 4, 2))),
    (TypeError, "layers must be several layers", lambda m, t: t.check(layers="0")),
    (TypeError, "layers must be several layers", lambda m, t: t.stream().check(layers=0)),
    (ValueError, "layers must be one or more layers, got none", lambda m, t: t.check(layers=[])),
    (ValueError, "layers must be one or more layers, got none", lambda m, t: t.stream().check(layers=())),
    (TypeError, r"checks must be what trace.check\(\) gives, got 3", lambda m, t: ac.worst_parity([3])),
    (TypeError, "checks must be several checks", lambda m, t: ac.worst_parity(t)),
    (TypeError, f"layer {WHOLE} None", lambda m, t: t.embedding(None)),
    (ValueError, 'against must be None, "mean" or another key, got True', lambda m, t: t.score_parts(1, 0, 3, 1, True)),
    (TypeError, f"with_output {FLAG} 1", lambda m, t: t.save("x", with_output=1)),
    (ac.HeadlightError, "x cannot be written: there is no folder /nowhere", lambda m, t: t.save("/nowhere/x")),
    (ValueError, 'width is "column", "page" or', lambda m, t: files.save(View(t), "x.svg", width="wide")),
    (ValueError, "limit must be at least 1 token, got 0", lambda m, t: ac.trace(m, TEXT, limit=0)),
    (TypeError, f"limit {WHOLE} True", lambda m, t: ac.trace(m, TEXT, limit=True)),
    (TypeError, f"limit {WHOLE} 2.5", lambda m, t: ac.load("minilm", limit=2.5)),
    (TypeError, f"limit {WHOLE} '3'", lambda m, t: ac.wrap(m.hf, m.tokenizer, limit="3")),
    (TypeError, "name must be a text, got 3", lambda m, t: ac.wrap(m.hf, m.tokenizer, name=3)),
    (ValueError, "dtype must be one of float32", lambda m, t: ac.load("minilm", dtype="int8")),
    (ac.HeadlightError, "There is no device '3.5' here", lambda m, t: ac.load("minilm", device=3.5)),
    (ValueError, 'keep must be "full" or "small", got', lambda m, t: ac.trace(m, TEXT, keep=None)),
    (ValueError, 'frame must be "own" or "typed", got', lambda m, t: ac.trace(m, TEXT, frame="x")),
    (TypeError, f"grad {FLAG} 'yes'", lambda m, t: ac.trace(m, TEXT, grad="yes")),
    (TypeError, "without must be several heads", lambda m, t: ac.trace(m, TEXT, without=3)),
    (TypeError, f"layer {WHOLE} 0.0", lambda m, t: ac.trace(m, TEXT, without=[(0.0, 1)])),
    (ValueError, "replacement must be one of", lambda m, t: ac.trace(m, TEXT, without=[(0, 1)], replacement="even")),
    (ValueError, "name them in without=", lambda m, t: ac.trace(m, TEXT, replacement="mean")),
    (TypeError, "edit must be a dictionary", lambda m, t: ac.trace(m, TEXT, edit=[1])),
    (TypeError, "patch must be a dictionary", lambda m, t: ac.trace(m, TEXT, patch=[1])),
    (TypeError, f"layer {WHOLE} '0'", lambda m, t: ac.trace(m, TEXT, patch={ac.at.mlp("0"): "zero"})),
    (ac.HeadlightError, "a list of token ids: whole numbers", lambda m, t: ac.trace(m, [True])),
    (ValueError, "batch must be at least 1, got 0", lambda m, t: ac.trace_many(m, [TEXT], batch=0)),
    (TypeError, f"batch {WHOLE} 2.5", lambda m, t: ac.trace_many(m, [TEXT], batch=2.5)),
    (ValueError, "frame must be one of 'own', 'typed'", lambda m, t: ac.trace_many(m, [TEXT], frame="x")),
    (TypeError, "texts must be several sentences", lambda m, t: ac.trace_many(m, TEXT)),
    (TypeError, "traces must be several traces", lambda m, t: ac.collect(t, ["entropy"])),
    (TypeError, "traces must be what ac.trace gives, got 3", lambda m, t: ac.collect([3], ["entropy"])),
    (TypeError, "measures must be several names", lambda m, t: ac.collect([t], "entropy")),
    (ValueError, "measures must be one or more names", lambda m, t: ac.collect([t], [])),
    (TypeError, "a measure is a name or a function", lambda m, t: ac.collect([t], [3])),
    (ac.HeadlightError, "there is no folder /nowhere", lambda m, t: ac.collect([t], ["entropy"], "/nowhere/x")),
    (TypeError, "texts must be several sentences", lambda m, t: ac.classify_heads(m, texts=TEXT)),
    (TypeError, "seeds must be several whole numbers", lambda m, t: ac.classify_heads(m, seeds=3)),
    (TypeError, f"a seed {WHOLE} 'a'", lambda m, t: ac.classify_heads(m, seeds=("a",))),
    (TypeError, "texts must be several sentences", lambda m, t: ac.run_study(m, TEXT)),
    (ValueError, "seed must be at least 0, got -1", lambda m, t: ac.run_study(m, [TEXT, OTHER], seed=-1)),
    (TypeError, f"replicates {WHOLE} True", lambda m, t: ac.run_study(m, [TEXT, OTHER], replicates=True)),
    (TypeError, "shard must be several numbers", lambda m, t: ac.run_study(m, [TEXT, OTHER], shard=1)),
    (
        ac.HeadlightError,
        "tmp cannot be written: it is no file",
        lambda m, t: ac.run_study(m, [TEXT, OTHER], path="/tmp"),
    ),
    (TypeError, f"batch {WHOLE} True", lambda m, t: ac.patching(m, TEXT, OTHER, (5, 6), batch=True)),
    (TypeError, f"by_position {FLAG} 'x'", lambda m, t: ac.patching(m, TEXT, OTHER, (5, 6), by_position="x")),
    (ValueError, "head= is for a place of a head", lambda m, t: ac.patching(m, TEXT, OTHER, (5, 6), at="mlp", head=1)),
    (
        ValueError,
        "batch must be at least 1",
        lambda m, t: ac.path_patching(m, TEXT, OTHER, (0, 0), (1, 0), "q", batch=0),
    ),
    (TypeError, "texts must be several sentences", lambda m, t: ac.changed_heads(m, m, TEXT)),
]


@pytest.mark.parametrize(
    ("kind", "said", "ask"), REFUSED, ids=[f"{n}-{said[:40]}" for n, (_, said, _) in enumerate(REFUSED)]
)
def test_what_cannot_be_meant_is_refused_at_once(
    trace: ac.Trace, kind: type[Exception], said: str, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ac.load("tiny-decoder")
    monkeypatch.chdir(tmp_path)
    for heavy in ((Model, "run"), (loading, "_open"), (run, "assemble")):
        monkeypatch.setattr(*heavy, lambda *_, **__: pytest.fail("something heavy was begun"))
    with pytest.raises(kind, match=said):
        ask(model, trace)
    assert not [*tmp_path.iterdir()]


def test_a_view_opens_every_page_of_the_app() -> None:
    assert tuple(PAGES) == view.PAGES


def test_whole_numbers_of_numpy_are_whole_numbers(trace: ac.Trace) -> None:
    assert View(trace, np.int64(1), np.int32(2), query=np.int64(3)).layer == 1
    np.testing.assert_array_equal(trace.pattern(np.int64(1), np.uint8(2)), trace.pattern(1, 2))
