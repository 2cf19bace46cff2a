"""The other pictures of the ΔE page: each function draws one card's worth for the token that is shown."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.charts import arrows
from attn_core.figures.charts import delta_e as figures
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from attn_core.residual.logit_attribution import nearest_words
from attn_core.text.decoding import visible
from attn_core.text.numbers import MINUS, percent, signed_percent
from ui.delta_e.token import OneToken, named
from ui.drawing import gallery, widgets
from ui.link import choice

PARAMS = [
    choice("writer", ("head", "layer", "mlp")),
    choice("moves", ("head", "layer", "path")),
    choice("axes", ("2", "3")),
    choice("plane", ("moves", "words")),
    choice("numbers", ("head", "layer")),
    choice("order", ("index", "variance")),
]
STAIRCASE = "How far each head goes along the layer’s whole ΔE; the steps end at 100 %. Steps back pull the other way."
SOURCES = (
    'ΔE of a head is a sum over the words it looks at: <b class="hl-k">weight</b> × <b class="hl-v">value</b> '
    '(the lesson’s large value vector, v·W_O) = what each <b class="hl-d">adds</b>.'
)
WRITES = "Words of the model’s own vocabulary that ΔE points to (right) and away from (left)."
ARROWS = "A word is a point in hundreds of dimensions. Attention moves it."
NUMBERS = "Every word’s ΔE in full: rows are words, columns are dimensions, blue is negative, orange positive."
MOST_SOURCES = 24
QUIET = {"displayModeBar": False}


def staircase(shown: OneToken) -> None:
    """What each head makes up of the layer's ΔE, up to 100 %."""
    parts = [part for part in shown.ledger.parts if part.kind in ("head", "bias")]
    names = [part.name.removeprefix("head ").replace("cross head ", "× ").replace("output ", "") for part in parts]
    shares = np.array([shown.ledger.share(part) for part in parts])
    own = shown.viewed.stream or "self"
    chosen = next((i for i, part in enumerate(parts) if part.head == shown.head and part.stream == own), None)
    lengths = geometry.norm(np.stack([p.vector for p in parts]))
    figure = partial(figures.share_bars, names, shares, lengths, chosen=chosen)
    alt = f"Shares of layer {shown.layer}'s ΔE for {shown.name}, head by head; the numbers are in the ledger below."
    says = f"What each head makes up of layer {shown.layer}'s ΔE of {shown.name}"
    gallery.plot("Staircase of the layer", figure, key="staircase", alt=alt, says=says, config=QUIET)


def sizes(shown: OneToken) -> None:
    """Four numbers about the step."""
    book = shown.ledger
    mlp = next(part.vector for part in book.parts if part.kind == "mlp")
    widgets.strip(
        [
            (f"{geometry.norm(book.embedding):.1f}", "length of E"),
            (f"{geometry.norm(book.attention):.1f}", "length of ΔE, all heads"),
            (f"{geometry.norm(mlp):.1f}", "length of the MLP’s part"),
            (f"{geometry.angle(book.embedding, book.next_embedding):.0f}°", "turn of E by the layer"),
        ]
    )


def sources(shown: OneToken) -> None:
    """Where a head's ΔE came from: one stacked bar, and weight, value and contribution side by side."""
    found, keys = shown.sources, shown.viewed.keys
    if len(keys) > MOST_SOURCES:
        kept = np.sort(np.argsort(-np.abs(found.along))[:MOST_SOURCES])
    else:
        kept = np.arange(len(keys))
    labels, places = [keys.labels[i] for i in kept], kept.tolist()
    alt = f"ΔE of head {shown.layer}.{shown.head} for {shown.name}, by source; the numbers are in the table."
    bar = partial(figures.stacked_sources, labels, places, found.along[kept])
    says = f"Where head {shown.layer}.{shown.head}'s ΔE of {shown.name} came from"
    gallery.plot("Where it came from, stacked", bar, key="stacked", alt=alt, says=says, config=QUIET)
    _source_table(shown, kept, says)
    widgets.reading(_lesson_of_sources(shown, len(kept)))
    with st.expander("The numbers"):
        st.dataframe(_source_numbers(shown), hide_index=True)


def _source_numbers(shown: OneToken) -> pd.DataFrame:
    """Every source in full: what is weighted, how long weight · value is, and how much of it goes along ΔE."""
    found, keys = shown.sources, shown.viewed.keys
    return pd.DataFrame(
        {
            "from": [f"{visible(label)} ({i})" for i, label in enumerate(keys.labels)],
            "weight %": 100 * found.weights,
            "‖value‖": found.lengths,
            "‖weight · value‖": found.sizes,
            "along ΔE": found.along,
            "of ΔE %": 100 * found.shares,
        }
    ).round(3)


def _source_table(shown: OneToken, kept: Any, says: str) -> None:
    """Weight, value and what it adds, number beside bar, in the sentence's order."""
    found, keys = shown.sources, shown.viewed.keys
    columns = [
        Column("weight", found.weights[kept], [percent(float(w)) for w in found.weights[kept]], "key", 1.0),
        Column("length of value", found.lengths[kept], [f"{n:.2f}" for n in found.lengths[kept]], "value"),
        Column("adds along ΔE", found.along[kept], [_hundredths(a) for a in found.along[kept]], "delta"),
    ]
    names = [f"{visible(keys.labels[i])} {i}" for i in kept]
    own = shown.token if shown.viewed.stream != "cross" else None
    marks = {row: ("query", "itself") for row, i in enumerate(kept) if i == own}
    gallery.bars("Where it came from, word by word", names, columns, says=says, head="from", marks=marks)


def _hundredths(number: float) -> str:
    return f"{number:+.2f}".replace("-", MINUS) if abs(number) >= 0.005 else "0.00"


def _lesson_of_sources(shown: OneToken, n_kept: int) -> str:
    """The heaviest source beside the one that adds most, as HTML."""
    found, keys = shown.sources, shown.viewed.keys
    heavy, strong = int(found.weights.argmax()), found.strongest

    def name(i: int) -> str:
        return widgets.tok(named(keys.labels, i), "k")

    said = f"The largest weight is on {name(heavy)} ({percent(float(found.weights[heavy]))})"
    if heavy == strong:
        said += f", and it adds most: {signed_percent(float(found.shares[strong]))} of ΔE."
    else:
        added, most = (signed_percent(float(found.shares[i])) for i in (heavy, strong))
        weight = percent(float(found.weights[strong]))
        said += f", but it adds {added} of ΔE; {name(strong)} adds {most} with {weight} of the weight."
    if n_kept < len(keys):
        said += f" Drawn are the {n_kept} sources that add most, of {len(keys)}."
    return said.replace(" %", "&nbsp;%")


def writes(shown: OneToken) -> None:
    """The words that a part points to and away from, with the line that luck draws."""
    if shown.no_words:
        widgets.note(shown.no_words)
        return
    options = {"head": f"head {shown.layer}.{shown.head}", "layer": f"layer {shown.layer}", "mlp": "its MLP"}
    part = widgets.switch("Whose words", options, "writer")
    words, far, by_luck = shown.remember(("writes", part, shown.head), lambda: _written(shown, part))
    figure = partial(figures.word_bars, words, far, by_luck)
    says = f"Words that ΔE of {shown.name} points to (right) and away from (left), written by {options[part]}"
    alt = "Words of the vocabulary that this part points to and away from; the numbers are in the table."
    gallery.plot("What it writes", figure, key="words", alt=alt, says=says, config=QUIET)
    kind, n = shown.trace.vocabulary.kind, len(shown.trace.vocabulary.matrix)
    strong = int((np.abs(far) > by_luck).sum())
    verdict = f"{strong} of them beat luck" if strong else "none of them beats luck: read nothing into them"
    st.html(
        f'<div class="hl-hint">Nearest of {n:,} words of the {escape(kind)}, unfiltered; {verdict}. '
        f"The best of that many words reaches {by_luck:.1f} standard deviations by luck alone (dotted).</div>"
    )
    with st.expander("The numbers"):
        table = {"word": [visible(word) for word in words], "standard deviations": far}
        st.dataframe(pd.DataFrame(table), hide_index=True)


def _written(shown: OneToken, part: str) -> tuple[list[str], Any, float]:
    kinds = {"layer": ("head", "bias"), "mlp": ("mlp",)}
    if part == "head":
        vector = shown.heads_here[shown.head]
    else:
        vector = np.sum([p.vector for p in shown.ledger.parts if p.kind in kinds[part]], axis=0)
    word = shown.trace.vocabulary.word
    up, down = (
        nearest_words(shown.trace, shown.token, vector[None], 7, away=a, stream=shown.block) for a in (False, True)
    )
    ids = [*up.ids[0], *down.ids[0][::-1]]
    far = np.concatenate([up.deviations[0], down.deviations[0][::-1]])
    return [word(int(i)) for i in ids], far, up.by_luck


def arrows_switches(shown: OneToken) -> None:
    with st.container(horizontal=True, gap="small"):
        moves = {
            "head": f"head {shown.layer}.{shown.head}",
            "layer": f"all of layer {shown.layer}",
            "path": "path through all layers",
        }
        widgets.switch("Moves", moves, "moves")
        widgets.switch("Axes", {"2": "2-D", "3": "3-D"}, "axes")
        if st.session_state["moves"] != "path":
            widgets.switch("Plane", {"moves": "shows the moves best", "words": "shows the words best"}, "plane")


def arrows_drawn(shown: OneToken) -> None:
    """E → E + ΔE for every token, or one token's way through all layers; true lengths and angles beside it."""
    n_axes, path = int(shown.page.state["axes"]), shown.page.state["moves"] == "path"
    figure, hint, table = _path(shown, n_axes) if path else _moves(shown, n_axes)
    says = f"The path of {shown.name} through all layers" if path else "From E to E + ΔE, an arrow a word"
    left, right = st.columns([64, 36], gap="medium")
    with left:
        alt = "Arrows from E to E + ΔE on principal components; true lengths and angles are in the table."
        says += ", on principal components (axes say how much of the variance they keep)"
        gallery.plot("Arrows in the space of meanings", figure, key="arrows", alt=alt, says=says)
    with right:
        st.html('<div class="hl-hint">In the full space, where nothing is lost:</div>')
        height = 36 * (min(len(table), 12) + 1) + 2
        st.dataframe(table, key="arrows_table", hide_index=True, row_height=36, height=height)
    st.html(f'<div class="hl-hint">{hint}</div>')


def _moves(shown: OneToken, n_axes: int) -> tuple[Any, str, pd.DataFrame]:
    where, layer = shown.viewed.stream, shown.layer
    starts = shown.trace.embedding(layer, stream=where)
    if shown.page.state["moves"] == "head":
        what, moves = f"head {layer}.{shown.head}", shown.trace.delta_e(layer, shown.head, stream=where)
    else:
        what, moves = f"attention of layer {layer}", shown.trace.attention_added(layer, stream=where)
    if shown.page.state["plane"] == "moves":  # ±, so that a direction which all moves share is not centred away
        view = geometry.fit_projection(np.concatenate([moves, -moves]), n_axes, "ΔE and −ΔE of every word")
    else:
        view = geometry.fit_projection(np.concatenate([starts, starts + moves]), n_axes, "E and E + ΔE of every word")
    near = _landmarks(shown, np.stack([starts[shown.token], starts[shown.token] + moves[shown.token]]))
    figure = partial(
        arrows.token_arrows, shown.labels, starts, moves, view, what=what, chosen=shown.token, landmarks=near
    )
    table = pd.DataFrame(
        {
            "word": [f"{visible(label)} ({i})" for i, label in enumerate(shown.labels)],
            "‖E‖": geometry.norm(starts).round(2),
            "‖ΔE‖": geometry.norm(moves).round(2),
            "turn °": geometry.angle(starts, starts + moves).round(1),
            "drawn %": (100 * geometry.norm(view.arrows(moves)) / geometry.norm(moves)).round(0),
        }
    )
    return figure, _fit_note(view, f"Each arrow is one word: it starts at E and ends at E + ΔE of {what}."), table


def _path(shown: OneToken, n_axes: int) -> tuple[Any, str, pd.DataFrame]:
    n_layers = shown.viewed.n_layers
    path = np.stack([shown.trace.embedding(i, stream=shown.block)[shown.token] for i in range(n_layers + 1)])
    view = geometry.fit_projection(path, n_axes, "this word at every layer")
    stops = ["at the door", *(f"after layer {i}" for i in range(n_layers))]
    name, near = f"{visible(shown.labels[shown.token])} ({shown.token})", _landmarks(shown, path[[0, -1]])
    figure = partial(arrows.routes, [name], [path], view, stops=stops, landmarks=near)
    before = np.concatenate([path[:1], path[:-1]])
    table = pd.DataFrame(
        {
            "where": stops,
            "‖E‖": geometry.norm(path).round(2),
            "step": geometry.norm(path - before).round(2),
            "turn °": geometry.angle(before, path).round(1),
            "from the door °": geometry.angle(path[0], path).round(1),
        }
    )
    return figure, _fit_note(view, "Each arrow is what one whole layer did, norms and MLP included."), table


def _landmarks(shown: OneToken, ends: Any) -> list[arrows.Landmarks]:
    """The words that stand out nearest to both ends of the token's way; none where no words can be read."""
    if shown.no_words:
        return []
    words = shown.trace.vocabulary
    found = nearest_words(shown.trace, shown.token, ends, 5, stream=shown.block)
    ids = list(dict.fromkeys(int(i) for i in found.ids[found.stands_out]))[:4]
    vectors = words.matrix[ids].float().cpu().numpy()
    return [arrows.Landmarks(vectors, [words.word(i) for i in ids], at=float(geometry.norm(ends).mean()))]


def _fit_note(view: Any, what: str) -> str:
    kept = percent(float(view.explained.sum()))
    return (
        f"{what} The axes are principal components of {view.fitted_on} and keep {kept} of their variance; the rest of "
        "the space is not drawn, so trust the lengths and angles of table and hover. Grey words are the nearest "
        "of the vocabulary that beat luck; only their direction is true."
    ).replace(" %", "&nbsp;%")


def numbers(shown: OneToken) -> None:
    """ΔE of every token, number by number."""
    with st.container(horizontal=True, gap="small"):
        options = {"head": f"head {shown.layer}.{shown.head}", "layer": f"sum of layer {shown.layer}"}
        which = widgets.switch("Whose numbers", options, "numbers")
        order = widgets.switch("Order", {"index": "in order", "variance": "most different first"}, "order")
    where = shown.viewed.stream
    if which == "head":
        delta, name = shown.trace.delta_e(shown.layer, shown.head, stream=where), f"head {shown.layer}.{shown.head}"
    else:
        delta, name = shown.trace.attention_output(shown.layer, stream=where), f"layer {shown.layer}"
    picture = geometry.dimensions(delta, by_variance=order == "variance")
    figure = partial(figures.dimension_map, shown.labels, picture, name=f"ΔE of {name}")
    says = f"ΔE of {name}: rows are words, columns are dimensions"
    alt = f"ΔE of {name}: {len(shown.labels)} tokens by {delta.shape[1]} dimensions, blue negative, orange positive."
    gallery.plot("ΔE, number by number", figure, key="numbers_map", alt=alt, says=says)
    if picture.per_bin > 1:
        binned = f"Each column is the mean of {picture.per_bin} of the {delta.shape[1]} dimensions."
        st.html(f'<div class="hl-hint">{binned}</div>')
    with st.expander("The numbers"):
        names = [f"{i} {visible(label)}" for i, label in enumerate(shown.labels)]
        st.dataframe(pd.DataFrame(delta, index=names))
