"""What changed between two models of one shape, a base and its fine-tuned one: every head's pattern and weights.

found = fine_tuning.of(page, panels)  # None where the pair does not compare such models
fine_tuning.card(panels, found)       # a ranked list; a row opens its head in both panels
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from attn_core.circuits.fine_tuning.changed_heads import HeadChanges, head_changes, same_shape
from ui import words
from ui.compare_heads.all_heads import show_head
from ui.compare_heads.panels import Panel, PanelSet
from ui.drawing import widgets
from ui.drawing.events import chosen_row
from ui.server import budget, passes, shared
from ui.words import how_many

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
Pairs = tuple[tuple["TraceHandle", "TraceHandle"], ...]


class Changed(NamedTuple):
    """What changed in every head, and over how many sentences its pattern was compared."""

    heads: HeadChanges
    n_sentences: int


def of(page: Page, panels: PanelSet) -> Changed | None:
    """Compare the pair's models head by head, over the sentences of all panels that show one of them; over the first
    of these alone where all would be more than a page may cost.

    None where they are one model, of different shapes or tokenizers, or where one is a baseline or a translator.
    """
    x, y = panels.paired
    if not _comparable(panels):
        return None
    read = _sentences(panels)
    if budget.fitting([(len(tokens), 2) for tokens in read.values()]) is not None:
        read = dict(list(read.items())[:1])
    with page.problems():
        pairs = tuple((_trace_of(x, panels, tokens), _trace_of(y, panels, tokens)) for tokens in read.values())
    return Changed(shared.memoize(x.viewed.trace, _changes, pairs), len(pairs))


def _comparable(panels: PanelSet) -> bool:
    x, y = panels.paired
    if x.spec.model == y.spec.model or panels.by_words or x.spec.baseline or y.spec.baseline:
        return False
    return x.viewed.reader.name == y.viewed.reader.name == "self" and same_shape(x.viewed.reader, y.viewed.reader)


def _sentences(panels: PanelSet) -> dict[tuple[int, ...], Tokens]:
    """What the panels of the pair's two models read, by its token ids."""
    models = {panel.spec.model for panel in panels.paired}
    own = [panel.viewed.queries for panel in panels.panels if panel.spec.model in models and not panel.spec.baseline]
    return {tuple(tokens.ids): tokens for tokens in own}


def _trace_of(panel: Panel, panels: PanelSet, tokens: Tokens) -> TraceHandle:
    """A sentence through a panel's model: what a panel shows already, or one more pass."""
    for other in panels.panels:
        alike = other.spec.model == panel.spec.model and not other.spec.baseline
        if alike and other.viewed.queries.ids == tokens.ids:
            return other.viewed.trace
    return passes.trace(panel.viewed.model, tokens.as_ids)


def _changes(first: Trace, pairs: Pairs) -> HeadChanges:
    return head_changes((a.stream(), b.stream()) for a, b in pairs)


def card(panels: PanelSet, found: Changed) -> None:
    """The heads, the most changed pattern first; choosing a row opens its head in both panels."""
    x, y = panels.paired
    table = found.heads.frame()

    def opened() -> None:
        row = chosen_row(st.session_state["changed_heads"], len(table))
        if row is not None:
            show_head(panels.pair, int(table.layer[row]), int(table["head"][row]))

    n = found.n_sentences
    hint = WORDS.html("changed.hint", how_many(n), n=n, first=x.letter)
    with widgets.card("changed", WORDS.html("changed.card", first=x.model, second=y.model), hint):
        names = table["layer"].astype(str) + "." + table["head"].astype(str)
        shown = table.drop(columns=["layer", "head"]).set_axis(["pattern", "W_Q", "W_K", "W_V", "W_O"], axis=1)
        shown.insert(0, "head", names)
        bars = {"pattern": st.column_config.ProgressColumn("pattern", format="%.3f", min_value=0, max_value=1)}
        weights = {name: st.column_config.NumberColumn(format="percent") for name in shown.columns[2:]}
        widgets.table(
            shown,
            key="changed_heads",
            hide_index=True,
            height=min(320, 38 + 35 * len(shown)),
            on_select=opened,
            selection_mode="single-row",
            column_config={**bars, **weights},
            alt=WORDS.text("changed.alt"),
        )
