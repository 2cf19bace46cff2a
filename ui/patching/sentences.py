"""What the page Patching says of its numbers: the headline, and how a part is named. No Streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from attn_core.text.decoding import visible
from attn_core.text.numbers import whole_percent
from ui import words
from ui.drawing import markup

if TYPE_CHECKING:
    import pandas as pd

    from ui.patching.asked import Answers, Asked

WORDS = words.beside(__file__)
LITTLE = 0.1  # of the difference; what moves less carries hardly any of it
Head = tuple[int, int]


def effects(table: pd.DataFrame, **sizes: int) -> np.ndarray:
    """The effects as an array whose axes are columns, each with its size; NaN where the table has none."""
    values = np.full(tuple(sizes.values()), np.nan)
    values[tuple(table[column].astype(int) for column in sizes)] = table["effect"]
    return values


def strongest(values: np.ndarray, later_than: int = -1) -> Head | None:
    """The head with the largest effect, of the layers after one; None where there is none."""
    open_to = np.where(np.arange(len(values))[:, None] > later_than, values, np.nan)
    if np.isnan(open_to).all():
        return None
    layer, head = np.unravel_index(np.nanargmax(open_to), values.shape)
    return int(layer), int(head)


def headline(
    asked: Asked, answers: Answers, part: str, table: pd.DataFrame | None, values: np.ndarray | None
) -> Markup:
    """Which head carries the difference, as HTML."""
    if _alike(asked, answers):
        return WORDS.html("lead.alike")
    best = None if values is None else strongest(values)
    if table is None or values is None or best is None:
        return WORDS.html("lead.question")
    what, head, share = WORDS.text("lead.what", part), named(best), whole_percent(float(values[best]))
    way, mean = asked.direction, _mean(asked, table)
    if values[best] < LITTLE:
        return WORDS.html("lead.nobody", way, what=what, head=head, share=share, mean=mean)
    end = moved(asked, answers)
    return WORDS.html("lead.best", way, what=what, head=head, share=share, end=end, mean=mean)


def word_headline(asked: Asked, answers: Answers, tensor: str, table: pd.DataFrame | None, labels: list[str]) -> Markup:
    """At which word of which layer the difference is carried, as HTML."""
    if _alike(asked, answers):
        return WORDS.html("lead.alike")
    if table is None or table["effect"].isna().all():
        return WORDS.html("lead.question")
    best = table.loc[table["effect"].idxmax()]
    word = markup.query(visible(labels[int(best["position"])]))
    what = WORDS.text("lead.tensor", tensor, layer=int(best["layer"]))
    end, mean = moved(asked, answers), _mean(asked, table)
    moves = whole_percent(float(best["effect"]))
    return WORDS.html("lead.best_word", asked.direction, what=what, word=word, share=moves, end=end, mean=mean)


def at_best_word(values: np.ndarray) -> np.ndarray:
    """What each head moves at the word where it moves most: [layer, head, position] → [layer, head]."""
    best: np.ndarray = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    return np.where(np.isinf(best), np.nan, best)


def most_moving(values: np.ndarray, count: int) -> list[Head]:
    """The heads that move most at some word, whatever the sign, in the order of the layers."""
    size = np.nan_to_num(np.abs(values)).max(axis=-1)  # [layer, head]
    places = np.argsort(-size, axis=None, kind="stable")[:count]
    return [(int(place) // size.shape[1], int(place) % size.shape[1]) for place in sorted(places)]


def head_word_headline(
    asked: Asked, answers: Answers, part: str, table: pd.DataFrame | None, labels: list[str]
) -> Markup:
    """Which head carries the difference, and at which word, as HTML."""
    if _alike(asked, answers):
        return WORDS.html("lead.alike")
    if table is None or table["effect"].isna().all():
        return WORDS.html("lead.question")
    best = table.loc[table["effect"].idxmax()]
    word, what = markup.query(visible(labels[int(best["position"])])), WORDS.text("lead.what", part)
    moves, head = float(best["effect"]), named((int(best["layer"]), int(best["head"])))
    way, share, mean, end = asked.direction, whole_percent(moves), _mean(asked, table), moved(asked, answers)
    if moves < LITTLE:
        return WORDS.html("lead.nobody_anywhere", way, what=what, word=word, head=head, share=share, mean=mean)
    return WORDS.html("lead.best_head_word", way, what=what, word=word, head=head, share=share, end=end, mean=mean)


def _alike(asked: Asked, answers: Answers) -> bool:
    """Whether there is nothing to share out; of several pairs, the table says which of them answer alike."""
    return bool(answers.alike) and not asked.more


def _mean(asked: Asked, table: pd.DataFrame) -> Markup:
    """Over how many pairs a number is the mean, as the end of a sentence; nothing for one pair."""
    if not asked.more:
        return Markup()
    n = int(table["n"].iloc[0])
    return WORDS.html("lead.mean", "several" if n > 1 else "one", n=n)


def moved(asked: Asked, answers: Answers) -> Markup:
    """From where to where the answer moves, as HTML; nothing for several pairs, which have answers of their own."""
    if asked.more:
        return Markup()
    if answers.words is None:
        return WORDS.html("lead.end.target") if asked.target is not None else WORDS.html("lead.end.vector")
    first, second = (markup.tok(visible(word)) for word in answers.words)
    return WORDS.html("lead.end.words", first=first, other=second)


def named(head: Head) -> str:
    """ "0.3"."""
    return f"{head[0]}.{head[1]}"


def texts(values: np.ndarray) -> list[list[str]]:
    """A map's numbers as they are read, [layer][head]."""
    return [[whole_percent(value) for value in row] for row in values]


def with_intervals(table: pd.DataFrame) -> list[str]:
    """Each effect as it is read, over several pairs with half its 95 % interval: "95 % ± 3 %"."""
    effects = [whole_percent(effect) for effect in table["effect"]]
    if "high" not in table or table["high"].isna().all():
        return effects
    halves = table["high"] - table["effect"]
    return [f"{effect} ± {whole_percent(half)}" for effect, half in zip(effects, halves, strict=True)]


def path_reading(asked: Asked, table: pd.DataFrame, best: Head, moves: float, head: str, through: str) -> Markup:
    """What the map of paths says, as HTML."""
    way, mean, share = WORDS.text("through", through), _mean(asked, table), whole_percent(moves)
    if abs(moves) < LITTLE:
        return WORDS.html("paths.nobody", head=head, through=way, mean=mean)
    return WORDS.html("paths.best", head=head, through=way, sender=named(best), share=share, mean=mean)


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """A table by the size of its effect, the largest first; columns that say nothing here are left out."""
    order = table["effect"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].dropna(axis=1, how="all").reset_index(drop=True)
