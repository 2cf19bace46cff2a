"""The code of a painting: every one comes back, a slip is told, and it is short."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from ui.predict_first import code
from ui.predict_first.code import MOST, decode, encode


def test_every_painting_of_a_short_sentence_has_a_code_of_its_own_that_gives_it_back() -> None:
    every = [p for size in range(MOST + 1) for p in itertools.combinations(range(9), size)]
    codes = [encode(painting, 9, "head 0.3") for painting in every]
    assert len(set(codes)) == len(every) == 2**9 - 1  # all nine words are one too many
    assert [decode(said, 9, "head 0.3") for said in codes] == every


def test_a_long_sentence_has_a_longer_code_and_comes_back_too() -> None:
    dice = Random(0)
    for n_words in (1, 2, 13, 40, 512):
        for _ in range(50):
            painting = tuple(sorted(dice.sample(range(n_words), dice.randint(0, min(MOST, n_words)))))
            assert decode(encode(painting, n_words, "q"), n_words, "q") == painting
    assert len(encode((), 13, "q").replace("-", "")) == 7
    assert len(encode(tuple(range(504, 512)), 512, "q").replace("-", "")) <= 21


def test_a_code_is_read_as_people_say_it_and_nothing_else_is() -> None:
    said = encode((2, 3), 13, "q")
    for spoken in (said, said.replace("-", " "), said.replace("-", ""), f"  {said} ", said.replace("-", ".")):
        assert decode(spoken, 13, "q") == (2, 3)
    for other in ("", "-", said + "1", said[:-1], "١٢٣٤٥٦٧", "<b>1234567</b>", "12345e7", "9" * 7, "1" * 5000):
        assert decode(other, 13, "q") is None


def test_a_slip_of_one_digit_and_a_code_of_another_question_are_told() -> None:
    digits = encode((2, 3), 13, "q").replace("-", "")
    slips = [digits[:i] + d + digits[i + 1 :] for i in range(len(digits)) for d in "0123456789" if d != digits[i]]
    swaps = [digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :] for i in range(len(digits) - 1)]
    assert [s for s in {*slips, *swaps} - {digits} if decode(s, 13, "q") is not None] == []
    others = [f"another question {i}" for i in range(300)]
    assert sum(decode(digits, 13, question) is not None for question in others) <= 3


@pytest.mark.parametrize("wrong", [(3, 2), (2, 2), (13,), (-1,), tuple(range(9))])
def test_what_is_no_painting_has_no_code(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="up to 8 of 13 words"):
        encode(wrong, 13, "q")


def test_a_place_beyond_the_last_painting_is_none() -> None:
    place = "9999"
    assert decode(place + code._check(place, "q"), 13, "q") is None
