"""What a row of a pattern says, in one sentence: who asks, where it looks, how strongly.

A sentence is a list of (text, role) pairs, role being "", "query" or "key": pages colour the roles, and nothing that a
visitor typed is ever glued into markup here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attn_core.heads import cells, rules
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sentence = list[tuple[str, str]]
_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def disambiguated_labels(labels: Sequence[str], places: Sequence[int]) -> list[str]:
    """Labels for a sentence: one that occurs more than once carries its position below the line.

    >>> disambiguated_labels(["the", "cat", "the"], [1, 2, 3])
    ['the₁', 'cat', 'the₃']
    """
    often = Counter(labels)
    pairs = zip(labels, places, strict=True)
    return [label + (str(place).translate(_BELOW) if often[label] > 1 else "") for label, place in pairs]


def lead(row: NDArray[np.floating], labels: Sequence[str], special: Sequence[bool], query: int, who: str) -> Sentence:
    """The headline for one word: its strongest look at other words; row [key] sums to 1.

    `labels` are best disambiguated (see `disambiguated_labels`): two equal words are two words. What rests on special
    tokens or on the word itself is said where it is most of the weight, and never counted as a finding; the word
    itself is named beside the others where none of them gets more.
    """
    if not np.isfinite(row).all():
        return [("All that ", ""), (who, ""), (" gives ", ""), _word(labels, query, "query"), (" is hidden.", "")]
    rest = float(row[list(special)].sum()) if any(special) else 0.0
    others = [i for i in np.argsort(-row, kind="stable") if not special[i] and i != query]
    start: Sentence = [("To update ", ""), _word(labels, query, "query"), (f", {who} ", "")]
    if row[query] > 0.5 and not special[query]:
        start.append((f"looks at the word itself ({percent(float(row[query]))})", ""))
    elif rest > 0.5:
        start.append((f"rests on {_names(labels, special)} ({percent(rest)})", ""))
    else:
        return [*start, ("looks at ", ""), *_list(row, labels, _strong(row, others)), *_besides(row, query, others)]
    return (
        [*start, ("; next comes ", ""), *_list(row, labels, others[:1]), (".", "")] if others else [*start, (".", "")]
    )


def _besides(row: NDArray[np.floating], query: int, others: Sequence[int]) -> Sentence:
    """The end of a headline, with the word itself where it gets at least as much as the strongest other."""
    if others and row[query] >= row[others[0]]:
        return [(f", besides itself ({percent(float(row[query]))}).", "")]
    return [(".", "")]


def constant_look(pattern: NDArray[np.floating], may_look: NDArray[np.bool_], sink: NDArray[np.bool_]) -> str:
    """What a head does whatever the words are, if it nearly always does: "looks one token back", or ""."""
    for offset, meaning in (
        (-1, "looks one token back"),
        (1, "looks one token ahead"),
        (0, "looks at the token itself"),
    ):
        rule = cells.offset_cells(pattern.shape[0], pattern.shape[1], offset)
        share = float(rules.score_rule(pattern[None], rule, may_look, sink).share[0])
        if share >= 0.8:
            return f"{meaning}, {'almost always' if share >= 0.95 else 'mostly'}"
    return ""


def lesson(row: NDArray[np.floating], labels: Sequence[str], special: Sequence[bool], query: int, who: str) -> Sentence:
    """The same finding as the lesson words it, where the answer "attends to" the one that asks."""
    others = _strong(row, [i for i in np.argsort(-row, kind="stable") if not special[i] and i != query])
    verb = " attends to " if len(others) == 1 else " attend to "
    return [(f"In {who}, ", ""), *_list(row, labels, others), (verb, ""), _word(labels, query, "query"), (".", "")]


def reading(row: NDArray[np.floating], labels: Sequence[str], places: Sequence[int], query: int, who: str) -> Sentence:
    """The whole row read aloud, strongest first, with positions, and what is left as "the rest".

    `places` are the positions that people count, one a label.
    """
    if not np.isfinite(row).all():
        return [
            ("To update ", ""),
            _word(labels, query, "query"),
            (f", {who} looks at nothing but what is hidden.", ""),
        ]
    order = [int(i) for i in np.argsort(-row, kind="stable")[:5] if row[i] >= 0.005]
    said: Sentence = [("To update ", ""), _word(labels, query, "query"), (f" ({places[query]}), {who} looks at ", "")]
    for n, i in enumerate(order):
        name = ("itself", "") if i == query else _word(labels, i, "key")
        where = "" if i == query else f" ({places[i]})"
        said += [(", " if n else "", ""), name, (f"{where} {percent(float(row[i]))}", "")]
    left = 1 - float(row[order].sum())
    return [*said, (f", the rest {percent(left)}.", "") if left >= 0.005 else (".", "")]


def _strong(row: NDArray[np.floating], others: Sequence[int]) -> list[int]:
    """The one or two words worth naming: a second one only if it has at least half the weight of the first."""
    return [int(i) for n, i in enumerate(others[:2]) if n == 0 or row[i] >= 0.5 * row[others[0]]]


def _list(row: NDArray[np.floating], labels: Sequence[str], chosen: Sequence[int]) -> Sentence:
    said: Sentence = []
    for n, i in enumerate(chosen):
        said += [(" and " if n else "", ""), _word(labels, i, "key"), (f" ({percent(float(row[i]))})", "")]
    return said or [("no other word", "")]


def _word(labels: Sequence[str], i: int, role: str) -> tuple[str, str]:
    return visible(labels[i]), role


def _names(labels: Sequence[str], special: Sequence[bool]) -> str:
    names = list(dict.fromkeys(visible(label) for label, rests in zip(labels, special, strict=True) if rests))
    return " and ".join(names[:3])
