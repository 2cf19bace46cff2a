"""The headline of the ΔE page: how far the layer turns the word, which head adds most, and where that came from."""

from __future__ import annotations

import numpy as np

from attn_core.residual import geometry
from attn_core.text.numbers import percent
from attn_core.text.sentences import Sentence
from ui import words
from ui.delta_e.token import TokenUpdate
from ui.drawing import markup, widgets
from ui.drawing.markup import token_name
from ui.server import derived

WORDS = words.beside(__file__)


def lead(update: TokenUpdate) -> None:
    """The headline on screen, and under it how far the numbers are from the model's own."""
    badges = update.page.badges(update.trace, derived=[derived.near_words(update.viewed.model)])
    widgets.lead(markup.say(headline(update)), f"{badges}{WORDS.html('page.layers', n=update.viewed.n_layers)}")


def headline(update: TokenUpdate) -> Sentence:
    """How far the layer turns the word, which head adds most, and where that came from."""
    turn = float(geometry.angle(update.decomposition.embedding, update.decomposition.next_embedding))
    biggest = int(update.shares.argmax())
    found = update.sources_of(biggest, update.viewed.stream)
    source = found.strongest
    share, itself = float(found.shares[source]), source == update.position and update.reader.name != "cross"
    which = "turns" if not np.isfinite(share) else "from_itself" if itself else "from_key"
    return WORDS.parts(
        "lead",
        which,
        layer=str(update.layer),
        word=(update.name, "query"),
        turn=f"{turn:.0f}",
        head=(WORDS.text("lead_head", layer=update.layer, head=biggest), "delta"),
        amount=WORDS.text("nearly_all") if share > 0.95 else percent(share),
        key=(token_name(update.viewed.keys.labels, source), "key"),
    )
