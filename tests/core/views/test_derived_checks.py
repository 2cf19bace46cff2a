"""What pages compute from traces, checked another way: right where it is right, and red where one thing is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, word_tokenizer

import attn_core as ac
from attn_core.capture import again, batches, patched_batches, patches
from attn_core.capture.patches import Patches
from attn_core.capture.probing.eager_copy import eager_copy
from attn_core.traces.parity import CHANGED_PASS, TOLERANCE
from attn_core.traces.stream import StreamTrace
from attn_core.views import arrangement, files
from attn_core.views.arrangement import arrange, mean_pattern
from attn_core.views.derived_checks import DerivedCheck, arranged_check, full_pattern, lens_check, switched_off_check
from attn_core.views.view import View

LONG = "one grey fox ran far over the hill and the old fox sat by the tree while the sun went down on it"
TEXT = "a fluffy headlamp illuminates unbelievably"
ARRANGED: list[dict[str, Any]] = [
    {"words": True}, {"hide_sink": True}, {"words": True, "hide_sink": True}, {"mean": "heads"}, {"mean": "layers"},
    {"mean": "all", "words": True, "hide_sink": True},
]  # fmt: skip


def check(trace: ac.Trace, mean: str = "one", words: bool = False, hide_sink: bool = False) -> DerivedCheck:
    own = arrange(trace.tokens, causal=trace.kind == "decoder", words=words, hide_sink=hide_sink)
    shown = own.pattern(mean_pattern(trace, 1, 2, mean))
    hidden = own.keys.sink if hide_sink else None
    return arranged_check(
        shown, full_pattern(trace, 1, 2, mean), trace.tokens, trace.key_tokens, words=words, hidden=hidden
    )


@pytest.fixture(scope="module", params=["minilm", "tiny-decoder"])
def trace(request: pytest.FixtureRequest) -> ac.Trace:
    return ac.trace(ac.load(request.param), TEXT)


@pytest.mark.parametrize("arranged", ARRANGED, ids=lambda arranged: " ".join(arranged))
def test_what_is_hidden_joined_or_averaged_is_sums_of_the_whole_pattern(
    trace: ac.Trace, arranged: dict[str, Any]
) -> None:
    pieces = arrange(trace.tokens, causal=False, words=True).places
    assert any(len(place) > 1 for place in pieces) is (trace.model_name == "minilm")
    assert check(trace, **arranged).error < 1e-6 and check(trace, **arranged).ok


@pytest.mark.parametrize("wrong", ["not renormalised", "a word summed over its queries", "the last layer alone", "off"])
def test_another_way_to_arrange_a_pattern_is_found(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    trace = ac.trace(ac.load("minilm"), TEXT)
    arranged: dict[str, Any] = {"words": True, "hide_sink": True, "mean": "all"}
    right = arrangement.Arrangement.pattern
    if wrong == "not renormalised":
        monkeypatch.setattr(arrangement, "without_sink", lambda pattern, sink: np.where(sink, 0, pattern))
    elif wrong == "a word summed over its queries":
        sums = lambda own, p: right(own, p) * [[len(place)] for place in own.places]  # noqa: E731
        monkeypatch.setattr(arrangement.Arrangement, "pattern", sums)
    elif wrong == "the last layer alone":
        last = trace.patterns(trace.n_layers - 1).mean(axis=0)
        monkeypatch.setitem(globals(), "mean_pattern", lambda *_: last)
    else:
        monkeypatch.setattr(arrangement.Arrangement, "pattern", lambda own, p: right(own, p) * (1 + 1e-4))
    found = check(trace, **arranged)
    assert found.error > 5e-5 and not found.ok


def test_a_row_with_nothing_left_is_no_number_in_both() -> None:
    tokens = replace(
        ac.load("minilm").read("one bird"),
        ids=[1, 2, 3],
        words=[None, 0, 1],
        labels=["a", "b", "c"],
        special=[True, False, False],
    )
    pattern, hidden = np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]]), np.array([True, False, False])
    shown = np.array([[math.nan, math.nan], [0.5, 0.5]], np.float32)
    both: Any = (tokens, tokens)
    assert arranged_check(shown, pattern, *both, words=False, hidden=hidden) == ("arranged", 0.0, TOLERANCE)
    assert not arranged_check(np.nan_to_num(shown), pattern, *both, words=False, hidden=hidden).ok


@pytest.mark.parametrize("name", ["gemma2", "modernbert"])
def test_a_mean_over_layers_of_which_some_have_a_window_is_drawn_through_all_their_masks(name: str) -> None:
    """The picture, too, and the one without special tokens: no weight of the mean is hatched, and rows sum to 1."""
    trace = ac.trace(ac.wrap(FAMILIES[name].build(), word_tokenizer()), LONG)
    masks = [trace.may_look(layer) for layer in range(trace.n_layers)]
    assert any(not np.array_equal(mask, masks[0]) for mask in masks)
    for over in ("layers", "all"):
        for hide_sink in (False, True):
            view = View(trace, 1, 1, mean=over, hide_sink=hide_sink)
            drawn = np.array(files.figure(view).data[0].z, float)
            np.testing.assert_allclose(np.nansum(drawn, axis=1), 1, atol=1e-5)
            assert not view.pattern[~view.may_look].any() and check(trace, over, hide_sink=hide_sink).ok
        assert np.array_equal(View(trace, 1, 1, mean=over).may_look, np.logical_or.reduce(masks))


# --- Words read off layers --------------------------------------------------------------------------------------------


def test_words_read_off_layers_are_the_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ac.load("tiny-decoder")
    found = lens_check(model)
    assert found.ok and found.error is not None and found.error < 1e-6
    head, norm = model.hf.get_output_embeddings(), model.wiring.final_norm["self"]
    asked = []
    for module in (head, model.hf.get_submodule(norm)):
        asked.append(module.register_forward_hook(lambda own, given, _: seen.append((own, given[0].shape))))
    seen: list[Any] = []
    blocks = []
    for block in model.hf.base_model.h:
        blocks.append(block.attn.register_forward_hook(lambda *_: blocks.append("a block ran")))
    again.logits_without_blocks(model, torch.zeros(3, model.hf.config.n_embd))
    for hook in [*asked, *blocks]:
        hook.remove()
    assert [own for own, _ in seen] == [model.hf.get_submodule(norm), head]


@pytest.mark.parametrize("wrong", ["no norm", "unembedding", "layer"])
def test_words_read_off_layers_another_way_are_found(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    right = StreamTrace.read_words
    if wrong == "no norm":
        monkeypatch.setattr(StreamTrace, "final_norm", lambda _, vectors: vectors)
    elif wrong == "unembedding":
        monkeypatch.setattr(StreamTrace, "read_words", lambda own, vectors: np.roll(right(own, vectors), 1, axis=-1))
    else:  # every layer but the last is right
        monkeypatch.setattr(
            StreamTrace, "read_words", lambda own, v: np.concatenate([right(own, v[:-1]), right(own, v[-1:]) * 1.001])
        )
    found = lens_check(ac.load("tiny-decoder"))
    assert not found.ok and found.error > 1e-4


def test_words_of_a_model_that_predicts_none_are_not_compared() -> None:
    assert lens_check(ac.load("minilm")) == ("lens", None, TOLERANCE)
    assert lens_check(ac.load("tiny-translator")).error is None


# --- Switched off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["minilm", "tiny-decoder", "tiny-translator"])
def test_passes_without_a_head_are_those_of_the_models_own_attention(name: str) -> None:
    found = switched_off_check(ac.load(name))
    assert found.ok and found.error is not None and found.error < 1e-5


@pytest.mark.parametrize("name", ["albert", "llama", "gemma2", "t5", "bart", "gpt_neox"])
def test_the_same_in_other_families(name: str) -> None:
    found = switched_off_check(ac.wrap(FAMILIES[name].build(), word_tokenizer()))
    assert found.error is not None and found.error < CHANGED_PASS / 5


@pytest.mark.parametrize(
    "wrong", ["another head", "half of it", "no mean", "after a plain pass", "beside", "in a batch"]
)
def test_another_pass_without_a_head_is_found(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    model = ac.load("tiny-decoder")
    others = lambda head: (head[0], head[1] - 1)  # noqa: E731
    if wrong == "another head":
        right = Patches.heads
        monkeypatch.setattr(
            Patches, "heads", lambda own, site: {head - 1: put for head, put in right(own, site).items()}
        )
    elif wrong in ("half of it", "no mean"):
        made = patches._Put.made
        other = {"half of it": ("zero", 0.5), "no mean": ("mean", 0.0)}[wrong]
        monkeypatch.setattr(
            patches._Put, "made", lambda put, own: own * other[1] if put.rule == other[0] else made(put, own)
        )
    elif wrong == "after a plain pass":
        later = again.trace_again
        monkeypatch.setattr(
            again, "trace_again", lambda m, p, without=(), **o: later(m, p, without=[*map(others, without)], **o)
        )
    elif wrong == "beside":
        beside = batches.traces_beside
        monkeypatch.setattr(batches, "traces_beside", lambda m, ids, heads: beside(m, ids, [*map(others, heads)]))
    else:
        rows = patched_batches.patched_rows
        monkeypatch.setattr(patched_batches, "patched_rows", lambda m, p, _: rows(m, p, [{}]))
    found = switched_off_check(model)
    assert found.error is not None and not found.ok


def test_a_copy_of_a_model_to_run_another_way_shares_its_weights_and_leaves_it_alone() -> None:
    model = ac.load("minilm")
    before = [(name, id(module), dict(module._forward_hooks)) for name, module in model.hf.named_modules()]
    own = eager_copy(model.hf, {})
    assert {id(p) for p in own.parameters()} == {id(p) for p in model.hf.parameters()}
    assert own.config._attn_implementation == "eager" != model.hf.config._attn_implementation
    assert before == [(name, id(module), dict(module._forward_hooks)) for name, module in model.hf.named_modules()]
    assert not DerivedCheck("off", math.nan, 1.0).ok
