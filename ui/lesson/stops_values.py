"""Stops 5 to 8 of the lesson: mask and softmax, values and ΔE, many heads, where the parameters are."""

from __future__ import annotations

from functools import partial

import numpy as np

from attn_core.figures.canvas import heads as tiles
from attn_core.figures.charts import parameters as parameter_figures
from attn_core.figures.charts.heatmap import heatmap
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.text.numbers import percent
from attn_core.views import snippets as recipes
from ui.drawing import canvas, gallery, widgets
from ui.lesson.stop import (
    DECIDING,
    DECODER,
    HEAD,
    LAYER,
    MODEL,
    PICTURE,
    Stop,
    bars,
    link_to,
    plot,
    starter_trace,
)
from ui.page import STARTER, Page


def masking(page: Page) -> Stop:
    """Stop 5: the mask and the softmax, in a model that has a mask."""
    trace = page.trace(DECIDING, model=DECODER)
    labels = trace.tokens.labels
    layer, head = card_of(DECODER).best_head
    pattern, may_look = trace.pattern(layer, head), trace.may_look(layer)
    noun = labels.index("creature")
    found = int(np.argmax(pattern[noun]))

    def draw() -> None:
        figure = partial(
            heatmap, pattern, labels, head=f"{layer}.{head}", masked=~may_look, selected_query=noun,
            query_special=trace.tokens.special,
        )  # fmt: skip
        plot(figure, "lesson_mask", f"Masked attention pattern of head {layer}.{head} of the small decoder.")

    where = {"model": DECODER, "text": DECIDING, "layer": layer, "head": head, "query": noun}
    return Stop(
        "Mask and softmax",
        "A model that predicts the next word must not see it. So in a decoder the scores of all later words are set to "
        "−∞ before the softmax, which turns every row into weights that are positive and sum to 1; e to the −∞ is 0. "
        "Every beginning of the sentence thereby becomes an example of its own to learn from.",
        draw,
        f"Head {layer}.{head} of our own small decoder, which learnt to find the adjective that decides what happens: "
        f"<em>creature</em> takes {percent(float(pattern[noun, found]))} from {widgets.key(labels[found])}. Hatched: "
        "masked, which is not the same as a weight of zero.",
        f"May {labels[found]} look at creature, the noun that it describes?",
        ("yes", "no", "only in training"),
        1 if not may_look[found, noun] else 0,
        f"<em>creature</em> comes later, so for {widgets.query(labels[found])} it is masked, in training and "
        "afterwards. The noun looks back at its adjectives instead. An encoder, such as the model of the other stops, "
        "has no such mask.",
        ("all_heads", "Look around in the decoder", where),
        model=DECODER,
        sentences=(DECIDING,),
        lines=recipes.pattern(DECODER, DECIDING, layer, head),
    )


def value(page: Page) -> Stop:
    """Stop 6: values and ΔE."""
    trace, creature = starter_trace(page)
    weights = trace.pattern(LAYER, HEAD)[creature]
    parts = trace.delta_e_by_source(LAYER, HEAD, creature)
    sizes = np.linalg.norm(parts, axis=-1)
    labels = trace.tokens.labels
    one, other = labels.index("blue"), labels.index("roam")  # two words with nearly the same weight
    longer = max(one, other, key=lambda key: sizes[key])
    total = float(np.linalg.norm(parts.sum(axis=0)))

    def draw() -> None:
        columns = [
            Column("attention weight", weights, [percent(float(w)) for w in weights], "weight"),
            Column("size of what it adds", sizes, [f"{size:.3f}" for size in sizes], "delta"),
        ]
        says = f"Where head {LAYER}.{HEAD}'s ΔE of creature came from"
        bars(says, labels, columns, head="from", marks={creature: ("query", "asks")})

    return Stop(
        "Value and ΔE",
        f'Now something moves. Each word also has a <b class="hl-v">value</b>: what it would tell a word that looks at '
        "it. The weights mix the values, W<sub>O</sub> lifts the mix back into the large space, and the sum is "
        '<b class="hl-d">ΔE</b>, the change: <em>E + ΔE</em> is creature, now a fluffy blue one. A head’s value matrix '
        f"is two thin ones, down to {trace.d_head} numbers and up again.",
        draw,
        f"ΔE of <em>creature</em> from head {LAYER}.{HEAD}, split by where it came from. The parts add up to a ΔE of "
        f"length {total:.3f}.",
        f"blue gets {percent(float(weights[one]))}, roam {percent(float(weights[other]))}. Do they add equally much?",
        ("yes, weight is what counts", "no, blue adds more", "no, roam adds more"),
        1 if longer == one else 2,
        f"A word adds its weight times its value, and values differ in length: {sizes[one]:.3f} from "
        f"{widgets.key('blue')}, {sizes[other]:.3f} from {widgets.key('roam')}.",
        ("delta_e", "See every head’s ΔE add up", link_to(creature)),
    )


def many_heads(page: Page) -> Stop:
    """Stop 7: all heads at once."""
    trace, creature = starter_trace(page)
    layers = range(trace.n_layers)

    def draw() -> None:
        packet = tiles.pack_patterns(
            (trace.patterns(layer) for layer in layers),
            trace.n_layers,
            trace.tokens.labels,
            may_look=[trace.may_look(layer) for layer in layers],
        )
        says = "Every head of every layer: rows are layers, columns are heads"
        canvas.overview(packet, key="lesson_overview", picture=PICTURE, says=says, selected=(LAYER, HEAD))

    row = trace.pattern(0, 2)[creature]
    back = percent(float(row[creature - 1]))
    return Stop(
        "Many heads",
        "All this was one head. A block runs many beside each other, each with matrices, questions and answers of its "
        "own, and adds up the ΔE of all of them. Then an MLP has its turn, and the next block begins. No two squares "
        "below are alike; point at one to see it larger.",
        draw,
        f"{trace.n_layers} layers of {trace.n_heads} heads, one forward pass. Head 0.2, the clean diagonal, puts "
        f"{back} of <em>creature</em> on the word before it, whatever word that is.",
        "How many squares would this picture have for GPT-3, with 96 blocks of 96 heads?",
        ("96", "1,152", "9,216"),
        2,
        f"96 × 96 = {96 * 96:,}. This model has {trace.n_layers} × {trace.n_heads} = {trace.n_layers * trace.n_heads}.",
        ("find_heads", "Find the head that does it", {"model": MODEL, "text": STARTER}),
    )


def where_parameters_are(page: Page) -> Stop:
    """Stop 8: the count."""
    from attn_core.parameters.count import count_parameters
    from attn_core.parameters.tree import shares

    ledger = count_parameters("gpt-3")
    share = ledger.lesson_attention / ledger.lesson_total
    block = ledger.lesson_attention // 96

    def draw() -> None:
        drawn = [ledger.title], [shares(ledger, lesson=True)]
        bars = partial(parameter_figures.share_bars, *drawn, as_share=True)
        plot(bars, "lesson_shares", "Shares of GPT-3’s parameters.")
        named = partial(parameter_figures.named_bars, *drawn, as_share=True, theme="light")
        gallery.register(PICTURE, named, "Shares of GPT-3’s parameters, as the lesson counts them")

    return Stop(
        "Where the parameters are",
        f"One head of GPT-3 has four matrices with {block // 96:,} numbers; 96 heads make {block:,} in a block, and 96 "
        f"blocks make <b>{ledger.lesson_attention:,}</b>. The value matrix is low rank, so that it needs no more "
        "numbers than query and key do.",
        draw,
        f"GPT-3 as the lesson counts it: {ledger.lesson_total:,} numbers.",
        "Attention is what all the papers are about. What share of GPT-3’s parameters is it?",
        ("about a third", "about a half", "nearly all"),
        0,
        f"{100 * share:.1f} %: only a third of what you need. Most of the rest is in the MLPs, which come next in the "
        "lesson.",
        ("parameters", "Count any model yourself", {}),
        badge=widgets.badge("counted", "ok", "exact, from the shapes of the matrices alone"),
        model="gpt-3",
        sentences=(),
        lines=recipes.parameters("gpt-3"),
    )
