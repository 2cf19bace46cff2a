"""What a row of a pattern says, in one sentence: who asks, where it looks, how strongly.

A sentence is a list of (text, role) pairs, role being "", "query" or "key" (see `text.sentences`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from attn_core.heads import cells, rules
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.text.sentences import Sentence, Slot, Words, filled, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOOKS = "To update {query}, {who} looks at {keys}."
_LOOKS_BESIDES_ITSELF = "To update {query}, {who} looks at {keys}, besides itself ({own})."
_ITSELF = "To update {query}, {who} looks at the {what} itself ({own})."
_ITSELF_AND_NEXT = "To update {query}, {who} looks at the {what} itself ({own}); next comes {next_one}."
_RESTS = "To update {query}, {who} rests on {sink}."
_RESTS_AND_NEXT = "To update {query}, {who} rests on {sink}; next comes {next_one}."
_READING = "To update {query} ({place}), {who} looks at {keys}."
_READING_WITH_REST = "To update {query} ({place}), {who} looks at {keys}, the rest {rest}."
_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def disambiguated_labels(labels: Sequence[str], places: Sequence[int]) -> list[str]:
    """Labels for a sentence: one that occurs more than once carries its position below the line.

    >>> disambiguated_labels(["the", "cat", "the"], [1, 2, 3])
    ['the₁', 'cat', 'the₃']
    """
    often = Counter(labels)
    pairs = zip(labels, places, strict=True)
    return [type(label)(label + str(place).translate(_BELOW)) if often[label] > 1 else label for label, place in pairs]


def lead(
    row: NDArray[np.floating],
    labels: Sequence[str],
    special: Sequence[bool],
    query: int,
    who: str,
    *,
    what: Literal["word", "phrase"] = "word",
) -> Sentence:
    """The headline for one word: its strongest look at other words; row [key] sums to 1.

    `labels` are best disambiguated (see `disambiguated_labels`): two equal words are two words. What rests on special
    tokens or on the word itself is said where it is most of the weight, and never counted as a finding; the word
    itself is named beside the others where none of them gets more. `what` asks: one word, or several as a phrase.
    """
    asks: dict[str, Slot] = {"query": _word(labels, query, "query"), "who": who}
    if not np.isfinite(row).all():
        return filled("All that {who} gives {query} is hidden.", **asks)
    rest = float(row[list(special)].sum()) if any(special) else 0.0
    others = [i for i in np.argsort(-row, kind="stable") if not special[i] and i != query]
    own, next_one = percent(float(row[query])), _list(row, labels, others[:1])
    if row[query] > 0.5 and not special[query]:
        return filled(_ITSELF_AND_NEXT if others else _ITSELF, **asks, what=what, own=own, next_one=next_one)
    if rest > 0.5:
        sink = f"{_names(labels, special)} ({percent(rest)})"
        return filled(_RESTS_AND_NEXT if others else _RESTS, **asks, sink=sink, next_one=next_one)
    beside_itself = others and row[query] >= row[others[0]]
    keys = _list(row, labels, _strong(row, others))
    return filled(_LOOKS_BESIDES_ITSELF if beside_itself else _LOOKS, **asks, keys=keys, own=own)


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
    template = "In {who}, {keys} attends to {query}." if len(others) == 1 else "In {who}, {keys} attend to {query}."
    return filled(template, who=who, keys=_list(row, labels, others), query=_word(labels, query, "query"))


def reading(
    row: NDArray[np.floating], labels: Sequence[str], places: Sequence[int | str], query: int, who: str
) -> Sentence:
    """The whole row read aloud, strongest first, with positions, and what is left as "the rest".

    `places` are the positions that people count, one a label.
    """
    asks: dict[str, Slot] = {"query": _word(labels, query, "query"), "who": who}
    if not np.isfinite(row).all():
        return filled("To update {query}, {who} looks at nothing but what is hidden.", **asks)
    order = [int(i) for i in np.argsort(-row, kind="stable")[:5] if row[i] >= 0.005]
    keys = []
    for i in order:
        weight = percent(float(row[i]))
        key, place = _word(labels, i, "key"), str(places[i])
        keys.append(
            filled("itself {weight}", weight=weight)
            if i == query
            else filled("{key} ({place}) {weight}", key=key, place=place, weight=weight)
        )
    left = 1 - float(row[order].sum())
    slots: dict[str, Slot] = {**asks, "place": str(places[query]), "keys": listed(keys, ", "), "rest": percent(left)}
    return filled(_READING_WITH_REST if left >= 0.005 else _READING, **slots)


def _strong(row: NDArray[np.floating], others: Sequence[int]) -> list[int]:
    """The one or two words worth naming: a second one only if it has at least half the weight of the first."""
    return [int(i) for n, i in enumerate(others[:2]) if n == 0 or row[i] >= 0.5 * row[others[0]]]


def _list(row: NDArray[np.floating], labels: Sequence[str], chosen: Sequence[int]) -> Sentence:
    named = [filled("{key} ({weight})", key=_word(labels, i, "key"), weight=percent(float(row[i]))) for i in chosen]
    return listed(named, " and ") or [("no other word", "")]


def _word(labels: Sequence[str], i: int, role: str) -> Words:
    return visible(labels[i]), role


def _names(labels: Sequence[str], special: Sequence[bool]) -> str:
    names = list(dict.fromkeys(visible(label) for label, rests in zip(labels, special, strict=True) if rests))
    return " and ".join(names[:3])
