"""Sets of words, for rules of one's own: some words, a regular expression, some labels, or any word.

he she it            these words, whatever their case
/[A-Z].*/            a regular expression, for a whole word
label:NOUN PROPN     words with one of these labels, which come beside the sentence
*                    any word
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from attn_core.errors import HeadlightError

LONGEST = 200  # characters of a regular expression
MOST_COPIES = 1_000  # of a part of one: "(a{99}){99}" is written out 9,801 times when it is compiled
_RECURSIVE = regex.compile(r"\(\?(?:R|&|P>|[+-]?\d)")
ONE_WORD, ALL_WORDS = 0.05, 2.0  # seconds that a regular expression may take
MOST_KNOWN = 50_000  # words whose answer is kept


@dataclass(frozen=True)
class WordSet:
    """Which words: `kind` is "words", "pattern", "labels" or "any", and `said` what was written for it.

    Raises ValueError for an expression that is none. Matching raises HeadlightError for one that takes too long.
    """

    kind: str
    said: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> WordSet:
        """
        >>> WordSet.parse("he She").said, WordSet.parse("label:NOUN"), WordSet.parse("*").kind
        (('he', 'she'), WordSet(kind='labels', said=('NOUN',)), 'any')
        """
        text = text.strip()
        if text in ("*", ""):
            return cls("any")
        if len(text) > 2 and text[0] == text[-1] == "/":
            return cls("pattern", (text[1:-1],))
        kind, rest = ("labels", text[6:]) if text.startswith("label:") else ("words", text.casefold())
        if not rest.split():
            raise ValueError("write one label or several after label:")
        return cls(kind, tuple(rest.split()))

    def __post_init__(self) -> None:
        if self.kind == "pattern":
            _check_pattern(self.said[0])

    def __str__(self) -> str:
        match self.kind:
            case "pattern":
                return f"/{self.said[0]}/"
            case "labels":
                return f"label:{' '.join(self.said)}"
            case "words":
                return " ".join(self.said)
        return "*"

    def members(self, words: Sequence[str], labels: Sequence[str] | None, matching: Matching) -> list[bool]:
        """Which of a sentence's words are in it; `labels` has one for each word, or is None where there are none."""
        match self.kind:
            case "words":
                return [word.casefold() in self.said for word in words]
            case "labels":
                return [False] * len(words) if labels is None else [label in self.said for label in labels]
            case "pattern":
                return [matching.fits(self.said[0], word) for word in words]
        return [True] * len(words)


def _check_pattern(pattern: str) -> None:
    if len(pattern) > LONGEST:
        raise ValueError(f"a regular expression has at most {LONGEST} characters here")
    if _copies(pattern) > MOST_COPIES or _RECURSIVE.search(pattern):
        raise ValueError("this regular expression repeats too much: take smaller numbers in braces, and no recursion")
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"/{pattern}/ is no regular expression: {error}") from None


def _copies(pattern: str) -> int:
    """At most how often a part of an expression is written out: the product of all numbers in braces.

    >>> _copies("a{2,3}(b{4})+"), _copies("a{9 # nine")
    (12, 1001)
    """
    counts = regex.findall(r"\{([^}]*)", pattern)
    if counts and "#" in pattern:  # a comment may stand between two digits
        return MOST_COPIES + 1
    digits = (regex.sub(r"\D", "", part) for each in counts for part in each.split(",")[-1:])
    return math.prod(max(1, int(each or 1)) for each in digits)


class Matching:
    """Asks regular expressions about words, each word once, within a bounded time: some patterns take for ever."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bool] = {}
        self._seconds = 0.0

    def fits(self, pattern: str, word: str) -> bool:
        key = (pattern, word)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._ask(pattern, word)
        return self._known[key]

    def _ask(self, pattern: str, word: str) -> bool:
        begun = time.perf_counter()
        try:
            found = regex.fullmatch(pattern, word, timeout=ONE_WORD) is not None
        except TimeoutError:
            found, self._seconds = False, ALL_WORDS
        self._seconds += time.perf_counter() - begun
        if self._seconds >= ALL_WORDS:
            raise HeadlightError(f"The regular expression /{pattern}/ takes too long: write a simpler one.")
        return found
