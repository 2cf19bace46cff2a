"""Does a head matter to one word? Four numbers: its share of ΔE, what switching it off changes, its sink, its entropy.

    trace = ac.trace(model, "a fluffy blue creature")
    run = ablation.runner(model, trace)
    summarise_head(trace.stream(), run, layer=0, head=3, query=4).parts()
    # [('11 %', "of this layer's ΔE"), ('3.5°', 'turn if switched off'), ('8.5 %', 'on [CLS] [SEP]'), …]

Source: Kobayashi et al. 2020 (the size of what a head adds, rather than its weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attn_core.heads.ablation import Effect, Runner, effect
from attn_core.heads.measures import entropy
from attn_core.heads.sink import Floats, sink_of
from attn_core.text.numbers import coarse_percent

if TYPE_CHECKING:
    from attn_core.traces.reader import TraceReader
    from attn_core.traces.stream import StreamTrace


def delta_shares(stream: TraceReader, layer: int, query: int) -> Floats:
    """Each head's share of the layer's change to one word: ‖ΔE‖ of the head ÷ the sum of ‖ΔE‖ over heads, [head].

    Shares sum to 1. They are shares of sizes: parts that point against each other both count.
    """
    sizes = stream.delta_e_sizes(layer)[:, query].astype(float)  # [head, query] → [head]
    return sizes / sizes.sum() if sizes.sum() > 0 else np.full_like(sizes, np.nan)


@dataclass(frozen=True)
class HeadSummary:
    """Does this head matter, in four numbers for one word: see `summarise_head`."""

    share: float
    effect: Effect
    sink: float
    sink_labels: tuple[str, ...]
    entropy: float

    def parts(self) -> list[tuple[str, str]]:
        """(number, what it is) as plain text, for `ui.drawing.widgets.strip`."""
        resting = " ".join(self.sink_labels) or "no sink in this sentence"
        return [
            (coarse_percent(self.share), "of this layer's ΔE"),
            (self.effect.text, self.effect.what),
            (coarse_percent(self.sink), f"on {resting}" if self.sink_labels else resting),
            (f"{self.entropy:.1f} bits", "entropy"),
        ]


def summarise_head(stream: StreamTrace, run: Runner, layer: int, head: int, query: int) -> HeadSummary:
    """Does this head matter to this word? Costs one more pass through the model (`run(without=…)`).

    `share`: the head's part of the layer's ΔE at the word (see `delta_shares`). `effect`: what switching the head off
    changes there (see `effect`). `sink`: the weight that rests on [CLS], [SEP], BOS or a causal model's first token.
    `entropy`: how widely the word looks, in bits, the sink included.
    """
    off = run(without=[stream.head_key(layer, head)]).stream(stream.name)
    return summary_with(stream, effect(stream, off, query), layer, head, query)


def summary_with(stream: TraceReader, change: Effect, layer: int, head: int, query: int) -> HeadSummary:
    """The same, where the effect of switching the head off is already known."""
    row, sink = stream.pattern(layer, head)[query], sink_of(stream)  # [key] each
    return HeadSummary(
        share=float(delta_shares(stream, layer, query)[head]),
        effect=change,
        sink=float(row[sink].sum()),
        sink_labels=tuple(
            dict.fromkeys(label for label, rests in zip(stream.key_tokens.labels, sink, strict=True) if rests)
        ),
        entropy=float(entropy(row)),
    )
