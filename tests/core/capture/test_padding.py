"""Padded ids with their mask: what is real is as without the filler, and the filler is nobody's word."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, word_tokenizer

import attn_core as ac
from attn_core import blocks
from attn_core.heads.quantities import StreamReading, quantities
from attn_core.traces import call as calls
from attn_core.views import files
from attn_core.views.view import View

IDS, FILLER = [4, 5, 6, 7, 8], [0, 0, 0]
SIDES = ["left", "right"]
NAMES = ["gpt2", "llama", "opt", "gpt_neox", "gemma2", "mistral", "bert", "modernbert"]


def padded(side: str) -> tuple[dict[str, list[list[int]]], slice]:
    """The inputs, and where the words are in them."""
    ids = FILLER + IDS if side == "left" else IDS + FILLER
    real = slice(3, 8) if side == "left" else slice(0, 5)
    mask = [int(real.start <= i < real.stop) for i in range(8)]
    return {"input_ids": [ids], "attention_mask": [mask]}, real


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> ac.Model:
    return ac.wrap(FAMILIES[request.param].build(), word_tokenizer())


@pytest.mark.parametrize("side", SIDES)
def test_words_are_as_they_are_without_filler(model: ac.Model, side: str) -> None:
    inputs, real = padded(side)
    if side == "left" and model.family == "bert":  # it counts its positions from the first token, filler or not
        inputs["position_ids"] = [[0, 0, 0, *range(5)]]
    trace, alone = ac.trace(model, inputs=inputs), ac.trace(model, IDS)
    for layer in range(trace.n_layers):
        square = trace.patterns(layer)
        np.testing.assert_allclose(square[:, real, real], alone.patterns(layer), atol=2e-6)
        np.testing.assert_allclose(trace.delta_e(layer, 1)[real], alone.delta_e(layer, 1), atol=2e-5)
        np.testing.assert_allclose(trace.embedding(layer)[real], alone.embedding(layer), atol=2e-5)
        assert np.array_equal(trace.may_look(layer)[real, real], alone.may_look(layer))
    np.testing.assert_allclose(trace.final_embedding()[real], alone.final_embedding(), atol=2e-5)
    check = trace.check()
    assert check.ok and max(check.worst, alone.check().worst) < 1e-6


@pytest.mark.parametrize("side", SIDES)
def test_filler_is_masked_and_no_number(model: ac.Model, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, real = padded(side)
    trace = ac.trace(model, inputs=inputs)
    pads = np.ones(8, bool)
    pads[real] = False
    assert not trace.may_look(1)[pads].any() and not trace.may_look(1)[:, pads].any()
    rows = [trace.pattern(1, 0), trace.scores(1, 0), trace.patterns(1)[2], trace.delta_e(1, 0), trace.embedding(1)]
    rows += [trace.query(1, 0), trace.key(1, 0), trace.value(1, 0), trace.final_embedding(), trace.attention_added(1)]
    rows += [trace.weighted_values(1, 0), trace.delta_e_sizes(1)[0], trace.mlp_added(1)]
    for n, each in enumerate(rows):
        assert np.isnan(each[pads]).all() and not np.isnan(each[~pads]).any(), n
    assert not trace.pattern(1, 0)[real][:, pads].any()
    squares = trace.pattern(1, 0), trace.scores(1, 0), trace.may_look(1)
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", 16)  # scores at a time: blocks of two rows
    for whole, in_blocks in zip(squares, (trace.pattern(1, 0), trace.scores(1, 0), trace.may_look(1)), strict=True):
        np.testing.assert_allclose(in_blocks, whole, atol=1e-6)
    table = trace.frame()
    assert not set(table["query"]) & set(np.flatnonzero(pads)) and table.weight.notna().all()


def test_a_padded_trace_is_saved_and_shown(model: ac.Model, tmp_path: Path) -> None:
    inputs, real = padded("left")
    trace = ac.trace(model, inputs=inputs)
    trace.save(tmp_path / "padded.trace")
    opened = ac.open_trace(tmp_path / "padded.trace")
    np.testing.assert_array_equal(opened.patterns(1), trace.patterns(1))
    np.testing.assert_array_equal(opened.may_look(0), trace.may_look(0))
    assert trace.show()._repr_html_().startswith("<iframe")


@pytest.mark.parametrize("side", ["left", "right"])
def test_filler_is_out_of_every_mean_and_hatched_in_a_map(model: ac.Model, side: str) -> None:
    inputs, real = padded(side)
    if side == "left" and model.family == "bert":
        inputs["position_ids"] = [[0, 0, 0, *range(5)]]
    trace, alone = ac.trace(model, inputs=inputs), ac.trace(model, IDS)
    for quantity in quantities(["entropy", "distance", "sink", "delta_size", "previous", "local"]):
        ours, plain = (quantity.of(StreamReading(each.stream()), 1) for each in (trace, alone))
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5, err_msg=quantity.name)
    pads = [at for at in range(8) if not real.start <= at < real.stop]
    drawn = files.figure(View(trace, 1, 1))
    numbers = np.array(drawn.data[0].z, float)
    assert np.isnan(numbers[pads]).all() and np.isnan(numbers[:, pads]).all() and len(drawn.layout.images) == 1
    words = [at for at in range(len(numbers)) if at not in pads]
    np.testing.assert_allclose(np.nansum(numbers[words], axis=1), 1, atol=1e-5)


def test_a_target_may_be_padded_too() -> None:
    model = ac.wrap(FAMILIES["bart"].build(), word_tokenizer())
    given = {"input_ids": [[1, *IDS]], "decoder_input_ids": [[2, *IDS, *FILLER]]}
    trace = ac.trace(model, inputs=given | {"decoder_attention_mask": [[1] * 6 + [0] * 3]})
    alone = ac.trace(model, inputs=given | {"decoder_input_ids": [[2, *IDS]]})
    for stream in ("decoder", "cross"):
        found = trace.pattern(1, 2, stream=stream)
        assert np.isnan(found[6:]).all()
        np.testing.assert_allclose(found[:6, :6], alone.pattern(1, 2, stream=stream)[:6, :6], atol=1e-6)
    assert trace.check().ok


def test_pads_without_a_mask_are_remarked() -> None:
    model = ac.wrap(FAMILIES["bert"].build(), word_tokenizer())
    for given in ({"text": [1, *IDS, 0, 0]}, {"inputs": {"input_ids": [[0, 1, *IDS]]}}):
        with pytest.warns(UserWarning, match="Padding is read as words here: give attention_mask"):
            ac.trace(model, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ac.trace(model, inputs=padded("right")[0])
        ac.trace(model, [1, *IDS, 2])
        ac.trace(model, "one grey fox")


def test_a_mask_that_hides_nothing_leaves_everything_as_it_was(model: ac.Model) -> None:
    trace = ac.trace(model, inputs={"input_ids": [IDS], "attention_mask": torch.ones(1, 5, dtype=torch.long)})
    np.testing.assert_array_equal(trace.patterns(1), ac.trace(model, IDS).patterns(1))
