"""Stops 5 to 8 of the lesson: mask and softmax, values and ΔE, many heads, where the parameters are."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from attn_core.figures.canvas import heads
from attn_core.figures.charts.angles import sum_of_two
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.figures.charts.parameters import named_bars, share_bars, squares_of
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.models.catalogue import CATALOGUE, availability
from attn_core.parameters.count import count_parameters
from attn_core.parameters.low_rank import thin_spectrum
from attn_core.parameters.tree import shares
from attn_core.prediction.next_token import next_words
from attn_core.residual import geometry
from attn_core.text.numbers import percent, tenths_of_percent
from attn_core.traces.stream import StreamTrace
from attn_core.views.recorded import SENTENCE
from attn_core.views.snippets.heads import pattern as pattern_lines
from attn_core.views.snippets.parameters import parameters as parameters_lines
from ui import words
from ui.drawing.markup import key, query
from ui.lesson.stop import (
    DECODER,
    HEAD,
    LAYER,
    MODEL,
    Bars,
    Chart,
    HeadTiles,
    Reader,
    Stop,
    blank,
    link_to,
    starter_trace,
)
from ui.sentences import HUNGRY

WORDS = words.beside(__file__)
REAL = "smollm2"  # the language model that predicts the next word, where it was fetched


class Decoder(NamedTuple):
    """The model that the mask is shown in, its sentence, the head to open, and the noun that looks back."""

    kind: str  # "real" or "toy", which the stop says
    model: str
    text: str
    layer: int
    head: int
    noun: str


def decoder() -> Decoder:
    """A real language model where one was fetched; else the small decoder that was trained here."""
    if REAL in CATALOGUE and availability(REAL)[0]:
        keys = CATALOGUE[REAL].examples[-1]
        return Decoder("real", REAL, keys.text, keys.layer, keys.head, keys.text.split()[-1])
    return Decoder("toy", DECODER, HUNGRY, *card_of(DECODER).best_head, "creature")


def masking(page: Reader) -> Stop:
    """Stop 5: the mask and the softmax, in a model that has a mask and predicts the next word."""
    kind, model, text, layer, at, word = decoder()
    trace = page.trace(text, model=model).stream()
    labels, head = trace.tokens.labels, f"{layer}.{at}"
    pattern, may_look = trace.pattern(layer, at), trace.may_look(layer)
    noun = labels.index(word)
    found = int(np.argmax(pattern[noun]))
    drawn = partial(heatmap_spec, head=head, selected_query=noun, query_special=trace.tokens.special)
    figure = partial(drawn, pattern, labels, masked=~may_look)
    scores = partial(drawn, trace.raw_scores(layer, at), labels, kind="signed", measure="q·k")
    share, options = percent(float(pattern[noun, found])), WORDS.table("masking.options")
    where: dict[str, str | int] = {"model": model, "text": text, "layer": layer, "head": at, "query": noun}
    says_next = next_words(trace, 1)[0] if kind == "real" else None
    word, chance = (says_next.word.strip(), percent(says_next.probability)) if says_next else ("", "")
    return Stop(
        title=WORDS.text("masking.title"),
        says=WORDS.html("masking.says"),
        picture=Chart(figure, "lesson_mask", WORDS.text("masking.picture", kind, head=head)),
        unasked=Chart(scores, "lesson_mask_asked", WORDS.text("masking.unasked", kind, head=head)),
        reads=WORDS.html(
            "masking.reads", kind, head=head, share=share, key=key(labels[found]), next=word, chance=chance
        ),
        question=WORDS.text("masking.question", kind, word=labels[found]),
        options=list(options.values()),
        right=list(options).index("yes" if may_look[found, noun] else "no"),
        reveals=WORDS.html("masking.reveals", kind, query=query(labels[found])),
        page_link=("all_heads", WORDS.text("masking.page_link", kind), where),
        model=model,
        sentences=(text,),
        lines=pattern_lines(model, text, layer, at),
    )


def value(page: Reader) -> Stop:
    """Stop 6: values and ΔE."""
    trace, creature = starter_trace(page)
    weights, labels, head = trace.pattern(LAYER, HEAD)[creature], trace.tokens.labels, f"{LAYER}.{HEAD}"
    parts = trace.delta_e_by_source(LAYER, HEAD, creature)  # [key, d_model]
    sizes = np.linalg.norm(parts, axis=-1)
    columns = [
        Column("attention weight", weights, [percent(float(w)) for w in weights], "weight"),
        Column("size of what it adds", sizes, [f"{size:.3f}" for size in sizes], "delta"),
    ]
    says, marks = WORDS.text("value.picture", head=head), {creature: ("query", "asks")}
    bars = Bars(says, labels, columns, head="from", marks=marks)
    start, change = trace.embedding(LAYER)[creature], parts.sum(axis=0)
    turn = partial(sum_of_two, "E", start, "ΔE", change, "E + ΔE")
    lengths = float(np.linalg.norm(start)), float(np.linalg.norm(change))
    angle = float(geometry.angle(start, start + change))
    directions = thin_spectrum(trace.w_v(LAYER, HEAD), trace.w_o(LAYER, HEAD)).directions_for
    blue, roam = labels.index("blue"), labels.index("roam")  # two words with nearly the same weight
    blues, roams = percent(float(weights[blue])), percent(float(weights[roam]))
    options = WORDS.table("value.options")
    return Stop(
        title=WORDS.text("value.title"),
        says=WORDS.html("value.says", d_head=trace.d_head),
        picture=bars,
        unasked=blank(bars, 1),
        reads=WORDS.html(
            "value.reads",
            head=head,
            total=float(np.linalg.norm(parts.sum(axis=0))),
            d_head=trace.d_head,
            half=directions[0.5],
            most=directions[0.9],
        ),
        question=WORDS.text("value.question", blue=blues, roam=roams),
        options=list(options.values()),
        right=list(options).index("blue" if sizes[blue] >= sizes[roam] else "roam"),
        reveals=WORDS.html(
            "value.reveals", blue_size=sizes[blue], blue=key("blue"), roam_size=sizes[roam], roam=key("roam")
        ),
        page_link=("delta_e", WORDS.text("value.page_link"), link_to(creature)),
        also=(
            Chart(turn, "lesson_turn", WORDS.text("value.turn", head=head)),
            WORDS.html("value.turn_reads", angle=angle, start=lengths[0], change=lengths[1]),
        ),
    )


def many_heads(page: Reader) -> Stop:
    """Stop 7: all heads at once."""
    trace, creature = starter_trace(page)
    n_layers, n_heads = trace.n_layers, trace.n_heads
    packet = heads.pack_patterns(
        (trace.patterns(layer) for layer in range(n_layers)),
        n_layers,
        trace.tokens.labels,
        may_look=[trace.may_look(layer) for layer in range(n_layers)],
    )
    says = "Every head of every layer: rows are layers, columns are heads"
    tiles = HeadTiles(packet, says, (LAYER, HEAD))
    back = percent(float(trace.pattern(0, 2)[creature][creature - 1]))
    return Stop(
        title=WORDS.text("many_heads.title"),
        says=WORDS.html("many_heads.says"),
        picture=tiles,
        unasked=tiles,
        reads=WORDS.html("many_heads.reads", n_layers=n_layers, n_heads=n_heads, share=back),
        question=WORDS.text("many_heads.question"),
        options=("96", "1,152", "9,216"),
        right=2,
        reveals=WORDS.html(
            "many_heads.reveals", of_gpt_3=96 * 96, n_layers=n_layers, n_heads=n_heads, here=n_layers * n_heads
        ),
        page_link=("find_heads", WORDS.text("many_heads.page_link"), {"model": MODEL, "text": SENTENCE}),
        also=(_looked_at_most(trace, creature), WORDS.html("many_heads.looks_reads", layer=LAYER, n_heads=n_heads)),
    )


def _looked_at_most(trace: StreamTrace, creature: int) -> Bars:
    """The word that each head of the layer lets creature look at most, itself and special tokens left out."""
    rows = trace.patterns(LAYER)[:, creature]  # [head, key]
    beside = np.where(trace.tokens.special, 0.0, rows)
    beside[:, creature] = 0.0
    most = beside.argmax(axis=-1)  # [head]
    found = [float(rows[head, key]) for head, key in enumerate(most)]
    looks = [f"{trace.tokens.labels[key]} {percent(weight)}" for key, weight in zip(most, found, strict=True)]
    return Bars(
        WORDS.text("many_heads.looks", layer=LAYER),
        [WORDS.text("many_heads.head", layer=LAYER, head=head) for head in range(trace.n_heads)],
        [Column(WORDS.text("many_heads.most"), found, looks, "weight", 1.0)],
        head="head",
    )


def where_parameters_are(page: Reader) -> Stop:
    """Stop 8: the count."""
    counted = count_parameters("gpt-3")
    attention, total = counted.lesson_attention, counted.lesson_total
    block = attention // 96
    drawn = [counted.title], [shares(counted, lesson=True)]
    bars = partial(share_bars, *drawn, as_share=True)
    named = partial(named_bars, *drawn, as_share=True, theme="light")
    counts = {line.role: line.count for line in counted.lesson}
    parts = {role: counts[role] // counts["query"] for role in ("query", "key", "value", "output", "up", "down")}
    squares, grey = partial(squares_of, parts), partial(squares_of, {"other": sum(parts.values())})
    return Stop(
        title=WORDS.text("parameters.title"),
        says=WORDS.html("parameters.says", head=block // 96, block=block, attention=attention),
        picture=Chart(squares, "lesson_squares", WORDS.text("parameters.squares")),
        unasked=Chart(grey, "lesson_squares_asked", WORDS.text("parameters.unasked")),
        reads=WORDS.html("parameters.reads", total=total),
        question=WORDS.text("parameters.question"),
        options=list(WORDS.table("parameters.options").values()),
        right=0,
        reveals=WORDS.html("parameters.reveals", share=tenths_of_percent(attention / total)),
        page_link=("parameters", WORDS.text("parameters.page_link"), {}),
        also=(
            Chart(bars, "lesson_shares", "Shares of GPT-3’s parameters, matrices only", paper=named),
            WORDS.html("parameters.shares_reads"),
        ),
        badge="counted",
        model="gpt-3",
        sentences=(),
        lines=parameters_lines("gpt-3"),
    )
