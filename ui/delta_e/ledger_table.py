"""The ledger of a token as a table: one row a part, from E to the next layer's E, and a line that says it adds up."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.residual import geometry
from attn_core.residual.logit_attribution import nearest_words
from attn_core.text.decoding import visible
from attn_core.text.numbers import signed_percent
from ui.delta_e.token import TokenUpdate
from ui.drawing import widgets
from ui.page import go, scientific
from ui.shell import save

if TYPE_CHECKING:
    from attn_core.residual.decomposition import BlockDecomposition, Part

HINT = "Everything that is added on the way through the layer, row by row. Sort by any column; click a head to open it."
COLUMNS = {
    "length": ("length", "‖ΔE‖: how long the part is, whatever its direction."),
    "size": ("size", "This head's part of the sizes of all heads: ‖ΔE‖ ÷ Σ‖ΔE‖. Parts that pull apart both count."),
    "along": ("along ΔE", "How far it goes in the direction of the layer's ΔE. All heads and the bias make 100 %."),
    "cos_e": ("cos E", "Cosine with E: does it repeat what was there?"),
    "cos_delta": ("cos ΔE", "Cosine with the layer's ΔE, all heads and the bias together."),
    "cos_final": ("cos end", "Cosine with the final embedding: does it point where the word will end?"),
}


def table(update: TokenUpdate) -> None:
    """Every part of the token's step through the layer; a click on a head's row opens that head."""
    parts = [part for part in update.ledger.parts if part.kind != "embedding"]
    rows = [_row(update, part) for part in update.ledger.parts] + [_end(update)]
    if not update.no_words:
        for row, (up, down) in zip(rows, update.remember("words", lambda: _words(update)), strict=True):
            row["towards"], row["away"] = up, down

    def picked() -> None:
        chosen = st.session_state["ledger"]["selection"]["rows"]
        if chosen and 0 < chosen[0] <= len(parts) and parts[chosen[0] - 1].head is not None:
            part = parts[chosen[0] - 1]
            st.session_state["head"] = part.head
            if part.stream != "self":
                st.session_state["stream"] = part.stream

    number = {
        name: st.column_config.NumberColumn(title, format="%.2f", help=why, width=68)
        for name, (title, why) in COLUMNS.items()
    }
    share = {
        name: st.column_config.NumberColumn(COLUMNS[name][0], format="%.1f %%", help=COLUMNS[name][1], width=74)
        for name in ("size", "along")
    }
    st.dataframe(
        pd.DataFrame(rows),
        key="ledger",
        on_select=picked,
        selection_mode="single-row",
        hide_index=True,
        height=36 * (len(rows) + 1) + 2,
        row_height=36,
        placeholder="",
        alt=f"The ledger of {update.name} at layer {update.layer}: one row a part.",
        column_config={"part": st.column_config.TextColumn("part", pinned=True, width=206), **number, **share}
        | {
            "source": st.column_config.TextColumn(
                "mostly from", help="The source word that adds most along the head's ΔE, and how much of it."
            ),
            "towards": st.column_config.TextColumn(
                "points to", width=210, help="Words that stand out of the whole vocabulary."
            ),
            "away": st.column_config.TextColumn(
                "points away from", width=180, help="Words that stand out at the other end."
            ),
        },
    )


def offer(update: TokenUpdate) -> None:
    """Let the visitor save the chosen head's pattern, and the whole ledger with every number of every part."""
    name = f"ledger of {update.name} at layer {update.layer}"
    save.offer_stage(update.viewed, update.position, save.Numbers(name, lambda: as_csv(update.ledger)))


def as_csv(ledger: BlockDecomposition) -> str:
    """One line a part, from E to the next layer's E: what it is, its length, and its d_model numbers."""
    parts = [(part.kind, part.stream, part.name, part.vector) for part in ledger.parts]
    parts.append(("embedding", "self", f"E entering layer {ledger.layer + 1}", ledger.next_embedding))
    rows = [[kind, stream, name, float(geometry.norm(vector)), *vector] for kind, stream, name, vector in parts]
    columns = ["kind", "stream", "part", "length", *map(str, range(len(ledger.next_embedding)))]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False)


def _row(update: TokenUpdate, part: Part) -> dict[str, Any]:
    row = _measured(update, part.vector)
    name = f"E of {update.name}, entering layer {update.layer}" if part.kind == "embedding" else f"+ {part.name}"
    if part.kind in ("head", "bias"):
        row["along"] = 100 * update.ledger.share(part)
    if part.head is not None:
        own = part.stream == (update.viewed.stream or "self")
        row["size"] = 100 * float(update.shares[part.head]) if own else None
        found = update.sources_of(part.head, part.stream if part.stream != "self" else None)
        keys = update.trace.tokens_of(part.stream)[1]
        source = found.strongest
        row["source"] = f"{visible(keys.labels[source])} ({source}) {signed_percent(float(found.shares[source]))}"
    return {"part": name, **row}


def _end(update: TokenUpdate) -> dict[str, Any]:
    return {"part": f"= E entering layer {update.layer + 1}", **_measured(update, update.ledger.next_embedding)}


def _measured(update: TokenUpdate, vector: Any) -> dict[str, Any]:
    final = update.trace.final_embedding(stream=update.block)[update.position]
    others = {"cos_e": update.ledger.embedding, "cos_delta": update.ledger.attention, "cos_final": final}
    cosines = {name: _number(geometry.cosine(vector, other)) for name, other in others.items()}
    return {"length": float(geometry.norm(vector)), "size": None, "along": None, **cosines, "source": ""}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _words(update: TokenUpdate) -> list[tuple[str, str]]:
    """For every row the words that stand out, towards and away; a dash where none does better than luck."""
    vectors = np.stack([part.vector for part in update.ledger.parts] + [update.ledger.next_embedding])
    word = update.trace.vocabulary.word
    said = []
    for away in (False, True):
        found = nearest_words(update.trace, update.position, vectors, 3, away=away, stream=update.block)
        names = [
            [visible(word(int(i))) for i, far in zip(*row, strict=True) if far]
            for row in zip(found.ids, found.stands_out, strict=True)
        ]
        said.append([", ".join(row) or "–" for row in names])
    return list(zip(*said, strict=True))


def sum_line(update: TokenUpdate) -> None:
    """Whether the rows end where the model went on: green with the error, or red with it. Computed each time."""
    error = scientific(update.ledger.error)
    if update.ledger.adds_up:
        badge = widgets.badge(
            f"✓ the parts add up: largest error {error}", "ok", "worst difference ÷ largest number of E"
        )
    else:
        badge = widgets.badge(
            f"✕ the parts do not add up: they miss E by {error}", "bad", "something is left out or counted twice"
        )
    st.html(f'<div class="hl-sub">{badge}{escape(LAWS[update.ledger.block])}</div>')


LAWS = {
    "pre-norm": "E + all heads + bias, then + MLP, is the next layer's E.",
    "post-norm": "E + all heads + bias goes through LayerNorm, + MLP through another, and is the next layer's E.",
    "parallel": "Heads and MLP read the same E and add to it in one step.",
    "norm-after": "The sum of all heads is normalised before it is added; so is the MLP's part.",
}


def doors(update: TokenUpdate) -> None:
    """Links that open the chosen head in other pages."""
    layer, head = update.layer, update.head
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="doors"):
        st.html(f'<span class="hl-try">Open head {layer}.{head} in:</span>', width="content")
        for page, label in (("all_heads", "All heads"), ("step_by_step", "Step by step"), ("compare_heads", "Compare")):
            go(page, label, layer=layer, head=head, query=update.position)
