"""The explaining half of the parameter page: the two thin matrices, how parts grow, what they cost, the table."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from attn_core.figures.charts import singular_values as thin
from attn_core.figures.charts.scaling import curves
from attn_core.parameters import costs, low_rank
from attn_core.parameters import scaling as growth
from attn_core.parameters.meta_model import Reconciliation, reconcile
from attn_core.text.numbers import byte_size, short
from ui.drawing import gallery, widgets
from ui.parameters.counts import ModelCounts
from ui.shell import save

TINTS = {"embedding": "embedding", "position": "position", "attention": "attention", "mlp": "up", "norm": "norm"}
COST_TINTS = {"attention: projections": "attention", "attention: scores and sums": "output", "MLP": "up"}
KNOBS = {"d_model": "d_model", "n_layers": "blocks", "vocabulary": "vocabulary", "context": "context"}
QUIET = {"displayModeBar": False}
GROWS = {"not at all": "whatever the context", "linear": "in step with the context"}


def two_thin_matrices(counts: ModelCounts) -> None:
    """A full value matrix beside the two thin ones, to scale, with a slider for d_head."""
    shape, d_head = counts.shape, counts.page.state["thin"]
    assert shape is not None
    pair = low_rank.Factored(shape.d_model, d_head)
    if shape.d_model > 1:  # a slider needs two ends
        st.slider("d_head", 1, shape.d_model, key="thin")
    figure = partial(thin.thin_matrices, shape.d_model, d_head)
    alt = f"A square of {shape.d_model} by {shape.d_model} beside two strips {d_head} wide, to scale."
    says = f"The value matrix of one head of {counts.table.title}, to scale: d_model {shape.d_model:,}, d_head {d_head}"
    gallery.plot("Two thin matrices", figure, key="thin_matrices", alt=alt, says=says, config=QUIET)
    smaller = (
        f"{pair.times:,.3g} times as many" if pair.times > 1 else "no more than that: two strips save nothing here"
    )
    widgets.reading(
        f"A full value matrix would need {shape.d_model:,}² = {pair.full:,} numbers. Value (down) and output "
        f"(value up) need 2 · {shape.d_model:,} · {d_head:,} = {pair.thin:,}; the full one has {smaller}. "
        f"So in one head #value = #query + #key = {pair.query_and_key:,}."
    )


def how_it_grows(counts: ModelCounts) -> None:
    """Each part against one number, and the law that the curve shows."""
    view = counts.page.state
    with st.container(horizontal=True, gap="small", key="growth_switches"):
        widgets.switch("What is counted", {"parameters": "parameters", "reading": "multiply-adds to read"}, "growth")
        if view["growth"] == "parameters":
            widgets.switch("What grows", KNOBS, "knob")
    reading = view["growth"] == "reading"
    grown = growth.reading_by(counts.table) if reading else growth.parameters_by(counts.table, view["knob"])
    tints = {said(c): TINTS.get(c.part) or COST_TINTS.get(c.part, "unembedding") for c in grown.curves}
    lines = {said(c): c.values for c in grown.curves}
    across = KNOBS[grown.knob]
    figure = partial(curves, grown.at, lines, tints, here=grown.at[2], across=across, up=grown.measure)
    alt = f"How each part grows with {across}, on logarithmic axes."
    says = f"How each part of {counts.table.title} grows with {across}, on logarithmic axes"
    gallery.plot("How it grows", figure, key="growth_curves", alt=alt, says=says, config=QUIET)
    laws: dict[str, list[str]] = {}
    for curve in grown.curves:
        laws.setdefault(curve.law, []).append(said(curve))
    words = {
        "quadratic": "with its square (×4 when it doubles)",
        "linear": "in step (×2)",
        "constant": "not at all",
        "": "in between",
    }
    heard = "; ".join(f"{_listed(laws[law])} {words[law]}" for law in words if law in laws)
    widgets.reading(f"When {across} grows, these grow: {heard}.")
    with st.expander("The numbers"):
        table = {across: grown.at, **lines}
        doubled = pd.DataFrame({name: [f"{v:,}" for v in values] for name, values in table.items()})
        st.dataframe(doubled, hide_index=True, alt="The curves as numbers.")


def said(curve: growth.Curve) -> str:
    return {"mlp": "MLP", "norm": "norms", "position": "positions"}.get(curve.part, curve.part)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def what_it_costs(counts: ModelCounts) -> None:
    """Memory for weights, the cache of keys and values, multiply-adds for a token; each with its formula."""
    shape, view = counts.shape, counts.page.state
    assert shape is not None
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="cost_inputs"):
        st.number_input("tokens in the context", 1, 10_000_000, step=1, key="tokens", width=190)
        widgets.switch("Numbers are kept as", {name: name for name in costs.BYTES}, "dtype")
    tokens, dtype = view["tokens"], view["dtype"]
    st.html(_costs_table(counts, tokens, dtype))
    widgets.reading(_costs_aloud(counts, tokens, dtype))


def _costs_table(counts: ModelCounts, tokens: int, dtype: str) -> str:
    """Memory first, then multiply-adds with bars on one scale; HTML."""
    shape = counts.shape
    assert shape is not None
    memory = [costs.weight_bytes(counts.table, dtype), *costs.cache_bytes(shape, tokens, dtype)]
    work = costs.multiply_adds(shape, tokens)
    most = max(cost.value for cost in work)
    rows = [_part(f"Memory, numbers kept as {dtype}"), *(_cost(cost, byte_size(cost.value)) for cost in memory)]
    if shape.kind == "encoder":
        rows.append('<tr><th scope="row">no cache<small>an encoder reads everything at once</small></th><td></td></tr>')
    one = "one token read and one written" if shape.kind == "encoder-decoder" else "one more token"
    rows.append(_part(f"Multiply-adds for {one}"))
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


def _costs_aloud(counts: ModelCounts, tokens: int, dtype: str) -> str:
    shape = counts.shape
    assert shape is not None
    even = costs.even_point(shape)
    said = (
        f"Scores and sums grow with the context; projections and MLP do not. From {even:,} tokens on, looking around "
        "costs more than projecting."
    )
    saving = costs.grouping_saves(shape)
    if saving is not None:
        said += (
            f" Its {saving.heads} heads share {saving.groups} keys and values: that saves {saving.formula} = "
            f"{saving.parameters:,} parameters in W_K and W_V, and the cache is {saving.cache_factor:g} times smaller."
        )
    return said


def all_tensors(counts: ModelCounts) -> None:
    """Every tensor as a row, and the file of it."""
    table = counts.table
    frame = table.frame()
    whole = {name: st.column_config.NumberColumn(format="localized") for name in ("count", "times", "total")}
    alt = f"Every tensor of {table.title}."
    st.dataframe(frame, hide_index=True, height=420, key="tensor_rows", column_config=whole, alt=alt)
    name = "".join(c if c.isalnum() else "-" for c in table.title.lower())
    counts.page.save_menu.add_views(
        numbers=save.Numbers(f"parameters of {table.title}", lambda: frame.to_csv(index=False)),
    )
    st.download_button(
        "CSV of the table",
        data=lambda: frame.to_csv(index=False),
        file_name=f"parameters-{name}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _reconciled(key: Any, _counts: ModelCounts) -> Reconciliation:
    return reconcile(_counts.table)


def reconciled(counts: ModelCounts) -> str:
    """Both figures, as a badge and a sentence; builds the model without memory."""
    checked = _reconciled(sorted((k, str(v)) for k, v in counts.table.config.items()), counts)
    if checked.built is None:
        return widgets.badge("formula only", "toy") + checked.reason
    if not checked.exact:
        return widgets.badge(f"✕ {checked.built:,} in {checked.class_name}", "bad") + ", ".join(checked.differing[:4])
    return (
        widgets.badge("✓ reconciled", "ok", "Σ numel over the real class, built without memory")
        + f"table {checked.table:,} = {checked.class_name} {checked.built:,}"
    )
