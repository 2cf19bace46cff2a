"""The flow that the page's link asks for, and all that is said of it: shares, a headline, a table. No Streamlit.

asked.shares["alti"]                   # what every word, the bias (and the MLPs) have of what is on top
asked.headline(), asked.table()        # in words, and as a table; `flow_picture` says what is drawn
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.circuits.flow import FLOW_MEASURES, Flow, disagreement, layer_edges
from attn_core.circuits.logit_flow import LogitFlow, LogitTop, logit_top
from attn_core.circuits.writers.layer_parts import LayerParts
from attn_core.errors import HeadlightError
from attn_core.prediction.next_token import TokenPrediction, next_words, predicts
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from attn_core.tolerances import SMALLEST
from attn_core.traces.block import BlockKind
from ui import words
from ui.drawing import markup
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace
    from ui.stream import StreamView

WORDS = words.beside(__file__, "flow.toml")
SAID, OFFERED = 3, 5  # words that the headline names; next words that can be put on top
Sizes = np.ndarray  # [layer, head, query, key]: how long what a head brings is


@dataclass(frozen=True)
class AskedFlow:
    """A measure of the flow behind one word; with `nth`, of the logit of its nth likeliest next word."""

    viewed: StreamView
    measure: str
    nth: int | None

    @cached_property
    def flows(self) -> dict[str, Flow]:
        return flows_of(self.viewed)[0]

    @cached_property
    def next_word(self) -> TokenPrediction | None:
        return None if self.nth is None else offered_words(self.viewed)[self.nth - 1]

    @cached_property
    def logits(self) -> dict[str, LogitFlow]:
        """By measure, where a next word is on top."""
        if self.next_word is None:
            return {}
        top = shared.memoize(self.viewed.trace, _logit_top, self.viewed.query, self.next_word.id)
        return {measure: top.down(found) for measure, found in self.flows.items()}

    @property
    def word(self) -> str:
        return markup.token_name(self.viewed.queries.labels, self.viewed.query)

    @property
    def top(self) -> str:
        """What is on top: "word" or "next"."""
        return "word" if self.nth is None else "next"

    @property
    def following(self) -> str:
        """The next word that is on top, as it is read; "" where there is none."""
        return "" if self.next_word is None else visible(self.next_word.word)

    @cached_property
    def names(self) -> list[str]:
        """The words, the bias and, of a logit, the MLPs."""
        tokens = [markup.token_name(self.viewed.queries.labels, i) for i in range(len(self.viewed.queries))]
        return [*tokens, WORDS.text("picture.bias"), *([WORDS.text("picture.mlps")] if self.logits else [])]

    @cached_property
    def shares(self) -> dict[str, np.ndarray]:
        """What each name has, by measure; a share of the word, or a part of the logit."""
        if self.logits:
            return {measure: found.words for measure, found in self.logits.items()}
        last = self.viewed.n_layers
        return {measure: found.behind(last)[self.viewed.query] for measure, found in self.flows.items()}

    @property
    def own(self) -> np.ndarray:
        return self.shares[self.measure]

    @property
    def undefined(self) -> bool:
        return bool(np.isnan(self.own).any())

    def said(self, part: float) -> str:
        """A share in percent, or a part of a logit with its sign."""
        return signed(part) if self.logits else percent(part)

    def headline(self) -> Markup:
        """The words from which most came."""
        word = markup.query(self.word)
        if self.undefined:
            return WORDS.html("lead.undefined", word=word)
        named = self.own if self.logits else self.own[: len(self.viewed.queries)]  # of a logit the MLPs may be most
        largest = np.argsort(-np.abs(named), kind="stable")[:SAID]
        shares = Markup(", ").join(self._item(int(i)) for i in largest)
        if self.next_word is None:
            return WORDS.html("lead.found", word=word, shares=shares)
        logit, following = signed(self.logits[self.measure].top.logit), markup.key(self.following)
        chance = percent(self.next_word.probability)
        return WORDS.html("lead.next", word=word, next=following, chance=chance, logit=logit, shares=shares)

    def _item(self, at: int) -> Markup:
        share = self.said(float(self.own[at]))
        if at == self.viewed.query:
            return WORDS.html("lead.itself", share=share)
        if at >= len(self.viewed.queries):
            return WORDS.html("lead.other", share=share, name=WORDS.text("lead.others", self._others[at]))
        return WORDS.html("lead.item", share=share, name=markup.key(self.names[at]))

    @property
    def _others(self) -> dict[int, str]:
        n = len(self.viewed.queries)
        return {n: "bias", n + 1: "mlps"}

    def numbers(self) -> list[tuple[str, str]]:
        """Itself, sinks, biases, MLPs, and how far the other measures are from this one."""
        if self.undefined:
            return []
        own, n, viewed = self.own, len(self.viewed.queries), self.viewed
        found = [(self.said(float(own[viewed.query])), WORDS.text("numbers.itself"))]
        sink = viewed.sink[:n]  # of words: what a head takes from no word is nothing
        if sink.any():
            names = " ".join(dict.fromkeys(visible(viewed.queries.labels[i]) for i in np.flatnonzero(sink)))
            found.append((self.said(float(own[:n][sink].sum())), WORDS.text("numbers.sink", sink=names)))
        found.append((self.said(float(own[n])), WORDS.text("numbers.bias")))
        if self.logits:
            found.append((self.said(float(own[n + 1])), WORDS.text("numbers.mlps")))
        for other in FLOW_MEASURES:
            if other != self.measure and not np.isnan(self.shares[other]).any():
                found.append((percent(self.apart(other)), WORDS.text("numbers.apart", other)))
        return found

    def apart(self, other: str) -> float:
        """How far another measure is from this one, 0 to 1: of a logit, of the sizes of all its parts."""
        one, two = self.own, self.shares[other]
        whole = float(np.abs(one).sum() + np.abs(two).sum()) / 2 if self.logits else 1.0
        return disagreement(one, two) / max(whole, SMALLEST)

    def table(self) -> pd.DataFrame:
        """Every word, the bias and the MLPs by all measures."""
        tokens = [f"{visible(label)} ({i})" for i, label in enumerate(self.viewed.queries.labels)]
        names = [*tokens, *self.names[len(tokens) :]]
        return pd.DataFrame({"word": names, **{name: np.round(own, 6) for name, own in self.shares.items()}})


def flows_of(
    viewed: StreamView, progress: Callable[[float], None] | None = None
) -> tuple[dict[str, Flow], list[Sizes]]:
    """The flow by every measure and, by layer, how long what each head brings is; kept for whoever asks again."""
    return shared.memoize(viewed.trace, _flows, viewed.reader.name, progress=progress)


def _flows(
    trace: Trace, name: str, progress: Callable[[float], None] | None = None
) -> tuple[dict[str, Flow], list[Sizes]]:
    stream, sizes = trace.stream(name), []
    edges: dict[str, list[np.ndarray]] = {measure: [] for measure in FLOW_MEASURES}
    for layer in range(stream.n_layers):
        parts = LayerParts.of(stream, layer)
        for measure, own in layer_edges(stream, layer, FLOW_MEASURES, parts).items():
            edges[measure].append(own)
        sizes.append(parts.sizes().astype(np.float32))
        if progress is not None:
            progress((layer + 1) / stream.n_layers)
    return {measure: Flow(measure, np.stack(own)) for measure, own in edges.items()}, sizes


def _logit_top(trace: Trace, token: int, word: int) -> LogitTop:
    return logit_top(trace.stream(), token, word)


def offered_words(viewed: StreamView) -> list[TokenPrediction]:
    """The likeliest next words after the chosen one; none where no logit can be followed down."""
    stream = viewed.reader
    if stream.name != "self" or not predicts(stream):
        return []
    try:
        if any(stream.block(layer) == BlockKind.POST_NORM for layer in range(stream.n_layers)):
            return []
        return next_words(stream, OFFERED, position=viewed.query)
    except HeadlightError:
        return []
