"""What a row says: the right words, the right weights, and never a resting place sold as a finding."""

import numpy as np

from attn_core.views import headlines

LABELS = ["[CLS]", "a", "fluffy", "blue", "creature", "[SEP]"]
SPECIAL = [True, False, False, False, False, True]
PLACES = [0, 1, 2, 3, 4, 5]


def said(sentence: headlines.Sentence) -> str:
    return "".join(text for text, _ in sentence)


def lead(*row: float) -> str:
    return said(headlines.lead(np.array(row), LABELS, SPECIAL, 4, "head 0.3"))


def test_it_names_the_one_or_two_words_that_matter() -> None:
    assert (
        lead(0.1, 0.1, 0.4, 0.3, 0.05, 0.05) == "To update creature, head 0.3 looks at fluffy (40 %) and blue (30 %)."
    )
    assert lead(0.1, 0.1, 0.5, 0.2, 0.05, 0.05) == "To update creature, head 0.3 looks at fluffy (50 %)."


def test_rest_and_self_are_said_as_such() -> None:
    assert lead(0.5, 0, 0.2, 0.1, 0.1, 0.1) == (
        "To update creature, head 0.3 rests on [CLS] and [SEP] (60 %); next comes fluffy (20 %)."
    )
    assert lead(0.1, 0.05, 0.2, 0, 0.65, 0) == (
        "To update creature, head 0.3 looks at the word itself (65 %); next comes fluffy (20 %)."
    )


def test_the_word_itself_is_named_where_no_other_gets_more() -> None:
    """So that the headline and the sentence that reads the row aloud agree."""
    assert lead(0.1, 0.1, 0.2, 0.15, 0.2, 0.05) == (
        "To update creature, head 0.3 looks at fluffy (20 %) and blue (15 %), besides itself (20 %)."
    )
    assert "itself" not in lead(0.1, 0.1, 0.3, 0.15, 0.25, 0.05)


def test_two_equal_words_are_told_apart_by_where_they_stand() -> None:
    labels = headlines.disambiguated_labels(["the", "old", "the", "the"], [1, 2, 3, 14])
    row = np.array([0.3, 0.1, 0.2, 0.4])
    assert said(headlines.lead(row, labels, [False] * 4, 2, "head 0.3")) == (
        "To update the₃, head 0.3 looks at the₁₄ (40 %) and the₁ (30 %)."
    )


def test_a_word_that_occurs_twice_carries_its_position_and_one_that_does_not_stays_plain() -> None:
    assert headlines.disambiguated_labels(["the", "cat", "the"], [1, 2, 13]) == ["the₁", "cat", "the₁₃"]


def test_a_row_that_is_hidden_says_so() -> None:
    hidden = np.full(6, np.nan)
    assert "is hidden" in said(headlines.lead(hidden, LABELS, SPECIAL, 4, "head 0.3"))
    assert "what is hidden" in said(headlines.reading(hidden, LABELS, PLACES, 4, "head 0.3"))


def test_a_word_alone_has_nowhere_else_to_look() -> None:
    alone = said(headlines.lead(np.array([1.0]), ["hi"], [False], 0, "head 0.0"))
    assert alone == "To update hi, head 0.0 looks at the word itself (100 %)."
    phrase = said(headlines.lead(np.array([0.7, 0.3]), ["hi-there", "you"], [False] * 2, 0, "head 0.0", what="phrase"))
    assert phrase == "To update hi-there, head 0.0 looks at the phrase itself (70 %); next comes you (30 %)."


def test_roles_are_beside_the_words_and_never_in_the_text() -> None:
    labels = ["<b>", "x"]
    sentence = headlines.lead(np.array([0.4, 0.6]), labels, [False, False], 0, "head 0.0")
    assert ("<b>", "query") in sentence and ("x", "key") in sentence


def test_reading_adds_up() -> None:
    row = np.array([0.021, 0.2, 0.3, 0.25, 0.129, 0.1])
    text = said(headlines.reading(row, LABELS, [0, 1, 2, 3, 40, 5], 4, "head 0.3"))
    assert text == (
        "To update creature (40), head 0.3 looks at fluffy (2) 30 %, blue (3) 25 %, a (1) 20 %, itself 13 %, "
        "[SEP] (5) 10 %, the rest 2.1 %."
    )


def test_the_lesson_turns_the_sentence_and_no_number() -> None:
    row = np.array([0.1, 0.1, 0.4, 0.3, 0.05, 0.05])
    assert said(headlines.lesson(row, LABELS, SPECIAL, 4, "head 0.3")) == (
        "In head 0.3, fluffy (40 %) and blue (30 %) attend to creature."
    )
    one = np.array([0.1, 0.1, 0.6, 0.1, 0.05, 0.05])
    assert " attends to " in said(headlines.lesson(one, LABELS, SPECIAL, 4, "head 0.3"))


def test_a_constant_look_needs_nearly_all_of_the_weight() -> None:
    may_look, sink = np.ones((5, 5), bool), np.zeros(5, bool)
    back = np.roll(np.eye(5), -1, axis=1)
    assert headlines.constant_look(back, may_look, sink) == "looks one token back, almost always"
    assert (
        headlines.constant_look(np.roll(np.eye(5), 1, axis=1), may_look, sink) == "looks one token ahead, almost always"
    )
    assert headlines.constant_look(np.full((5, 5), 0.2), may_look, sink) == ""
    blurred = 0.85 * back + 0.15 * np.full((5, 5), 0.2)
    assert headlines.constant_look(blurred, may_look, sink) == "looks one token back, mostly"
