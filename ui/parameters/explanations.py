"""The explaining half of the parameter page: the two thin matrices, how parts grow, what they cost, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape

import pandas as pd
import streamlit as st

from attn_core.figures.charts import singular_values
from attn_core.figures.charts.scaling import curves
from attn_core.parameters import costs, low_rank
from attn_core.parameters.meta_model import reconcile
from attn_core.parameters.scaling import parameters_by, reading_by
from attn_core.text.numbers import byte_size, short
from ui import words
from ui.drawing import controls, gallery, markup, widgets
from ui.parameters.counts import CONTEXT, DTYPE, GROWTH, KNOB, THIN, ModelCounts
from ui.parameters.sentences import costs_aloud, growth_aloud, part_name, thin_aloud
from ui.server import shared
from ui.shell import save_files
from ui.shell.folds import fold

WORDS = words.beside(__file__)
TINTS = {"embedding": "embedding", "position": "position", "attention": "attention", "mlp": "up", "norm": "norm"}
COST_TINTS = {"attention: projections": "attention", "attention: scores and sums": "output", "MLP": "up"}
GROWS = {"not at all": "the same for every context", "linear": "in step with the context"}


def impossible() -> str:
    """The title of what is shown where the visitor's numbers fit no model."""
    return WORDS.text("lead.impossible")


def two_thin_matrices(counts: ModelCounts) -> None:
    """A full value matrix beside the two thin ones, to scale, with a slider for d_head."""
    widgets.heading("", WORDS.html("thin.hint"))
    shape, d_head = counts.shape, counts.page.state["thin"]
    assert shape is not None
    pair = low_rank.Factored(shape.d_model, d_head)
    if shape.d_model > 1:  # a slider needs two ends
        controls.slider(THIN, high=shape.d_model)
    figure = partial(singular_values.thin_matrices, shape.d_model, d_head)
    d_model = shape.d_model
    alt = WORDS.text("thin.alt", d_model=d_model, d_head=d_head)
    says = WORDS.text("thin.caption", title=counts.table.title, d_model=d_model, d_head=d_head)
    gallery.plot("Two thin matrices", figure, key="thin_matrices", alt=alt, says=says)
    widgets.reading(thin_aloud(pair, d_model, d_head))


def how_it_grows(counts: ModelCounts) -> None:
    """Each part against one number, and the law that the curve shows."""
    state = counts.page.state
    with st.container(horizontal=True, gap="small", key="growth_switches"):
        controls.switch(GROWTH)
        if state["growth"] == "parameters":
            controls.switch(KNOB)
    reading = state["growth"] == "reading"
    grown = reading_by(counts.table) if reading else parameters_by(counts.table, state["knob"])
    tints = {part_name(c): TINTS.get(c.part) or COST_TINTS.get(c.part, "unembedding") for c in grown.curves}
    lines = {part_name(c): c.values for c in grown.curves}
    across = KNOB.options[grown.knob]
    figure = partial(curves, grown.at, lines, tints, here=grown.at[2], across=across, up=grown.measure)
    alt = WORDS.text("growth.alt", across=across)
    says = WORDS.text("growth.caption", title=counts.table.title, across=across)
    gallery.plot("How it grows", figure, key="growth_curves", alt=alt, says=says)
    widgets.reading(growth_aloud(grown, across))
    fold("The numbers: every curve", "numbers_growth", partial(_curve_table, {across: grown.at, **lines}))


def _curve_table(table: Mapping[str, Sequence[float]]) -> None:
    doubled = pd.DataFrame({name: [f"{v:,}" for v in values] for name, values in table.items()})
    widgets.table(doubled, hide_index=True, alt=WORDS.text("growth.table_alt"))


def what_it_costs(counts: ModelCounts) -> None:
    """Memory for weights, the cache of keys and values, multiply-adds for a token; each with its formula."""
    state = counts.page.state
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="cost_inputs"):
        controls.number(CONTEXT, width=190)
        controls.switch(DTYPE)
    tokens, dtype = state["tokens"], state["dtype"]
    st.html(_costs_table(counts, tokens, dtype))
    widgets.reading(costs_aloud(counts))


def _costs_table(counts: ModelCounts, tokens: int, dtype: str) -> str:
    """Memory first, then multiply-adds with bars on one scale; HTML."""
    shape, latent = counts.shape, counts.latent
    if shape is not None:
        cache, work, kind = costs.cache_bytes(shape, tokens, dtype), costs.multiply_adds(shape, tokens), shape.kind
    else:
        assert latent is not None
        cache, work, kind = latent.cache_bytes(tokens, dtype), latent.multiply_adds(tokens), "decoder"
    memory = [costs.weight_bytes(counts.table, dtype), *cache]
    most = max(cost.value for cost in work)
    rows = [_part(WORDS.html("costs.memory", dtype=dtype)), *(_cost(cost, byte_size(cost.value)) for cost in memory)]
    if kind == "encoder":
        rows.append(f'<tr><th scope="row">{WORDS.html("costs.no_cache")}</th><td></td></tr>')
    rows.append(_part(WORDS.html("costs.work", "both" if kind == "encoder-decoder" else "one")))
    rows += [_cost(cost, short(cost.value), 100 * cost.value / most) for cost in work]
    return f'<table class="hl-count-table"><tbody>{"".join(rows)}</tbody></table>'


def _part(title: str) -> str:
    return f'<tr class="part"><th scope="rowgroup" colspan="2">{title}</th></tr>'


def _cost(cost: costs.Cost, said: str, width: float | None = None) -> str:
    grows = f"<small>{GROWS[cost.grows]}</small>" if cost.grows else ""
    colour = {"output": "d", "attention": "a"}.get(COST_TINTS.get(cost.what, ""), "")
    bar = "" if width is None else f'<span class="track"><i class="{colour}" style="width:{width:.2f}%"></i></span>'
    exact = f'<strong title="{cost.value:,}">{said}</strong><span class="product">{cost.formula}</span>'
    return f'<tr><th scope="row">{cost.what}{grows}</th><td>{exact}{bar}</td></tr>'


def all_tensors(counts: ModelCounts) -> None:
    """Every tensor as a row, and the file of it."""
    table = counts.table
    frame = table.frame()
    whole = {name: st.column_config.NumberColumn(format="localized") for name in ("count", "times", "total")}
    alt = WORDS.text("table.alt", title=table.title)
    widgets.table(frame, hide_index=True, height=420, key="tensor_rows", column_config=whole, alt=alt)
    name = "".join(c if c.isalnum() else "-" for c in table.title.lower())
    counts.page.save_menu.add_views(
        {}, save_files.Numbers(f"parameters of {table.title}", lambda: frame.to_csv(index=False))
    )
    st.download_button(
        "CSV of the table",
        data=lambda: frame.to_csv(index=False),
        file_name=f"parameters-{name}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def reconciled(counts: ModelCounts) -> str:
    """Both figures, as a badge and a sentence; builds the model without memory."""
    checked = shared.compute_once(reconcile, counts.table)
    name = checked.class_name
    if checked.built is None:
        return f"{markup.badge(WORDS.text('table.formula_only'), 'toy')}{escape(checked.reason)}"
    if not checked.exact:
        badge = markup.badge(WORDS.text("table.differs", built=checked.built, class_name=name), "bad")
        return f"{badge}{escape(', '.join(checked.differing[:4]))}"
    badge = markup.badge(WORDS.text("table.reconciled"), "ok", WORDS.text("table.reconciled_why"))
    return f"{badge}{WORDS.html('table.same', table=checked.table, class_name=name, built=checked.built)}"
