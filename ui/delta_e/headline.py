"""The headline of the ΔE page: how far the layer turns the word, which head adds most, and where that came from."""

from __future__ import annotations

import numpy as np

from attn_core.residual import geometry
from attn_core.text.numbers import percent
from attn_core.views.headlines import Sentence
from ui import words
from ui.delta_e.token import TokenUpdate
from ui.drawing import markup, widgets
from ui.drawing.markup import token_name

WORDS = words.beside(__file__)


def lead(update: TokenUpdate) -> None:
    """The headline on screen, and under it how far the numbers are from the model's own."""
    badges = update.page.badges(update.trace)
    widgets.lead(markup.say(headline(update)), f"{badges}{WORDS.html('page.layers', n=update.viewed.n_layers)}")


def headline(update: TokenUpdate) -> Sentence:
    """How far the layer turns the word, which head adds most, and where that came from."""
    turn = float(geometry.angle(update.decomposition.embedding, update.decomposition.next_embedding))
    biggest = int(update.shares.argmax())
    said: Sentence = [(f"Layer {update.layer} turns ", ""), (update.name, "query"), (f" by {turn:.0f}°. ", "")]
    said += [(f"Head {update.layer}.{biggest}", "delta"), (" adds most", "")]
    found = update.sources_of(biggest, update.viewed.stream)
    source = found.strongest
    if np.isfinite(found.shares[source]):
        own = source == update.position and update.reader.name != "cross"
        name = "the word itself" if own else token_name(update.viewed.keys.labels, source)
        amount = _how_much(float(found.shares[source]))
        said += [(f", {amount} of it from ", ""), (name, "" if own else "key")]
    return [*said, (".", "")]


def _how_much(share: float) -> str:
    return "nearly all" if share > 0.95 else percent(share)
