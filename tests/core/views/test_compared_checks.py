"""Panels side by side, near words and patched passes, checked another way: right, and red where one thing is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from families import FAMILIES, word_tokenizer

import attn_core as ac
from attn_core.capture import patched_batches
from attn_core.capture.patches import Patches
from attn_core.heads import alignment, compare
from attn_core.places import Place
from attn_core.residual import nearest_tokens
from attn_core.views.compared_checks import ShownPanel, compared_check, near_words_check
from attn_core.views.derived_checks import DerivedCheck
from attn_core.views.patched_check import patched_check

FIRST, SECOND = "a fluffy headlamp illuminates unbelievably", "the headlamp illuminates unbelievably well"


def compared(words: bool, wrong: str = "") -> DerivedCheck:
    """Two sentences of a model, as the page Compare puts them side by side."""
    traces = [ac.trace(ac.load("minilm"), text) for text in (FIRST, SECOND)]
    tokens = [trace.tokens for trace in traces]
    names = [alignment.said_words(own) if words else own.labels for own in tokens]
    places = alignment.align_all(names)
    cells, look = [], []
    for trace, own, at in zip(traces, tokens, places, strict=True):
        pattern, mask = trace.pattern(1, 2), trace.may_look(1)
        if words:
            pattern = alignment.between_said_words(pattern, own, own)
            mask = alignment.may_look_between_said_words(mask, own, own)
        cells.append(alignment.on_axes(pattern, at, at))
        look.append(alignment.on_axes(mask, at, at))
    rows = alignment.paired(*places)
    both = (look[0] & look[1])[rows]
    found = compare.difference(cells[0][rows], cells[1][rows], both)
    apart = cells[0] - cells[1]
    if wrong == "a cell":
        cells[1][rows[2], rows[0]] += 1e-3
    elif wrong == "the other way round":
        apart = -apart
    elif wrong:
        value = {"rows": found.rows * 1.001, "overall": found.overall + 1e-3, "correlation": found.correlation - 1e-3}
        value["most_changed"] = int(found.rows.argmin())
        found = replace(found, **{wrong: value[wrong]})
    shown = [
        ShownPanel(own, trace.pattern(1, 2), trace.tokens, trace.tokens, (at, at))
        for own, trace, at in zip(cells, traces, places, strict=True)
    ]
    return compared_check(shown, apart, found, rows.tolist(), both, words)


@pytest.mark.parametrize("words", [False, True])
def test_what_stands_side_by_side_is_the_same_computed_another_way(words: bool) -> None:
    found = compared(words)
    assert found.name == "compared" and found.ok and found.error < 1e-6
    for wrong in ("a cell", "the other way round", "rows", "overall", "correlation", "most_changed"):
        assert not compared(words, wrong).ok, wrong


@pytest.mark.parametrize("name", ["minilm", "tiny-decoder", "tiny-translator"])
def test_near_words_are_those_of_the_whole_vocabulary(name: str) -> None:
    found = near_words_check(ac.load(name))
    assert found.name == "near" and found.ok and found.error < 1e-6


@pytest.mark.parametrize("wrong", ["a piece of the vocabulary is left out", "of another word", "scores", "spread"])
def test_another_search_is_found(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    if wrong in ("scores", "spread"):
        right = nearest_tokens.both_ends

        def changed(*given: Any, **options: Any) -> list[Any]:
            return [replace(r, **{wrong: getattr(r, wrong) * 1.001}) for r in right(*given, **options)]

        monkeypatch.setattr(nearest_tokens, "both_ends", changed)
    else:
        add = nearest_tokens._Best.add

        def other(best: Any, scores: torch.Tensor, start: int) -> None:
            if wrong == "of another word":
                add(best, scores, start + 1)
            elif start:
                add(best, scores, start)

        monkeypatch.setattr(nearest_tokens._Best, "add", other)
    assert not near_words_check(ac.load("minilm")).ok


def test_near_words_of_words_in_a_space_of_their_own_are_not_compared() -> None:
    model = ac.wrap(FAMILIES["electra"].build(), word_tokenizer())
    assert near_words_check(model).error is None


@pytest.mark.parametrize("name", ["minilm", "tiny-decoder", "llama", "gemma2", "gpt_neox"])
def test_patched_passes_are_those_of_the_models_own_attention(name: str) -> None:
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer()) if name in FAMILIES else ac.load(name)
    found = patched_check(model)
    assert found.name == "patched" and found.ok and found.error < 1e-5


def _before(place: Place) -> Place:
    return place if place.head is None else place._replace(head=place.head - 1)


@pytest.mark.parametrize("wrong", ["nothing is put", "in every row", "half of a head", "another head"])
def test_another_patched_pass_is_found(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    right, heads = patched_batches.patched_rows, Patches.change_heads
    if wrong == "nothing is put":
        monkeypatch.setattr(patched_batches, "patched_rows", lambda m, b, rows: right(m, b, [{} for _ in rows]))
    elif wrong == "in every row":
        monkeypatch.setattr(patched_batches, "patched_rows", lambda m, b, rows: right(m, b, [rows[1]] * len(rows)))
    elif wrong == "half of a head":

        def half(own: Any, site: Any, output: torch.Tensor) -> Any:
            before = output.clone()
            found = heads(own, site, output)
            output.copy_((before + output) / 2)
            return found

        monkeypatch.setattr(Patches, "change_heads", half)
    else:
        monkeypatch.setattr(
            patched_batches, "patched_rows",
            lambda m, b, rows: right(m, b, [{_before(p): put for p, put in row.items()} for row in rows]),
        )  # fmt: skip
    found = patched_check(ac.load("tiny-decoder"))
    assert found.error is not None and not found.ok


def test_patched_passes_of_two_stacks_are_not_compared() -> None:
    assert patched_check(ac.load("tiny-translator")).error is None
