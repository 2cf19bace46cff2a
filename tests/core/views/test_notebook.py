"""A trace in a notebook, and anybody's weights."""

from __future__ import annotations

import base64
import json
from html import unescape

import numpy as np
import pandas as pd
import pytest
import torch

import attn_core as ac
from attn_core.traces import trace as traces
from attn_core.views import files
from attn_core.views.view import View

SENTENCE = "the blue creature ate"
WORDS = ["a", "<b>", "c"]


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(ac.load("tiny-decoder"), SENTENCE)


def numbers_in(shown: str) -> dict:
    _, _, rest = unescape(shown).partition('id="headlight-numbers">')
    return json.loads(rest.partition("</script>")[0])


def test_a_trace_draws_itself(trace: ac.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trace.show(1, 2).view.caption() == ac.show(trace, 1, 2).view.caption()
    assert trace._repr_html_() == str(ac.show(trace)._repr_html_())
    translation = ac.trace(ac.load("tiny-translator"), "the cat sleeps", target="le chat dort")
    assert "cross attention" in translation._repr_html_()
    figure = trace.heatmap(1, 2)
    assert figure == files.figure(View(trace, 1, 2).with_followed_word())
    monkeypatch.setattr(traces, "MOST_DRAWN", 3)
    assert (
        trace._repr_html_()
        == f"<pre>{repr(trace).replace('<', '&lt;').replace('>', '&gt;').replace(chr(39), '&#x27;')}</pre>"
    )


def test_the_table_has_every_weight_and_no_masked_cell(trace: ac.Trace) -> None:
    table = trace.frame()
    columns = ["stream", "layer", "head", "query", "query_token", "key", "key_token", "weight"]
    n = len(trace.tokens)
    assert list(table) == columns and len(table) == 2 * 4 * n * (n + 1) // 2
    for row in table.sample(50, random_state=0).itertuples():
        assert row.weight == trace.pattern(row.layer, row.head)[row.query, row.key]
        assert (row.query_token, row.key_token) == (trace.tokens.labels[row.query], trace.tokens.labels[row.key])
    translation = ac.trace(ac.load("tiny-translator"), "the cat sleeps", target="le chat dort")
    assert set(translation.frame().stream) == {"encoder", "decoder", "cross"}
    cross = translation.frame(stream="cross")
    pd.testing.assert_series_equal(
        cross.groupby(["layer", "head", "query"]).weight.sum().reset_index(drop=True),
        pd.Series(1.0, index=range(2 * 4 * len(translation.tokens_of("cross")[0])), name="weight"),
        check_dtype=False,
        rtol=1e-5,
    )


def test_anybody_s_weights_are_shown_and_rows_that_do_not_sum_to_one_are_named() -> None:
    weights = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.4]], np.float32)
    shown = ac.show(attention=[weights[None]], tokens=WORDS)
    html = str(shown._repr_html_())
    assert shown.remark == "1 row does not sum to 1: c (row 2) of head 0.0: 0.9." and shown.remark in html
    assert (shown.view.n_layers, shown.view.reader.kind) == (1, "decoder")  # nothing looks ahead
    cells = np.frombuffer(base64.b64decode(numbers_in(html)["cells"]), np.uint16).reshape(3, 3)
    assert cells[1].tolist() == [32767, 32767, 65535] and cells[2, 2] == round(0.4 * 65534)
    assert "<b>" not in html.split("srcdoc")[0]
    even = torch.full((2, 4, 3, 3), 1 / 3)
    assert ac.show(attention=even, tokens=WORDS).remark == ""
    assert ac.show(attention=tuple(even[:, None]), tokens=WORDS).view.n_layers == 2  # as transformers gives it
    many = ac.show(attention=even * 0.5, tokens=WORDS).remark
    assert many.startswith("24 rows do not sum to 1: a (row 0) of head 0.0: 0.5") and many.endswith("and 21 more.")
    cross = ac.show(attention=np.full((2, 3), 1 / 3), tokens=["x", "y"], key_tokens=WORDS)
    assert cross.view.reader.name == "cross" and "srcdoc" in str(cross._repr_html_())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "show takes a trace, or attention= and tokens="),
        ({"attention": np.ones((2, 2)), "tokens": WORDS}, r"with 3 queries and 3 keys; got \[1, 1, 2, 2\]"),
        ({"attention": np.full((3, 3), np.nan), "tokens": WORDS}, "negative or no finite numbers"),
        ({"attention": -np.ones((3, 3)), "tokens": WORDS}, "negative or no finite numbers"),
        ({"attention": np.ones((3, 3)), "tokens": "abc"}, "tokens must be a list of words"),
    ],
)
def test_what_are_no_weights_is_refused(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ac.show(**given)


def test_lines_and_overview_are_figures_of_the_very_numbers(trace: ac.Trace) -> None:
    tiles = trace.overview()
    drawn = {(own.meta["layer"], own.meta["head"]): own for own in tiles.data if isinstance(own.meta, dict)}
    assert set(drawn) == {(layer, head) for layer in range(2) for head in range(4)}
    for (layer, head), own in drawn.items():  # a weight has 254 steps in an overview
        weights = np.where(trace.may_look(layer), trace.pattern(layer, head), np.nan)
        np.testing.assert_allclose(np.array(own.z, float), weights, atol=0.005)
    lines = trace.links(1, 2)
    text = json.dumps(lines.to_plotly_json(), default=str)
    assert all(label in text for label in trace.tokens.labels) and "1.2" in text
    translation = ac.trace(ac.load("tiny-translator"), "the cat sleeps", target="le chat dort")
    with pytest.raises(ValueError, match="stream must be one of"):
        translation.overview()
    assert "le" in json.dumps(translation.links(0, 0, stream="cross").to_plotly_json(), default=str)


def test_an_xarray_names_its_axes_and_masks_what_has_no_weight(trace: ac.Trace) -> None:
    found = trace.to_xarray()
    assert dict(found.sizes) == {"layer": 2, "head": 4, "query": len(trace.tokens), "key": len(trace.tokens)}
    here = found.pattern.sel(layer=1, head=2)
    may_look = trace.may_look(1)
    np.testing.assert_array_equal(here.values[may_look], trace.pattern(1, 2)[may_look])
    assert np.isnan(here.values[~may_look]).all()
    np.testing.assert_array_equal(found.delta_e_size.sel(layer=0).values, trace.delta_e_sizes(0))
    assert list(found.key_token.values) == trace.tokens.labels
    changed = ac.trace(ac.load("tiny-decoder"), SENTENCE, without=[(0, 1)]).to_xarray()
    assert changed.attrs["changes"] == "without head 0.1 (nothing in its place)" and found.attrs["changes"] == ""


def test_tensors_are_had_without_a_copy(trace: ac.Trace) -> None:
    kept = trace.tensors(1)
    assert kept["query"].data_ptr() == trace.tensors(1)["query"].data_ptr()
    np.testing.assert_array_equal(kept["query"][2], trace.query(1, 2))
    np.testing.assert_array_equal(kept["embedding"], trace.embedding(1))
    np.testing.assert_array_equal(kept["added"], trace.attention_added(1))
