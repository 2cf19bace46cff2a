"""Steps 7 and 8: values and ΔE."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
from markupsafe import Markup

from attn_core.errors import HeadlightError
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.matrix_shapes import value_matrices
from attn_core.figures.html.strengths import strengths
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.figures.paper import lines_and_boxes
from attn_core.parameters import low_rank
from attn_core.residual import geometry
from attn_core.text.numbers import number, percent_or_masked
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace
from ui import words
from ui.drawing import canvas, gallery, widgets
from ui.server import shared
from ui.shell.folds import folded
from ui.shell.menu import go
from ui.step_by_step import layout
from ui.step_by_step.grids import bars_of, marks_of
from ui.step_by_step.layout import paragraph
from ui.step_by_step.pocket import editors
from ui.step_by_step.sentences_scores import Term
from ui.step_by_step.sentences_values import read_off, value_formulas
from ui.step_by_step.subject import Array, StepSubject
from ui.step_by_step.vectors import most, stack, strips
from ui.words import together

WORDS = words.beside(__file__)


def values(subject: StepSubject) -> None:
    """Step 7: what is passed on."""
    value, d, k = subject.stages.value.numpy(), subject.d_model, subject.d_head  # value: [key, d_head]
    with widgets.card("step_7"):
        what, lifted = WORDS.html("step_7.what", k=k), WORDS.html("step_7.lifted", d=d)
        layout.step_header(7, what, lifted, aside=WORDS.html("step_7.names"), formulas=value_formulas(subject))
        if subject.toy is not None:
            editors.editors(subject, "w_v", "w_o")
        _one_value(subject)
        with layout.all_words(7, "values, and share · value of every word") as is_open:
            if is_open:
                _every_value(subject)
        _give_and_take(subject)
        if subject.is_real:
            _low_rank(subject)
        layout.numbers_and_code(
            subject, 7, lambda: layout.by_dimension(value, subject.keys), "value", "weighted_values"
        )


def _one_value(subject: StepSubject) -> None:
    """The chosen key's value, as much of it as is taken, and the sum over all words."""
    w, i, j = subject.stages, subject.query, subject.key
    value, taken = w.value[j].numpy(), (w.pattern[i, j] * w.value[j]).numpy()  # [d_head]
    share = percent_or_masked(float(w.pattern[i, j]))
    paragraph(WORDS.html("step_7.one", word=subject.query_html, other=subject.key_html, share=share))
    rows = [(subject.key_name(j), value), (f"{share} of it", taken), ("sum of all", w.weighted_values[i].numpy())]
    says = WORDS.text("step_7.one_alt", word=subject.key_name(j), share=share)
    stack(rows, "step_7_one", says, picture="7 · One value and the sum")


def _every_value(subject: StepSubject) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        paragraph(WORDS.html("step_7.values"))
        value = subject.stages.value.numpy()  # [key, d_head]
        strips(subject, value, "value", "step_7_v", of_keys=True, picture="7 · Values")
    with right:
        paragraph(WORDS.html("step_7.weighted", word=subject.query_html))
        _weighted(subject)


def _low_rank(subject: StepSubject) -> None:
    """Two thin matrices in place of a square, and how few of their directions this head uses much."""
    d, k = subject.d_model, subject.d_head
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    left.html(value_matrices(d, k))
    with right:
        paragraph(WORDS.html("step_7.low_rank", square=d * d, thin=2 * d * k, k=k), soft=True)
    assert subject.trace is not None
    try:
        found = shared.memoize(subject.trace, _directions, subject.stream, subject.layer, subject.head)
    except HeadlightError as hidden:
        paragraph(str(hidden), soft=True)
        return
    many = found.directions_for
    paragraph(WORDS.html("step_7.enough", head=subject.head_name, k=k, half=many[0.5], most=many[0.9], d=d))
    values, name = found.values, "7 · Singular values"
    gallery.register(name, partial(lines_and_boxes.strengths, values), WORDS.text("step_7.strengths"))
    st.html(strengths(values, many[0.9], WORDS.text("step_7.strengths_alt", k=k, half=many[0.5], most=many[0.9])))
    with st.container(key="page_links_cliff"):
        go("parameters", WORDS.text("step_7.cliff", d=d), layer=subject.layer, head=subject.head)


def _directions(trace: Trace, stream: str, layer: int, head: int) -> low_rank.Spectrum:
    reader = trace.stream(stream)
    return low_rank.thin_spectrum(reader.w_v(layer, head), reader.w_o(layer, head))


def _weighted(subject: StepSubject) -> None:
    w, window = subject.stages, subject.k_window
    parts = (w.pattern[subject.query][:, None] * w.value).numpy()[window]
    side = subject.key_side("value", "word")
    rows = Side([*side.labels, "= sum"], "value", "", [*side.special, False])
    numbers = np.concatenate([parts, w.weighted_values[subject.query][None].numpy()])
    packet = pack_cells(
        numbers,
        rows,
        Side(),
        says=WORDS.text("vector_cell.numbered"),
        alt=WORDS.text("step_7.weighted_alt"),
        chosen=(len(parts), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
    )
    canvas.cells(packet, key="step_7_weighted", picture="7 · Share · value")


def _give_and_take(subject: StepSubject) -> None:
    """Share, length of the value, length of the contribution: a large share of a small value adds little."""
    w = subject.stages
    shares = np.where(w.may_look[subject.query].numpy(), w.pattern[subject.query].numpy(), np.nan)  # [key]
    lengths, given = geometry.norm(w.lifted.numpy()), geometry.norm(w.by_source(subject.query).numpy())
    order = bars_of(subject, given)
    columns = [
        Column("share", shares[order], list(map(percent_or_masked, shares[order]))),
        Column("length of its value", lengths[order], list(map(number, lengths[order])), "value"),
        Column("share · value, its part in ΔE", given[order], list(map(number, given[order])), "delta"),
    ]
    paragraph(WORDS.html("step_7.gives"))
    names = [subject.key_name(i) for i in order]
    gallery.bars("7 · What each word gives", names, columns, marks=marks_of(subject, order))


def delta(subject: StepSubject) -> None:
    """Step 8: what the head adds."""
    d, k, i = subject.d_model, subject.d_head, subject.query
    e, change = subject.embedding[i], subject.stages.delta[i].numpy()  # both [d_model]
    lift: list[Term] = [("ΔE", f"{d}", "d"), "=", ("mix", f"{k}", "v"), "·", ("W<sub>O</sub>", f"{k} × {d}", "v")]
    with widgets.card("step_8"):
        what = WORDS.html("step_8.what", d=d, word=subject.query_html)
        layout.step_header(8, what, aside=read_off(subject), formulas=[lift, [("E", f"{d}"), "+", ("ΔE", f"{d}", "d")]])
        _three_strips(subject, e, change)
        left, right = st.columns(2, gap="large")
        with left:
            _turn(e, change, subject.query_html)
        with right:
            if subject.is_real:
                _with_the_others(subject, change)
        table = lambda: layout.by_dimension(subject.stages.delta.numpy(), subject.queries, subject.meanings)  # noqa: E731
        layout.numbers_and_code(subject, 8, table, "delta")
        if subject.is_real:
            with st.container(horizontal=True, gap="small", key="page_links_delta"):
                go("delta_e", "Every head’s ΔE, added up", layer=subject.layer, head=subject.head)
                go("why_there", "Why it looks there", ("why", "score"), layer=subject.layer, head=subject.head)
                go("why_there", "Its card", ("why", "card"), layer=subject.layer, head=subject.head)


def _three_strips(subject: StepSubject, e: Array, change: Array) -> None:
    """E, ΔE and their sum on one scale, and ΔE once more on its own: one head adds little to a single number."""
    if subject.meanings:
        _named_strips(subject, e, change)
        return
    paragraph(WORDS.html("step_8.together"))
    three, alt = [("E", e), ("ΔE", change), ("E + ΔE", e + change)], WORDS.text("step_8.strips_alt")
    stack(three, "step_8_strips", alt, picture="8 · E, ΔE and their sum")
    alone = folded(WORDS.text("step_8.alone"), "alone_8", ":material/unfold_more:")
    if alone.open:
        with alone:
            stack([("ΔE", change)], "step_8_delta", "ΔE on a scale of its own", picture="8 · ΔE alone")


def _named_strips(subject: StepSubject, e: Array, change: Array) -> None:
    packet = pack_cells(
        np.stack([e, change, e + change]),
        Side(["E", "ΔE", "E + ΔE"], "delta"),
        Side(subject.meanings),
        says=WORDS.text("vector_cell.named"),
        alt="E, ΔE and their sum",
        chosen=(1, None),
        row_height=28,
    )
    canvas.cells(packet, key="step_8_strips", picture="8 · E, ΔE and their sum")


def _turn(e: Array, change: Array, word: Markup) -> None:
    """E, ΔE and their sum in the one plane that holds all three."""
    length, added, total = (float(geometry.norm(x)) for x in (e, change, e + change))
    between, turned = float(geometry.angle(e, change)), float(geometry.angle(e, e + change))
    if np.isnan(between):
        paragraph(WORDS.html("step_8.zero", word=word))
        return
    drawn = [
        Arrow(length, 0.0, "embedding", "E", "below"),
        Arrow(added, between, "delta", "ΔE", "beside", start=0),
        Arrow(total, turned, "soft", "E + ΔE"),
    ]
    paragraph(WORDS.html("step_8.turns", word=word, degrees=number(turned)))
    says = WORDS.text("step_8.turns_caption")
    gallery.register("8 · E turns", partial(lines_and_boxes.to_scale, drawn), says)
    st.html(arrows(drawn, WORDS.text("step_8.arrows_alt", e=length, delta=added, between=between)))
    paragraph(WORDS.html("step_8.true", e=number(length), delta=number(added), between=between), soft=True)


def _with_the_others(subject: StepSubject, change: Array) -> None:
    """This head beside the other heads and the bias of its layer, and what the block does with their sum."""
    reader, i, layer = subject.reader, subject.query, subject.layer
    assert reader is not None
    whole, bias, n_heads = reader.attention_output(layer)[i], reader.output_bias(layer), reader.n_heads
    rows = [
        (f"{subject.head_name} alone", change),
        (f"the other {n_heads - 1} heads", whole - change - bias),
        ("output bias", bias),
        ("all together", whole),
    ]
    lengths = [float(geometry.norm(x)) for _, x in rows]
    column = Column("length", lengths, [number(x) for x in lengths], "delta")
    paragraph(WORDS.html("step_8.heads", n=n_heads, word=subject.query_html))
    gallery.bars("8 · One of several heads", [name for name, _ in rows], [column], head="part")
    paragraph(together(WORDS.html("step_8.lengths"), _block(reader, layer)), soft=True)


def _block(reader: StreamTrace, layer: int) -> str:
    """What this model's blocks do with the sum of all heads, or why that cannot be said."""
    try:
        return reader.block(layer).attention_sentence
    except HeadlightError as error:
        return str(error)
