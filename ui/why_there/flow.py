"""The flow that the page's link asks for, and all that is said of it: shares, lines, points, a table. No Streamlit.

asked.shares["alti"]                   # what every word, the bias (and the MLPs) have of what is on top
asked.lines, asked.points              # what the picture draws, each with the heads that carried it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.circuits.flow import MEASURES, Flow, LayerParts, disagreement, flow
from attn_core.circuits.logit_flow import LogitFlow, LogitTop, logit_top
from attn_core.errors import HeadlightError
from attn_core.figures.circuits.flow import FlowLine, FlowPoint
from attn_core.prediction.next_token import TokenPrediction, next_words, predicts
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from attn_core.tolerances import SMALLEST
from ui import words
from ui.drawing import markup
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace
    from ui.stream import StreamView

WORDS = words.beside(__file__, "flow.toml")
SAID, OFFERED = 3, 5  # words that the headline names; next words that can be put on top
MOST_LINES, THINNEST, NAMED = (
    160,
    0.005,
    0.02,
)  # lines drawn; the share from which one is, and from which it names heads
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

    @property
    def names(self) -> list[str]:
        """The words, the bias and, of a logit, the MLPs."""
        tokens = [markup.token_name(self.viewed.keys.labels, i) for i in range(len(self.viewed.keys))]
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

    # --- In words ------------------------------------------------------------------------------------------------

    def headline(self) -> Markup:
        """The words from which most came."""
        word = markup.query(self.word)
        if self.undefined:
            return WORDS.html("lead.undefined", word=word)
        named = self.own if self.logits else self.own[: len(self.viewed.keys)]  # of a logit the MLPs may be most
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
        if at >= len(self.viewed.keys):
            return WORDS.html("lead.other", share=share, name=WORDS.text("lead.others", self._others[at]))
        return WORDS.html("lead.item", share=share, name=markup.key(self.names[at]))

    @property
    def _others(self) -> dict[int, str]:
        n = len(self.viewed.keys)
        return {n: "bias", n + 1: "mlps"}

    def numbers(self) -> list[tuple[str, str]]:
        """Itself, sinks, biases, MLPs, and how far the other measures are from this one."""
        if self.undefined:
            return []
        own, n, viewed = self.own, len(self.viewed.keys), self.viewed
        found = [(self.said(float(own[viewed.query])), WORDS.text("numbers.itself"))]
        if viewed.sink_name:
            found.append(
                (self.said(float(own[:n][viewed.sink].sum())), WORDS.text("numbers.sink", sink=viewed.sink_name))
            )
        found.append((self.said(float(own[n])), WORDS.text("numbers.bias")))
        if self.logits:
            found.append((self.said(float(own[n + 1])), WORDS.text("numbers.mlps")))
        for other in MEASURES:
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
        tokens = [f"{visible(label)} ({i})" for i, label in enumerate(self.viewed.keys.labels)]
        names = [*tokens, *self.names[len(tokens) :]]
        return pd.DataFrame({"word": names, **{name: np.round(own, 6) for name, own in self.shares.items()}})

    # --- In the picture ------------------------------------------------------------------------------------------

    @cached_property
    def _reach(self) -> np.ndarray:
        """What every token holds at every layer, [layer + 1, token + 1], as a share of what is on top."""
        if self.logits:
            return np.nan_to_num(self.logits[self.measure].reach / self._whole)
        return np.nan_to_num(self.flows[self.measure].reach(self.viewed.query, self.viewed.n_layers))

    @property
    def _whole(self) -> float:
        """What widths are shares of: the sizes of all that is brought to a logit."""
        found = self.logits[self.measure]
        return max(float(np.abs(found.top.brought).sum() + abs(found.top.own)), SMALLEST)

    @cached_property
    def lines(self) -> list[FlowLine]:
        """The widest lines, the thinnest first."""
        found = []
        for layer, edges in enumerate(self.flows[self.measure].edges):
            width = np.nan_to_num(self._reach[layer + 1, :-1, None] * edges)  # [query, key + 1]
            found += [(float(width[i, j]), layer, int(j), int(i)) for i, j in np.argwhere(np.abs(width) > THINNEST)]
        if self.logits:
            brought = self.logits[self.measure].top.brought / self._whole  # [layer, token]
            at = np.argwhere(np.abs(brought) > NAMED)
            found += [(float(brought[i, j]), int(i), int(j), -1) for i, j in at]
        widest = sorted(found, key=lambda line: abs(line[0]))[-MOST_LINES:]
        return [self._line(*line) for line in widest]

    def _line(self, share: float, layer: int, lower: int, upper: int) -> FlowLine:
        straight, names = upper < 0, self.names
        target = self.viewed.query if straight else upper
        above = WORDS.text("picture.logit") if straight else names[upper]
        said = WORDS.text("picture.line", lower=names[lower], upper=above, layer=layer, share=self._share(share))
        heads = self._heads(layer, target, lower if lower < len(self.viewed.keys) else None)
        named = abs(share) > NAMED and heads
        says = [said, *([WORDS.text("picture.heads", heads=heads)] if named else [])]
        return FlowLine(layer, lower, None if straight else upper, share, says)

    @cached_property
    def points(self) -> list[FlowPoint]:
        found, last = [], self.viewed.n_layers
        for layer, at in np.argwhere(np.abs(self._reach) > THINNEST):
            share, at = float(self._reach[layer, at]), int(at)
            place = WORDS.text("picture.place", "end" if layer == last else "before", layer=layer)
            says = [WORDS.text("picture.point", name=self.names[at], place=place, share=self._share(share))]
            if layer and abs(share) > NAMED and at < len(self.viewed.keys):
                says.append(WORDS.text("picture.heads", heads=self._heads(int(layer) - 1, at, None)))
            found.append(FlowPoint(int(layer), at, share, says))
        return found

    def _share(self, share: float) -> str:
        return self.said(share * self._whole if self.logits else share)

    def _heads(self, layer: int, token: int, source: int | None) -> str:
        """The three heads that brought a token most, from one source or from all, with their shares of all lengths."""
        viewed, sizes = self.viewed, flows_of(self.viewed)[1][layer]  # [head, query, key]
        if source is None:
            lengths = np.linalg.norm(viewed.reader.heads_delta_e(layer, token), axis=1)
        else:
            lengths = sizes[:, token, source]
        best, whole = np.argsort(-lengths, kind="stable")[:3], max(float(lengths.sum()), SMALLEST)
        if lengths.sum() <= SMALLEST:
            return ""
        return ", ".join(f"{layer}.{head} ({percent(float(lengths[head] / whole))})" for head in best)

    def places(self) -> pd.DataFrame:
        """Every line of the picture, with the heads that carried it: the picture as a table."""
        rows = [(line.layer, self.names[line.lower], "", line.share, line.says) for line in reversed(self.lines)]
        targets = [WORDS.text("picture.logit") if line.upper is None else self.names[line.upper] for line in self.lines]
        column = "of the logit" if self.logits else "share %"
        factor = self._whole if self.logits else 100
        return pd.DataFrame(
            {
                "layer": [row[0] for row in rows],
                "from": [row[1] for row in rows],
                "to": targets[::-1],
                column: [round(factor * row[3], 3) for row in rows],
                "heads": [row[4][1] if len(row[4]) > 1 else "" for row in rows],
            }
        )


def flows_of(
    viewed: StreamView, progress: Callable[[float], None] | None = None
) -> tuple[dict[str, Flow], list[Sizes]]:
    """The flow by every measure and, by layer, how long what each head brings is; kept for whoever asks again."""
    return shared.memoize(viewed.trace, _flows, viewed.reader.name, progress=progress)


def _flows(
    trace: Trace, name: str, progress: Callable[[float], None] | None = None
) -> tuple[dict[str, Flow], list[Sizes]]:
    stream, told = trace.stream(name), progress or (lambda share: None)
    found = {}
    for done, measure in enumerate(MEASURES):
        found[measure] = flow(stream, measure, progress=_among_all(told, done))
    return found, [LayerParts.of(stream, layer).sizes().astype(np.float32) for layer in range(stream.n_layers)]


def _among_all(tell: Callable[[float], None], done: int) -> Callable[[float], None]:
    """The progress of one measure as a part of that of all, of which some are done."""
    return lambda share: tell((done + share) / len(MEASURES))


def _logit_top(trace: Trace, token: int, word: int) -> LogitTop:
    return logit_top(trace.stream(), token, word)


def offered_words(viewed: StreamView) -> list[TokenPrediction]:
    """The likeliest next words after the chosen one; none where no logit can be followed down."""
    stream = viewed.reader
    if stream.name != "self" or not predicts(stream):
        return []
    try:
        if any(stream.block(layer) == "post-norm" for layer in range(stream.n_layers)):
            return []
        return next_words(stream, OFFERED, position=viewed.query)
    except HeadlightError:
        return []
