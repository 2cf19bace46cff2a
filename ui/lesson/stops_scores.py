"""Stops 1 to 4 of the lesson: vectors, one word with three meanings, queries and keys, scores and their scale."""

from __future__ import annotations

from functools import partial

import numpy as np

from attn_core.figures.charts.angles import angle_fan
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry, senses
from attn_core.text.numbers import percent, signed, two_digits
from attn_core.views.recorded import SENTENCE
from attn_core.views.snippets import residual as snippets
from attn_core.walkthrough.ablations import StageAblation
from ui import words
from ui.drawing.markup import key, query, tok
from ui.lesson.stop import (
    HEAD,
    LAYER,
    MODEL,
    Bars,
    Chart,
    Reader,
    Stop,
    blank,
    guesses,
    link_to,
    matrix,
    softmax_row,
    starter_trace,
)
from ui.sentences import MOLES

WORDS = words.beside(__file__)
COMPARED = ("creature", "animal", "beast", "person", "forest", "blue")


def vectors(page: Reader) -> Stop:
    """Stop 1: a word is a list of numbers, and a direction means something."""
    trace, creature = starter_trace(page)
    table, ids = trace.vocabulary.matrix.float().numpy(), page.model(MODEL).tokenizer.get_vocab()
    rows = geometry.unit(np.stack([table[ids[word]] for word in COMPARED]))  # [word, d_model], each of length 1
    alike = geometry.cosine(rows[1:], rows[:1])
    nearest = COMPARED[1 + int(np.argmax(alike))]
    texts = [two_digits(cosine) for cosine in alike]
    column = Column("cosine with creature", alike, texts, "plain", 1.0)
    bars = Bars("How alike word vectors are: cosine with that of creature", COMPARED[1:], [column], head="word")
    fan = partial(angle_fan, COMPARED[0], rows[0], COMPARED[1:], rows[1:])
    least = texts[COMPARED.index("blue") - 1]
    return Stop(
        title=WORDS.text("vectors.title"),
        says=WORDS.html("vectors.says", d_model=trace.d_model),
        picture=bars,
        unasked=blank(bars, 0),
        reads=WORDS.html("vectors.reads", d_model=trace.d_model),
        question=WORDS.text("vectors.question"),
        options=("animal", "forest", "blue") if nearest == "animal" else (nearest, "forest", "blue"),
        right=0,
        reveals=WORDS.html(
            "vectors.reveals", nearest=tok(nearest), most=two_digits(alike.max()), blue=tok("blue"), least=least
        ),
        page_link=("step_by_step", WORDS.text("vectors.page_link"), {"model": MODEL, "text": SENTENCE, "step": 1}),
        also=(
            Chart(fan, "lesson_fan", WORDS.text("vectors.fan")),
            WORDS.html("vectors.fan_reads", d_model=trace.d_model),
        ),
    )


def same_mole(page: Reader) -> Stop:
    """Stop 2: one embedding, three meanings; context must do the rest."""
    traces = [page.trace(text, model=MODEL).stream() for text in MOLES]
    places = [trace.tokens.labels.index("mole") for trace in traces]
    ways = [
        np.stack([t.embedding(layer)[at] for layer in range(t.n_layers + 1)])  # [layer + 1, d_model]
        for t, at in zip(traces, places, strict=True)
    ]
    pairs = WORDS.table("same_mole.pairs")
    cosines = senses.cosines_by_layer(ways)  # [pair, layer + 1]
    names, ends = list(pairs.values()), (0, 3, cosines.shape[1] - 1)
    columns = [
        Column(what, cosines[:, at], [two_digits(c) for c in cosines[:, at]], "plain", 1.0)
        for at, what in zip(ends, ("entering layer 0", "after 3 layers", "at the end"), strict=True)
    ]
    ids = {trace.tokens.ids[at] for trace, at in zip(traces, places, strict=True)}
    table = traces[0].vocabulary.matrix
    token = two_digits(float(geometry.cosine(table[min(ids)].numpy(), table[max(ids)].numpy())))
    least, pair = two_digits(cosines[:, -1].min()), names[int(np.argmin(cosines[:, -1]))]
    bars = Bars("Cosine between three moles, each in its own sentence", names, columns, head="two moles")
    sentences = {letter: (text, [at]) for letter, text, at in zip("ABC", MOLES, places, strict=True)}
    return Stop(
        title=WORDS.text("same_mole.title"),
        says=WORDS.html("same_mole.says", animal=MOLES[0], chemistry=MOLES[1], skin=MOLES[2]),
        picture=bars,
        unasked=blank(bars, 0, 1, 2),
        reads=WORDS.html("same_mole.reads", token=token),
        question=WORDS.text("same_mole.question"),
        options=list(WORDS.table("same_mole.options").values()),
        right=0,
        reveals=WORDS.html("same_mole.reveals", token=token, pair=pair, least=least),
        page_link=("word_senses", WORDS.text("same_mole.page_link"), {"model": MODEL}),
        sentences=MOLES,
        lines=snippets.senses(MODEL, "mole", sentences, ("A", "B")),
    )


def asking(page: Reader) -> Stop:
    """Stop 3: queries and keys."""
    trace, creature = starter_trace(page)
    scores, head = trace.raw_scores(LAYER, HEAD), f"{LAYER}.{HEAD}"  # scores: [query, key]
    answers = np.where(trace.tokens.special, -np.inf, scores[creature])
    options, right = guesses(trace.tokens.labels, answers, ("fluffy", "the"))
    figure = matrix(trace, scores, creature, kind="signed", measure="q·k")
    hidden = scores.copy()
    hidden[creature] = np.nan
    blanked = matrix(trace, hidden, creature, kind="signed", measure="q·k")
    words = [i for i, special in enumerate(trace.tokens.special) if not special]
    fan = partial(
        angle_fan,
        WORDS.text("asking.query"),
        trace.query(LAYER, HEAD)[creature],
        [trace.tokens.labels[i] for i in words],
        trace.key(LAYER, HEAD)[words],
        marked=[words.index(trace.tokens.labels.index(option)) for option in options],
    )
    sizes = {"d_model": trace.d_model, "d_head": trace.d_head}
    says = WORDS.text("asking.picture", head=head)
    return Stop(
        title=WORDS.text("asking.title"),
        says=WORDS.html(
            "asking.says", query=query("query"), key=key("key"), d_model=sizes["d_model"], d_head=sizes["d_head"]
        ),
        picture=Chart(figure, "lesson_scores", says),
        unasked=Chart(blanked, "lesson_scores_asked", WORDS.text("asking.unasked", says=says)),
        reads=WORDS.html("asking.reads", head=head),
        question=WORDS.text("asking.question"),
        options=options,
        right=right,
        reveals=WORDS.html("asking.reveals", key=key(options[right]), score=signed(float(answers.max()))),
        page_link=("step_by_step", WORDS.text("asking.page_link"), link_to(creature) | {"step": 3, "guess_told": 1}),
        also=(Chart(fan, "lesson_fan", WORDS.text("asking.fan", head=head)), WORDS.html("asking.fan_reads")),
    )


def scaling(page: Reader) -> Stop:
    """Stop 4: the scale, and what happens without it."""
    trace, creature = starter_trace(page)
    raw, head, d_head = trace.raw_scores(LAYER, HEAD), f"{LAYER}.{HEAD}", trace.d_head
    with_scale, without = trace.pattern(LAYER, HEAD)[creature], softmax_row(raw[creature])
    columns = [
        Column(f"÷ √{d_head}", with_scale, [percent(float(w)) for w in with_scale], "weight", 1.0),
        Column("left out", without, [percent(float(w)) for w in without], "plain", 1.0),
    ]
    says = WORDS.text("scaling.picture", head=head, d_head=d_head)
    bars = Bars(says, trace.tokens.labels, columns, head="key", marks={creature: ("query", "asks")})
    share, root = percent(float(with_scale.max())), float(np.sqrt(d_head))
    link = link_to(creature) | {"step": 4, "breaks": StageAblation.NO_SCALE.value}
    return Stop(
        title=WORDS.text("scaling.title"),
        says=WORDS.html("scaling.says", d_head=d_head, root=root),
        picture=bars,
        unasked=blank(bars, 1),
        reads=WORDS.html("scaling.reads", head=head),
        question=WORDS.text("scaling.question"),
        options=[share, percent(float(without.max())), "100 %"],
        right=1,
        reveals=WORDS.html("scaling.reveals", share=share, root=root),
        page_link=("step_by_step", WORDS.text("scaling.page_link"), link),
    )
