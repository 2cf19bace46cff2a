"""A source, its translation and one head of each kind of attention, with the sentences about them. No Streamlit.

found = inputs.ask(page)              # a Translation
found.pattern, found.row              # cross-attention of the chosen head, [query, key]; the word being written
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.html.bar_table import Column
from attn_core.heads.salience import most_salient_query
from attn_core.prediction import translation
from attn_core.residual import decomposition, geometry
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from attn_core.views.derived_checks import arranged_check
from ui import words
from ui.drawing import markup
from ui.words import how_many

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamTrace
    from attn_core.views.derived_checks import DerivedCheck, Exact
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)


@dataclass(frozen=True)
class Translation:
    """A source, what was written for it, and one head of each kind of attention.

    `layer_asked`, `head_asked` and `row_asked` are the link's; a stack that has fewer shows its last. `names_rows` is
    "produced" or "read": by which word the decoder's rows are named.
    """

    trace: TraceHandle
    read: list[str]  # the decoder's rows by the word that is read
    produced: list[str]  # … and by the word that is produced
    layer_asked: int
    head_asked: int
    row_asked: int | None
    names_rows: str

    @property
    def cross(self) -> StreamTrace:
        return self.trace.stream("cross")

    @property
    def layer(self) -> int:
        return self.place("cross")[0]

    @property
    def head(self) -> int:
        return self.place("cross")[1]

    def place(self, stream: str) -> tuple[int, int]:
        """The layer and head that were chosen or, in a stack that has fewer, its last."""
        own = self.trace.stream(stream)
        return min(self.layer_asked, own.n_layers - 1), min(self.head_asked, own.n_heads - 1)

    @cached_property
    def last_layer_and_head(self) -> tuple[int, int]:
        """Of the stack that has most of them."""
        stacks = [self.trace.stream(name) for name in self.trace.streams]
        return max(own.n_layers for own in stacks) - 1, max(own.n_heads for own in stacks) - 1

    @property
    def name(self) -> str:
        """The open cross head, "1.1"."""
        return f"{self.layer}.{self.head}"

    @property
    def who(self) -> str:
        """How a sentence calls it."""
        return f"head {self.name}"

    @property
    def rows(self) -> list[str]:
        return self.produced if self.names_rows == "produced" else self.read

    @property
    def keys(self) -> Tokens:
        return self.cross.key_tokens

    @cached_property
    def pattern(self) -> Floats:
        """[query, key]"""
        return self.cross.pattern(self.layer, self.head)

    @cached_property
    def aligned(self) -> list[translation.Aligned]:
        return translation.align(self.pattern)

    @property
    def row(self) -> int:
        """The chosen row, or else the most salient one: where the first lines cross, if any do."""
        chosen = self.row_asked
        if chosen is not None and chosen < len(self.rows):
            return chosen
        ends = [i == len(self.rows) - 1 for i in range(len(self.rows))]  # rows are named by what they produce
        return most_salient_query(translation.weights_at_first_crossing(self.pattern), ends, self.keys.special)

    @property
    def word(self) -> str:
        """The word that the chosen row produces, as it is read."""
        return visible(self.produced[self.row])

    # --- Sentences ----------------------------------------------------------------------------------------------------

    def both_sentences(self) -> str:
        """What was read and what was written, for captions."""
        source, target = (self.trace.stream(name).tokens.text for name in ("encoder", "decoder"))
        return f"{source} → {target}"

    def lead(self) -> Markup:
        """The headline: always by the word that is produced, which is what a row is for."""
        return markup.say(translation.lead(self.aligned, self.row, self.produced, self.keys.labels, self.who))

    def under_lead(self, typed: bool, to_french: bool) -> Markup:
        """What was translated into what; `typed`: by the visitor. `to_french`: the translator is known to do that."""
        said = translation.sentence([visible(label) for label in self.produced[:-1]])
        if typed and to_french:
            return WORDS.html("under_lead.typed_french", translation=said)
        if typed:
            return WORDS.html("under_lead.typed", translation=said)
        if to_french:
            return WORDS.html("under_lead.own_french", translation=said)
        return WORDS.html("under_lead.own", translation=said)

    def read_aloud(self) -> Markup:
        """The chosen row as a sentence: up to four words, the strongest first."""
        row, labels = self.pattern[self.row], self.keys.labels
        strongest = sorted(range(len(labels)), key=lambda key: -row[key])[:4]
        said = [("To write ", ""), (self.word, "query"), (": ", "")]
        for n, key in enumerate(key for key in strongest if row[key] >= 0.005):
            said += [(", " if n else "", ""), (visible(labels[key]), "key"), (f" {percent(float(row[key]))}", "")]
        return markup.say([*said, (".", "")])

    def delta_title(self) -> Markup:
        """The title of what cross-attention adds to the chosen word."""
        return WORDS.html("delta.card", word=markup.query(self.word))

    def delta_hint(self) -> Markup:
        return WORDS.html("delta.hint")

    # --- What pictures and tables hold --------------------------------------------------------------------------------

    def lines_packet(self) -> bytes:
        """The open head as lines between the two sentences."""
        return pack_links(
            self.pattern[None],
            self.rows,
            self.keys.labels,
            heads=[self.name],
            key_special=self.keys.special,
            key_words=self.keys.words,
            captions=(WORDS.text("lines.columns.query"), WORDS.text("lines.columns.key")),
        )

    def sizes_packet(self) -> bytes:
        """How much every cross head adds to the chosen row: ‖ΔE‖, layers × heads."""
        added = [self.cross.heads_delta_e(layer, self.row) for layer in range(self.cross.n_layers)]
        sizes = geometry.norm(np.stack(added))  # [layer, head, d_model] → [layer, head]
        return pack_values(
            sizes, [[f"{size:.2f}" for size in row] for row in sizes], name=WORDS.text("delta.heads.name")
        )

    def source_columns(self) -> list[Column]:
        """Where the open head's ΔE of the chosen row came from, one row a source word."""
        parts = decomposition.sources(self.trace.stream("cross"), self.layer, self.head, self.row)
        return [
            Column("weight", parts.weights, [percent(float(weight)) for weight in parts.weights], "key", 1.0),
            Column("length of value", parts.lengths, [f"{length:.2f}" for length in parts.lengths], "value"),
            Column("adds along ΔE", parts.along, [signed(round(float(part), 2)) for part in parts.along], "delta"),
        ]

    def alignment(self, heads: list[tuple[int, int]]) -> tuple[pd.DataFrame, Markup]:
        """Which source word each word came from, by the mean of some heads, and how many lines cross, in a sentence."""
        found = translation.align(translation.mean_pattern(self.cross, heads or [(self.layer, self.head)]))
        table = pd.DataFrame(
            {
                "written": [visible(self.produced[entry.query]) for entry in found],
                "came from": [visible(self.keys.labels[entry.key]) for entry in found],
                "weight": [100 * entry.weight for entry in found],
            }
        )
        crossed = len(translation.crossings(found[:-1]))
        return table, WORDS.html("alignment.crossed", how_many(crossed), n=crossed)

    def check(self, heads: list[tuple[int, int]]) -> list[DerivedCheck]:
        """The mean of some heads that the alignment is read off, added up another way; nothing for one head alone."""
        if len(heads) < 2:
            return []
        shown = translation.mean_pattern(self.cross, heads)
        total: Exact = sum(self.cross.patterns(layer)[head].astype(np.float64) for layer, head in heads) / len(heads)
        return [arranged_check(shown, total, self.cross.tokens, self.keys, words=False, hidden=None)]

    def clearer_head(self) -> tuple[int, int] | None:
        """The cross head (layer, head) whose lines are clearest, where those of the open one are much less clear."""
        layer, head = translation.best_alignment_head(self.cross)
        best = translation.alignment_score(self.cross.pattern(layer, head), self.keys.special)
        own = translation.alignment_score(self.pattern, self.keys.special)
        return (layer, head) if own < 0.9 * best else None


def head_names(n_layers: int, n_heads: int) -> list[str]:
    """ "0.0", "0.1" and on."""
    return [f"{layer}.{head}" for layer in range(n_layers) for head in range(n_heads)]
