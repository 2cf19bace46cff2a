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


def headline(asked: Asked, answers: Answers, part: str, values: np.ndarray | None) -> Markup:
    """Which head carries the difference, as HTML."""
    if answers.alike:
        return WORDS.html("lead.alike")
    best = None if values is None else strongest(values)
    if values is None or best is None:
        return WORDS.html("lead.question")
    moves = float(values[best])
    what = WORDS.text("lead.what", part)
    if moves < LITTLE:
        return WORDS.html("lead.nobody", asked.direction, what=what, head=named(best), share=whole_percent(moves))
    end = moved(asked, answers)
    return WORDS.html("lead.best", asked.direction, what=what, head=named(best), share=whole_percent(moves), end=end)


def word_headline(asked: Asked, answers: Answers, tensor: str, table: pd.DataFrame | None, labels: list[str]) -> Markup:
    """At which word of which layer the difference is carried, as HTML."""
    if answers.alike:
        return WORDS.html("lead.alike")
    if table is None or table["effect"].isna().all():
        return WORDS.html("lead.question")
    best = table.loc[table["effect"].idxmax()]
    word = markup.query(visible(labels[int(best["position"])]))
    what = WORDS.text("lead.tensor", tensor, layer=int(best["layer"]))
    end = moved(asked, answers)
    moves = whole_percent(float(best["effect"]))
    return WORDS.html("lead.best_word", asked.direction, what=what, word=word, share=moves, end=end)


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
    if answers.alike:
        return WORDS.html("lead.alike")
    if table is None or table["effect"].isna().all():
        return WORDS.html("lead.question")
    best = table.loc[table["effect"].idxmax()]
    word, what = markup.query(visible(labels[int(best["position"])])), WORDS.text("lead.what", part)
    moves, head = float(best["effect"]), named((int(best["layer"]), int(best["head"])))
    if moves < LITTLE:
        return WORDS.html(
            "lead.nobody_anywhere", asked.direction, what=what, word=word, head=head, share=whole_percent(moves)
        )
    end = moved(asked, answers)
    return WORDS.html(
        "lead.best_head_word", asked.direction, what=what, word=word, head=head, share=whole_percent(moves), end=end
    )


def moved(asked: Asked, answers: Answers) -> Markup:
    """From where to where the answer moves, as HTML."""
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


def path_reading(best: Head, moves: float, head: str, through: str) -> Markup:
    """What the map of paths says, as HTML."""
    if abs(moves) < LITTLE:
        return WORDS.html("paths.nobody", head=head, through=WORDS.text("through", through))
    return WORDS.html(
        "paths.best", head=head, through=WORDS.text("through", through), sender=named(best), share=whole_percent(moves)
    )


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """A table by the size of its effect, the largest first; columns that say nothing here are left out."""
    order = table["effect"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].dropna(axis=1, how="all").reset_index(drop=True)
