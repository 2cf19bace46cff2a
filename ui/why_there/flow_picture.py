"""What the picture of a flow draws: its widest lines and its points, each with the heads that carried it. No Streamlit.

drawn = FlowPicture(asked)
drawn.lines, drawn.points, drawn.table()
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from attn_core.figures.circuits.flow import FlowLine, FlowPoint
from attn_core.text.numbers import percent
from attn_core.tolerances import SMALLEST
from ui import words
from ui.stream import StreamView
from ui.why_there.flow import AskedFlow, flows_of

WORDS = words.beside(__file__, "flow.toml")

MOST_LINES = 160  # that are drawn
THINNEST, NAMED = 0.005, 0.02  # the share from which a line is drawn, and from which it names heads


@dataclass(frozen=True)
class FlowPicture:
    """The lines and points of a flow that the page's link asks for."""

    asked: AskedFlow

    @property
    def viewed(self) -> StreamView:
        return self.asked.viewed

    @cached_property
    def _reach(self) -> np.ndarray:
        """What every token holds at every layer, [layer + 1, token + 1], as a share of what is on top."""
        if self.asked.logits:
            return np.nan_to_num(self.asked.logits[self.asked.measure].reach / self._whole)
        return np.nan_to_num(self.asked.flows[self.asked.measure].reach(self.viewed.query, self.viewed.n_layers))

    @property
    def _whole(self) -> float:
        """What widths are shares of: the sizes of all that is brought to a logit."""
        found = self.asked.logits[self.asked.measure]
        return max(float(np.abs(found.top.brought).sum() + abs(found.top.own)), SMALLEST)

    @cached_property
    def lines(self) -> list[FlowLine]:
        """The widest lines, the thinnest first."""
        found = []
        for layer, edges in enumerate(self.asked.flows[self.asked.measure].edges):
            width = np.nan_to_num(self._reach[layer + 1, :-1, None] * edges)  # [query, key + 1]
            found += [(float(width[i, j]), layer, int(j), int(i)) for i, j in np.argwhere(np.abs(width) > THINNEST)]
        if self.asked.logits:
            brought = self.asked.logits[self.asked.measure].top.brought / self._whole  # [layer, token]
            at = np.argwhere(np.abs(brought) > NAMED)
            found += [(float(brought[i, j]), int(i), int(j), -1) for i, j in at]
        widest = sorted(found, key=lambda line: abs(line[0]))[-MOST_LINES:]
        return [self._line(*line) for line in widest]

    def _line(self, share: float, layer: int, lower: int, upper: int) -> FlowLine:
        straight, names = upper < 0, self.asked.names
        target = self.viewed.query if straight else upper
        above = WORDS.text("picture.logit") if straight else names[upper]
        said = WORDS.text("picture.line", lower=names[lower], upper=above, layer=layer, share=self._share(share))
        heads = self._heads(layer, target, lower if lower < len(self.viewed.queries) else None)
        named = abs(share) > NAMED and heads
        says = [said, *([WORDS.text("picture.heads", heads=heads)] if named else [])]
        return FlowLine(layer, lower, None if straight else upper, share, says)

    @cached_property
    def points(self) -> list[FlowPoint]:
        found, last = [], self.viewed.n_layers
        for layer, at in np.argwhere(np.abs(self._reach) > THINNEST):
            share, at = float(self._reach[layer, at]), int(at)
            place = WORDS.text("picture.place", "end" if layer == last else "before", layer=layer)
            says = [WORDS.text("picture.point", name=self.asked.names[at], place=place, share=self._share(share))]
            if layer and abs(share) > NAMED and at < len(self.viewed.queries):
                says.append(WORDS.text("picture.heads", heads=self._heads(int(layer) - 1, at, None)))
            found.append(FlowPoint(int(layer), at, share, says))
        return found

    @cached_property
    def _added(self) -> list[np.ndarray]:
        """How long what a head adds to a token is, [head, token] a layer."""
        return [self.viewed.reader.delta_e_sizes(layer) for layer in range(self.viewed.n_layers)]

    def _share(self, share: float) -> str:
        return self.asked.said(share * self._whole if self.asked.logits else share)

    def _heads(self, layer: int, token: int, source: int | None) -> str:
        """The three heads that brought a token most, from one source or from all, with their shares of all lengths."""
        _, sizes = flows_of(self.viewed)  # [head, query, key] a layer
        lengths = self._added[layer][:, token] if source is None else sizes[layer][:, token, source]
        best, whole = np.argsort(-lengths, kind="stable")[:3], max(float(lengths.sum()), SMALLEST)
        if lengths.sum() <= SMALLEST:
            return ""
        return ", ".join(f"{layer}.{head} ({percent(float(lengths[head] / whole))})" for head in best)

    def table(self) -> pd.DataFrame:
        """Every line of the picture, with the heads that carried it: the picture as a table."""
        rows = [(line.layer, self.asked.names[line.lower], "", line.share, line.says) for line in reversed(self.lines)]
        targets = [
            WORDS.text("picture.logit") if line.upper is None else self.asked.names[line.upper] for line in self.lines
        ]
        column = "of the logit" if self.asked.logits else "share %"
        factor = self._whole if self.asked.logits else 100
        return pd.DataFrame(
            {
                "layer": [row[0] for row in rows],
                "from": [row[1] for row in rows],
                "to": targets[::-1],
                column: [round(factor * row[3], 3) for row in rows],
                "heads": [row[4][1] if len(row[4]) > 1 else "" for row in rows],
            }
        )
