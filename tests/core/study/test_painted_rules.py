"""Rules of one's own: which words, which cells between them, and the share of a head's weight on those."""

from __future__ import annotations

import random

import numpy as np
import pytest

import attn_core as ac
from attn_core.heads.sink import sink_of
from attn_core.study import PaintedRule
from attn_core.study.painted_rules import labels_of_words, spoken_words
from attn_core.study.run import run_study
from attn_core.study.word_sets import Matching, WordSet

TEXT = "The keys fell because they were heavy, said Anna."
LABELS = "DET NOUN VERB SCONJ PRON AUX ADJ VERB PROPN".split()  # noqa: SIM905  # one a word between blanks


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("minilm")


def cells_of(rule: str, words: str) -> list[tuple[int, int]]:
    """The (query, key) words of a rule in some words."""
    own, said = PaintedRule.parse(rule), words.split()
    matching = Matching()
    found = own.word_cells(own.queries.members(said, None, matching), own.keys.members(said, None, matching))
    return [(int(query), int(key)) for query, key in np.argwhere(found)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("c -> a b", [(2, 0), (2, 1), (2, 3), (2, 4)]),
        ("c -> a b, before", [(2, 0), (2, 1)]),
        ("c -> a b, nearest before", [(2, 1)]),
        ("c -> a b, after", [(2, 3), (2, 4)]),
        ("c -> b, nearest after", [(2, 4)]),
        ("* -> *, -1", [(1, 0), (2, 1), (3, 2), (4, 3)]),
        ("* -> a, -3..-2", [(2, 0), (3, 0)]),
        ("/[bc]/ -> *, 0", [(1, 1), (2, 2), (4, 4)]),
        ("/[^ab]/ -> /a|b/, nearest before", [(2, 1)]),
        ("a -> c, nearest before", [(3, 2)]),
    ],
)
def test_the_cells_of_a_rule_between_words(rule: str, expected: list[tuple[int, int]]) -> None:
    assert cells_of(rule, "a b c a b") == expected


def test_a_rule_reads_as_it_is_written() -> None:
    rule = PaintedRule.parse("pronouns = he SHE it -> label:NOUN PROPN, nearest before")
    assert rule == PaintedRule(
        "pronouns", WordSet("words", ("he", "she", "it")), WordSet("labels", ("NOUN", "PROPN")), "nearest before"
    )
    for text in ("a b -> *, -2", "n = /x,y->z/ -> /[a,b]+/, after", "* -> label:X, anywhere"):
        rule = PaintedRule.parse(text)
        assert PaintedRule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("he she", "is no rule"),
        ("he -> she, beside", "'beside' is no place; it can be anywhere, before"),
        ("he -> /(/", "is no regular expression"),
        ("he -> label: ", "write one label"),
        (f"he -> /{'a' * 201}/", "at most 200 characters"),
        ("he -> /((a{99}){99}){99}/", "repeats too much"),
        ("he -> /(?x)((a{9 9}){9#\n9}){99}/", "repeats too much"),
        ("he -> /(?R)?a/", "repeats too much"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PaintedRule.parse(text)


@pytest.mark.parametrize("pattern", ["(a|aa)+$c", "([a-z]|a)*[0-9]"])
def test_an_expression_that_takes_for_ever_is_ended(pattern: str) -> None:
    with pytest.raises(ac.HeadlightError, match="takes too long"):
        Matching().fits(pattern, "a" * 40 + "!")


def test_labels_find_their_words() -> None:
    words = ["the", "dog", "'", "s", "tail", "."]
    assert labels_of_words(words, "The dog's tail.", ["DET", "NOUN", "TAIL"]) == ["DET", *["NOUN"] * 3, "TAIL", "TAIL"]
    assert labels_of_words(words, "The dog's tail.", list("abcdef")) == list("abcdef")
    assert labels_of_words(words, "The dog's tail.", ["DET", "NOUN"]) is None
    assert labels_of_words(["a", "b"], "a bc", ["X", "Y", "Z"]) is None
    assert labels_of_words(words, "The dog's tail.", []) is None


def test_from_a_pronoun_to_the_noun_before_it_by_hand(model: ac.Model) -> None:
    """The weight of "they" on "keys", of what it puts outside [CLS] and [SEP]."""
    texts = [TEXT, "nothing here"]
    rule = "it = label:PRON -> label:NOUN PROPN, nearest before"
    result = run_study(model, texts, measures=[], rules=[rule], labels=[LABELS, ["PRON", "ADV"]])
    trace = ac.trace(model, TEXT)
    query, key = (trace.tokens.labels.index(word) for word in ("they", "keys"))
    free = ~sink_of(trace.stream())
    for layer, head in ((0, 3), (3, 1), (5, 11)):
        row = trace.pattern(layer, head)[query]
        found = result.values(layer, head, "it")
        assert found.row.tolist() == [0]  # the other sentence has no such cell
        assert found.value[0] == pytest.approx(row[key] / row[free].sum(), abs=1e-6)
    assert (result.frame().n == 1).all()
    by_words = run_study(model, texts, measures=[], rules=["it = they -> /key.*/, before"])
    np.testing.assert_allclose(by_words.frame()["mean"], result.frame()["mean"], atol=1e-7)


def test_pieces_of_a_word_ask_and_answer_together(model: ac.Model) -> None:
    trace = ac.trace(model, "the creature roamed zorplingly")
    assert spoken_words(trace.tokens) == ["the", "creature", "roamed", "zorplingly"]
    pieces = [i for i, word in enumerate(trace.tokens.words) if word == 3]
    asked = next(i for i, word in enumerate(trace.tokens.words) if word == 1)
    assert len(pieces) > 1
    result = run_study(
        model, ["the creature roamed zorplingly", "a b"], measures=[], rules=["x = creature -> zorplingly"]
    )
    row = trace.pattern(2, 4)[asked]
    expected = row[pieces].sum() / row[~sink_of(trace.stream())].sum()
    assert result.values(2, 4, "x").value[0] == pytest.approx(expected, abs=1e-6)


def test_a_distance_of_one_word_back_is_the_rule_of_find_heads() -> None:
    """The tiny decoder's tokens are words, so "previous token" and "one word back" are one rule."""
    model, chosen = ac.load("tiny-decoder"), random.Random(0)
    texts = [" ".join(chosen.choices(["the", "blue", "creature", "ate", "slept"], k=6)) for _ in range(5)]
    frame = run_study(model, texts, measures=["previous"], rules=["back = * -> *, -1"]).frame()
    by_measure = {name: own["mean"].to_numpy() for name, own in frame.groupby("measure")}
    np.testing.assert_allclose(by_measure["back"], by_measure["previous"], atol=1e-6)


def test_between_two_sentences_nothing_stands_before() -> None:
    translator = ac.load("tiny-translator")
    pairs = [("the cat sleeps", "le chat dort"), ("the cat", "le chat")]
    result = run_study(translator, pairs, measures=[], rules=["a = chat -> cat", "b = * -> *, before"])
    frame = result.frame()
    cross = frame[frame.stream == "cross"].groupby("measure").n.max()
    assert (cross["a"], cross["b"]) == (2, 0)
    assert frame[(frame.stream == "encoder") & (frame.measure == "b")].n.eq(2).all()
