"""A painting as a short code: digits to read out, with a check of what they are of. No Streamlit, and nothing stored.

    encode((1, 4), 13, "head 0.3 …")      # '002-691-0' or so: seven digits for a sentence of thirteen words
    decode("002 6910", 13, "head 0.3 …")  # (1, 4)

The first digits are the place of the set of words among all sets of up to `MOST` words, in the order of their size and
then of their words; the last three follow from them and from the question, so that a slip of the tongue, and a code of
another question, are told from a painting in 999 of 1,000 cases.
"""

from __future__ import annotations

import hashlib
from itertools import count
from math import comb

MOST = 8  # words that a painting may have
CHECK = 3  # digits
_BETWEEN = str.maketrans("", "", " -.\t")
Painting = tuple[int, ...]  # places of words, each once and in order


def encode(painting: Painting, n_words: int, question: str) -> str:
    """The code of a painting of `n_words` words, in groups of three digits."""
    if len(painting) > MOST or list(painting) != sorted(set(painting)) or not set(painting) <= set(range(n_words)):
        raise ValueError(f"{painting} are not up to {MOST} of {n_words} words, each once and in order")
    digits = f"{_place_of(painting, n_words):0{_length(n_words)}d}"
    digits += _check(digits, question)
    return "-".join(digits[start : start + 3] for start in range(0, len(digits), 3))


def decode(said: str, n_words: int, question: str) -> Painting | None:
    """The painting of a code, None where it is none of this question; between digits may stand blanks and hyphens."""
    digits = said.translate(_BETWEEN)
    if not digits.isascii() or not digits.isdigit() or len(digits) != _length(n_words) + CHECK:
        return None
    place, check = digits[:-CHECK], digits[-CHECK:]
    if check != _check(place, question) or int(place) >= _paintings(n_words):
        return None
    return _painting_at(int(place), n_words)


def _paintings(n_words: int) -> int:
    """How many paintings there are."""
    return sum(comb(n_words, size) for size in range(MOST + 1))


def _length(n_words: int) -> int:
    """How many digits say which painting it is."""
    return len(str(_paintings(n_words) - 1))


def _check(digits: str, question: str) -> str:
    found = int.from_bytes(hashlib.sha256(f"{digits} {question}".encode()).digest())
    return f"{found % 10**CHECK:0{CHECK}d}"


def _place_of(painting: Painting, n_words: int) -> int:
    """The place of a painting among all: smaller ones first, those of one size by their words, the last word first."""
    smaller = sum(comb(n_words, size) for size in range(len(painting)))
    return smaller + sum(comb(word, i) for i, word in enumerate(painting, start=1))


def _painting_at(place: int, n_words: int) -> Painting:
    size = 0
    while place >= comb(n_words, size):
        place, size = place - comb(n_words, size), size + 1
    words: list[int] = []
    for i in range(size, 0, -1):  # the largest word of which C(word, i) sets come before this one
        word = next(each for each in count(i - 1) if comb(each + 1, i) > place)
        place -= comb(word, i)
        words.insert(0, word)
    return tuple(words)
