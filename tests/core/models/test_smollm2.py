"""The real language model out of a package is the one that was measured, and its examples show what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.models import conversion
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetched_folder
from attn_core.prediction import writing

pytestmark = pytest.mark.models
DRINK, FRANCE, LIST, KEYS = CATALOGUE["smollm2"].examples


@pytest.fixture(scope="module")
def smollm2(fetched: Callable[[str], None]) -> Any:
    fetched("smollm2")
    return ac.load("smollm2")


def next_words(model: Any, text: str) -> dict[str, float]:
    """The likeliest next words and their probabilities, by the library's own forward pass."""
    with torch.inference_mode():
        logits = model.hf(torch.tensor([model.tokenizer(text).input_ids])).logits[0, -1]
    found = logits.softmax(-1).topk(5)
    return {
        model.tokenizer.decode([i]): float(p)
        for p, i in zip(found.values.tolist(), found.indices.tolist(), strict=True)
    }


def last_row(model: Any, example: Any) -> dict[str, float]:
    """Whom the last word looks at in the example's head."""
    trace = ac.trace(model, example.text)
    assert example.query == len(trace.tokens) - 1
    return dict(zip(trace.tokens.labels, trace.pattern(example.layer, example.head)[-1].tolist(), strict=True))


def test_it_is_the_model_that_was_measured(smollm2: Any) -> None:
    assert smollm2.n_parameters == CATALOGUE["smollm2"].parameters == 134_515_008
    assert smollm2.n_bytes == CATALOGUE["smollm2"].memory == 538_060_032
    assert conversion.weights_of(fetched_folder(CATALOGUE["smollm2"])) == CATALOGUE["smollm2"].weights
    trace = ac.trace(smollm2, DRINK.text)
    assert (trace.n_layers, trace.n_heads, smollm2.kind) == (30, 9, "decoder")
    assert trace.check().ok and max(trace.check()) < 2e-6


def test_its_next_words_make_sense(smollm2: Any) -> None:
    drink, france = next_words(smollm2, DRINK.text), next_words(smollm2, FRANCE.text)
    assert next(iter(drink)) == " Mary" and drink[" Mary"] == pytest.approx(0.923, abs=0.005)
    assert next(iter(france)) == " Paris" and france[" Paris"] == pytest.approx(0.773, abs=0.005)
    keys, key = next_words(smollm2, KEYS.text), next_words(smollm2, "The key to the cabinet")
    assert next(iter(keys)) == " are" and keys[" are"] == pytest.approx(0.159, abs=0.005)
    assert key[" is"] == pytest.approx(0.218, abs=0.005) and " are" not in key  # the likeliest verb, after "'s"


def test_each_example_has_a_head_that_shows_it(smollm2: Any) -> None:
    assert last_row(smollm2, DRINK)["Mary"] == pytest.approx(0.810, abs=0.01)  # the name that is said next
    assert last_row(smollm2, FRANCE)["France"] == pytest.approx(0.903, abs=0.01)
    assert last_row(smollm2, KEYS)["keys"] == pytest.approx(0.733, abs=0.01)  # what the verb agrees with


def test_its_induction_head_looks_at_the_word_after_the_same_word(smollm2: Any) -> None:
    trace = ac.trace(smollm2, LIST.text)
    assert trace.tokens.labels[:4] == trace.tokens.labels[5:]
    looks = [float(trace.pattern(LIST.layer, LIST.head)[5 + i, 1 + i]) for i in range(4)]
    assert np.mean(looks) == pytest.approx(0.504, abs=0.01)


def test_most_of_what_it_looks_at_is_the_first_token(smollm2: Any) -> None:
    trace = ac.trace(smollm2, DRINK.text)
    assert np.mean([trace.patterns(layer)[:, 1:, 0].mean() for layer in range(30)]) == pytest.approx(0.548, abs=0.01)


def test_who_gave_a_drink_to_whom(smollm2: Any) -> None:
    """Of docs/patching.md: one head moves most, at the last word, by what it takes and not by where it looks."""
    other = DRINK.text.replace("store, John", "store, Mary")
    late = ac.patching(smollm2, DRINK.text, other, layer=23).set_index("head").effect
    assert late.idxmax() == 3 and late[3] == pytest.approx(0.584, abs=0.01)
    where = ac.patching(smollm2, DRINK.text, other, layer=23, head=3, by_position=True).set_index("position").effect
    assert where[13] == pytest.approx(0.552, abs=0.01) and where.drop(13).abs().max() < 0.05
    parts = {
        at: float(ac.patching(smollm2, DRINK.text, other, at=at, layer=23, head=3).effect.iloc[0])
        for at in ("value", "pattern", "query", "key")
    }
    assert parts["value"] == pytest.approx(0.585, abs=0.01)
    assert max(abs(parts[at]) for at in ("pattern", "query", "key")) < 0.07
    looks = ac.patching(smollm2, DRINK.text, other, layer=24, head=4).effect[0]
    assert looks == pytest.approx(-0.250, abs=0.01)  # the head that looks at Mary most works against it


def test_three_heads_share_each_key(smollm2: Any) -> None:
    config = smollm2.hf.config
    assert config.num_attention_heads // config.num_key_value_heads == 3


def test_it_writes_what_the_library_generates(smollm2: Any) -> None:
    ids = smollm2.tokenizer(FRANCE.text).input_ids
    with torch.inference_mode():
        judge = smollm2.hf.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
    written = [drawn.id for drawn in writing.write(smollm2, ids, 12)]
    assert written == judge and smollm2.tokenizer.decode(written).startswith(" Paris.")
    steps = writing.written_steps(ac.trace(smollm2, ids + written).stream(), len(ids))
    assert [step.rank for step in steps] == [1] * 12 and steps[0].guesses[0].word == "Paris"
    assert steps[0].word.probability == pytest.approx(0.773, abs=0.005)
