"""Heads that are switched off: which they are, and what a pass without them says, in sentences. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.panels import pack_panels
from attn_core.heads import ablation
from attn_core.heads.summary import delta_shares
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import words
from ui.drawing import markup
from ui.drawing.head_panel import head_panel
from ui.words import how_many

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamTrace

WORDS = words.beside(__file__)
Heads = tuple[tuple[int, int], ...]  # (layer, head) each
HARDLY = 0.005  # bits; what is less reads as 0.00


def headline(
    tokens: Tokens, query: int, off: Heads, replacement: str, change: ablation.Effect, of_labels: bool = False
) -> Markup:
    """What switching heads off does to the chosen word, as HTML."""
    word = markup.query(visible(tokens.labels[query]))
    if not off:
        return WORDS.html("ablation.lead.nothing", word=word)
    done = WORDS.text("ablation.done", replacement, heads=named(off))
    if change.unit == "°":
        return WORDS.html("ablation.lead.turn", done=done, word=word, turn=change.text)
    moved = max((*change.rising[:1], *change.falling[:1]), key=lambda w: abs(w.after - w.before), default=None)
    small = moved is None or change.value < HARDLY
    if of_labels:
        return _labels_moved(done, None if small else moved, change.text)
    if small or moved is None:
        return WORDS.html("ablation.lead.same", done=done, word=word)
    before, after = percent(moved.before), percent(moved.after)
    if before == after:
        return WORDS.html("ablation.lead.spread", done=done, word=word, bits=change.text)
    token = markup.tok(visible(moved.text))
    return WORDS.html(
        "ablation.lead.moved", done=done, word=word, bits=change.text, moved=token, before=before, after=after
    )


def _labels_moved(done: str, moved: ablation.Word | None, bits: str) -> Markup:
    """The headline where the model names labels: the one that moved most, None where none does."""
    if moved is None:
        return WORDS.html("ablation.lead.labels_same", done=done)
    label, before, after = markup.tok(moved.text), percent(moved.before), percent(moved.after)
    return WORDS.html("ablation.lead.labels", done=done, bits=bits, label=label, before=before, after=after)


def named(off: Heads) -> str:
    """ "head 0.3" or "heads 0.3, 1.2 and 4.1"; of many the first three."""
    names = [f"{layer}.{head}" for layer, head in off]
    if len(names) > 4:
        said = WORDS.text("ablation.together_many", some=", ".join(names[:3]), more=len(names) - 3)
    elif len(names) > 1:
        said = WORDS.text("ablation.together", some=", ".join(names[:-1]), last=names[-1])
    else:
        said = names[0]
    return WORDS.text("ablation.heads", how_many(len(names)), names=said)


def pattern_hint(stream: StreamTrace, layer: int, head: int, off: Heads, replacement: str) -> Markup:
    """Why a pattern may be the same on both sides, as HTML."""
    if (layer, head) in off and replacement not in ("zero", "mean"):
        return WORDS.html("ablation.pattern.replaced")
    if off and stream.name == "self" and all(other >= layer for other, _ in off):
        return WORDS.html("ablation.pattern.earlier")
    return WORDS.html("ablation.pattern.open")


def said(before: StreamTrace, after: StreamTrace, query: int) -> pd.DataFrame:
    """The likeliest next words or labels of both passes and those that moved most, with both probabilities in %."""
    compared, of_labels = ablation.words_compared(before, after, query), ablation.outcome(before) == "labels"
    rows = [(w.text if of_labels else visible(w.text), 100 * w.before, 100 * w.after) for w in compared]
    return pd.DataFrame(rows, columns=["label" if of_labels else "next word", "with", "without"])


def turns(before: StreamTrace, after: StreamTrace) -> pd.DataFrame:
    """By how many degrees each word's final embedding turned."""
    labels = [f"{visible(label)} ({i})" for i, label in enumerate(before.tokens.labels)]
    degrees = [ablation.effect(before, after, i).value for i in range(len(labels))]
    return pd.DataFrame({"word": labels, "turn": degrees})


def row_table(before: StreamTrace, after: StreamTrace, layer: int, head: int, query: int) -> pd.DataFrame:
    """One word's row of a head in both passes, and their difference, in %."""
    table = pd.DataFrame({"key": [f"{visible(label)} ({i})" for i, label in enumerate(before.key_tokens.labels)]})
    for name, stream in (("with", before), ("without", after)):
        table[name] = 100 * np.where(before.may_look(layer), stream.pattern(layer, head), np.nan)[query]
    table["without − with"] = table["without"] - table["with"]
    return table


def pattern_packet(before: StreamTrace, after: StreamTrace, layer: int, head: int) -> bytes:
    """A head's pattern in both passes on one scale, and where they differ the difference."""
    may_look = before.may_look(layer)
    cells = np.where(may_look, before.pattern(layer, head), np.nan)
    if after is before:
        return pack_panels([head_panel(before, layer, head, "as it is", cells)])
    now = np.where(may_look, after.pattern(layer, head), np.nan)
    panels = [head_panel(before, layer, head, "with", cells), head_panel(before, layer, head, "without", now)]
    if np.nanmax(np.abs(now - cells)) > 0:
        panels.append(head_panel(before, layer, head, "without − with", now - cells, signed=True))
    return pack_panels(panels)


def shares_of_delta_e(stream: StreamTrace, query: int) -> np.ndarray:
    """Every head's share of its layer's ΔE at one word, [layer, head]."""
    return np.stack([delta_shares(stream, layer, query) for layer in range(stream.n_layers)])


def ranked(values: np.ndarray, name: str) -> pd.DataFrame:
    """Every head with its number, the largest first."""
    heads = [f"{layer}.{head}" for layer, head in np.ndindex(values.shape)]
    table = pd.DataFrame({"head": heads, name: values.ravel()})
    return table.sort_values(name, ascending=False, kind="stable", ignore_index=True)


def without_off(values: np.ndarray, off: Sequence[tuple[int, int]]) -> np.ndarray:
    """The numbers of a map [layer, head] for its colours: what is off adds nothing, whatever is measured."""
    shown = np.array(values, float)
    for layer, head in off:
        shown[layer, head] = 0
    return shown


def texts_with_off(values: np.ndarray, form: str, off: Sequence[tuple[int, int]]) -> list[list[str]]:
    """The numbers of a map as they are read, [layer][head]; a head that is off says so."""
    texts = [[format(value, form) for value in row] for row in values]
    for layer, head in off:
        texts[layer][head] = "off"
    return texts
