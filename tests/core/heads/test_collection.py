"""Numbers of heads over many sentences: a long table in memory, or streamed to a file."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attn_core as ac
from attn_core import blocks
from attn_core.heads import collection, quantities
from attn_core.heads.kinds import classify_heads
from attn_core.heads.measures import entropy
from attn_core.heads.samples import SENTENCES
from attn_core.heads.sink import sink_of, without_sink
from attn_core.traces import call as calls

TEXTS = ["the blue creature ate", "the red creature slept", "the creature ate"]


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("tiny-decoder")


def first_weight(stream: ac.Trace, layer: int) -> np.ndarray:
    """[head, query]: a measure of somebody's own."""
    return np.array(stream.patterns(layer)[:, :, 0])


def test_every_value_by_another_road(model: ac.Model) -> None:
    table = ac.collect(ac.trace_many(model, TEXTS), what=["entropy", "sink", "delta_size", "previous", first_weight])
    assert list(table) == ["sentence", "stream", "layer", "head", "measure", "value"]
    assert len(table) == 3 * 2 * 4 * 5 and set(table.stream) == {"self"}
    found = table.set_index(["sentence", "measure", "layer", "head"]).value
    for number, text in enumerate(TEXTS):
        trace = ac.trace(model, text)
        asks = ~np.array(trace.tokens.special)
        sink = sink_of(trace.stream())
        for layer in range(2):
            for head in range(4):
                pattern = trace.pattern(layer, head)
                expected = {
                    "entropy": np.nanmean(entropy(without_sink(pattern[asks], sink))),
                    "sink": pattern[asks][:, sink].sum(axis=1).mean(),
                    "delta_size": np.linalg.norm(trace.delta_e(layer, head)[asks], axis=1).mean(),
                    "first_weight": pattern[asks, 0].mean(),
                }
                for name, value in expected.items():
                    assert found[number, name, layer, head] == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_long_sentences_are_read_in_blocks_of_rows(model: ac.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = [ac.trace(model, TEXTS[0]), ac.trace(ac.load("minilm"), SENTENCES[0])]
    whole = ac.collect(traces, quantities.QUANTITIES)
    monkeypatch.setattr(quantities, "KEPT", 0)
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", 600)
    pieces = [*quantities.StreamReading(traces[1].stream()).blocks(0)]
    assert len(pieces) > 3 and max(pattern.size for _, pattern in pieces) <= 600
    pd.testing.assert_frame_equal(ac.collect(traces, quantities.QUANTITIES), whole, rtol=1e-5, atol=1e-7)


def test_a_file_holds_the_same_table_and_is_written_one_batch_at_a_time(
    model: ac.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow.parquet import ParquetFile

    monkeypatch.setattr(collection, "ROWS", 20)
    alive: list[weakref.ref[ac.Trace]] = []

    def one_by_one() -> Iterator[ac.Trace]:
        for text in TEXTS:
            trace = ac.trace(model, text)
            alive.append(weakref.ref(trace))
            yield trace
            del trace
            gc.collect()
            assert alive[-1]() is None or text == TEXTS[-1]  # nothing holds a trace that was counted

    what = ["entropy", "delta_size", first_weight]
    path = ac.collect(one_by_one(), what, path=str(tmp_path / "heads.parquet"))
    assert path == tmp_path / "heads.parquet" and [p.name for p in tmp_path.iterdir()] == ["heads.parquet"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(path).astype({"value": float}),
        ac.collect((ac.trace(model, text) for text in TEXTS), what),
        check_dtype=False,
    )
    assert ParquetFile(path).num_row_groups > 3


def test_an_interrupted_file_is_not_there(model: ac.Model, tmp_path: Path) -> None:
    with pytest.raises(ac.EmptyText):
        ac.collect((ac.trace(model, text) for text in ("the creature", "")), ["entropy"], tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_collected_is_named(model: ac.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = [ac.trace(model, "the creature")]
    with pytest.raises(ValueError, match="'width' is no measure; name some of entropy, .*, delta_size, previous"):
        ac.collect(traces, ["width"])
    with pytest.raises(ValueError, match="two measures are called 'entropy'"):
        ac.collect(traces, ["entropy", "entropy"])
    with pytest.raises(ValueError, match=r"gives \[head\] or \[head, query\]; got an array \[4, 2, 2\]"):
        ac.collect(traces, [lambda stream, layer: stream.patterns(layer)[:, :2, :2]])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ac.HeadlightError, match=r"pip install headlight-attention\[tables\]"):
        ac.collect(traces, ["entropy"], tmp_path / "x.parquet")
    assert len(ac.collect([], ["entropy"])) == 0


def test_streams_of_a_translator_and_measures_that_mean_nothing_there() -> None:
    translator = ac.load("tiny-translator")
    traces = [ac.trace(translator, "the cat sleeps", target="le chat dort")]
    table = ac.collect(traces, ["distance", "sink"])
    assert set(table.stream) == {"encoder", "decoder", "cross"}
    assert set(table[table.stream == "cross"].measure) == {"sink"}  # there is no distance between two sentences
    assert set(ac.collect(traces, ["sink"], stream="cross").stream) == {"cross"}


def test_the_table_of_kinds_is_such_a_collection() -> None:
    model = ac.load("minilm")
    texts = SENTENCES[:2]
    kinds = classify_heads(model, texts=texts, seeds=[]).set_index(["layer", "head"])
    table = ac.collect((ac.trace(model, text) for text in texts), ["entropy", "sink"])
    mean = table.groupby(["measure", "layer", "head"]).value.mean()
    for name in ("entropy", "sink"):
        np.testing.assert_allclose(kinds[name], mean[name], rtol=1e-12)
