"""What the ΔE page says of sources, words and pictures, in whole sentences. No Streamlit: numbers in, HTML out."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from attn_core.residual.geometry import Projection
from attn_core.text.numbers import percent, signed_percent, unbroken
from attn_core.traces.reader import Array
from ui import words
from ui.delta_e.token import TokenUpdate
from ui.drawing.markup import tok, token_name
from ui.words import together

WORDS = words.beside(__file__)


def about_sources(update: TokenUpdate, n_drawn: int) -> Markup:
    """The heaviest source beside the one that adds most."""
    found, keys = update.sources, update.reader.key_tokens
    heavy, strong = int(found.weights.argmax()), found.strongest
    name = tok(token_name(keys.labels, heavy), "k")
    weight, share = percent(float(found.weights[heavy])), signed_percent(float(found.shares[heavy]))
    if heavy == strong:
        said = WORDS.html("from.same", heavy=name, weight=weight, share=share)
    else:
        said = WORDS.html(
            "from.other",
            heavy=name,
            weight=weight,
            share=share,
            strong=tok(token_name(keys.labels, strong), "k"),
            most=signed_percent(float(found.shares[strong])),
            strong_weight=percent(float(found.weights[strong])),
        )
    drawn = WORDS.html("from.drawn", drawn=n_drawn, n=len(keys)) if n_drawn < len(keys) else ""
    return unbroken(together(said, drawn))


def about_words(update: TokenUpdate, deviations: Array, chance_level: float) -> Markup:
    """How many of the words that were found stand out of so many."""
    vocabulary, strong = update.trace.vocabulary, int((np.abs(deviations) > chance_level).sum())
    verdict = WORDS.text("writes.verdict", words.how_many(strong), n=strong)
    return together(
        WORDS.html("writes.nearest", n=len(vocabulary.matrix), matrix=vocabulary.kind, verdict=verdict),
        WORDS.html("writes.chance", level=chance_level),
    )


def about_axes(projection: Projection, what: Markup) -> Markup:
    """What is drawn, and how much of the space the axes keep."""
    kept = percent(float(projection.explained.sum()))
    return unbroken(together(what, WORDS.html("arrows.axes", fitted_on=projection.fitted_on, kept=kept)))
