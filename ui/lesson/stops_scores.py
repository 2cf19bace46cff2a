"""Stops 1 to 4 of the lesson: vectors, one word with three meanings, queries and keys, scores and their scale."""

from __future__ import annotations

import numpy as np

from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from attn_core.text.numbers import percent, signed
from attn_core.views import snippets as recipes
from ui.drawing import widgets
from ui.lesson.stop import (
    HEAD,
    LAYER,
    MODEL,
    MOLES,
    Stop,
    bars,
    guesses,
    link_to,
    matrix,
    plot,
    softmax_row,
    starter_trace,
)
from ui.page import STARTER, Page


def vectors(page: Page) -> Stop:
    """Stop 1: a word is a list of numbers, and a direction means something."""
    trace, creature = starter_trace(page)
    table = trace.vocabulary.matrix.float().numpy()
    words = ("creature", "animal", "beast", "person", "forest", "blue")
    wordpiece = page.model(MODEL).tokenizer.get_vocab()
    rows = np.stack([table[wordpiece[word]] for word in words])
    alike = geometry.cosine(rows[1:], rows[:1])
    nearest = words[1 + int(np.argmax(alike))]
    texts = [f"{cosine:.2f}".replace("-", "−") for cosine in alike]

    def draw() -> None:
        columns = [Column("cosine with creature", alike, texts, "plain", 1.0)]
        bars("How alike word vectors are: cosine with that of creature", words[1:], columns, head="word")

    return Stop(
        "Words become vectors",
        f"A model never sees letters. Every word of its vocabulary is a list of numbers, here {trace.d_model} of them, "
        "that training has put into place: an arrow in a very large space. Words that are used alike point alike, and "
        "how alike two arrows point is the cosine of the angle between them: 1 is the same way, 0 is unrelated.",
        draw,
        f"In GPT-3 such an arrow has 12,288 numbers; here it has {trace.d_model}. Where a word stands in the sentence "
        "is added as a second arrow.",
        "Whose arrow lies closest to creature’s?",
        ("animal", "forest", "blue") if nearest == "animal" else (nearest, "forest", "blue"),
        0,
        f"{widgets.tok(nearest)} has a cosine of {alike.max():.2f}; {widgets.tok('blue')} only "
        f"{texts[words.index('blue') - 1]}. Nobody told the model: it follows from how the words are used.",
        ("step_by_step", "Watch a sentence become vectors", {"model": MODEL, "text": STARTER}),
    )


def same_mole(page: Page) -> Stop:
    """Stop 2: one embedding, three meanings; context must do the rest."""
    traces = [page.trace(text, model=MODEL) for text in MOLES]
    places = [trace.tokens.labels.index("mole") for trace in traces]
    routes = [[t.embedding(layer)[at] for layer in range(t.n_layers + 1)] for t, at in zip(traces, places, strict=True)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    cosines = np.array(
        [[float(geometry.cosine(a, b)) for a, b in zip(routes[i], routes[j], strict=True)] for i, j in pairs]
    )
    table = traces[0].vocabulary.matrix
    ids = {trace.tokens.ids[at] for trace, at in zip(traces, places, strict=True)}
    door = float(geometry.cosine(table[min(ids)].numpy(), table[max(ids)].numpy()))
    names = ("animal – chemistry", "animal – skin", "chemistry – skin")

    def draw() -> None:
        ends = ((0, "entering layer 0"), (3, "after 3 layers"), (cosines.shape[1] - 1, "at the end"))
        columns = [
            Column(what, cosines[:, at], [f"{c:.2f}" for c in cosines[:, at]], "plain", 1.0) for at, what in ends
        ]
        bars("Cosine between three moles, each in its own sentence", names, columns, head="two moles")

    return Stop(
        "The same mole, three times",
        "<em>The american shrew mole digs a burrow. One mole of carbon dioxide. Take a biopsy of the mole.</em> One "
        "word, three meanings; but the vocabulary holds one arrow for <em>mole</em>, whatever stands around it. So all "
        "that tells the three apart must come from the other words, and attention is how it comes.",
        draw,
        f"Cosine between the three moles; the door’s own arrow is one and the same (cosine {door:.2f}). Entering "
        "layer 0 they already differ a little: each stands at another place in its sentence.",
        "Before any context, how alike are the three moles’ word vectors?",
        ("identical", "a little different", "unrelated"),
        0,
        f"All three have the same entry in the vocabulary: cosine {door:.2f}. At the end of the model the most "
        f"different pair, {names[int(np.argmin(cosines[:, -1]))]}, is down to {cosines[:, -1].min():.2f}.",
        ("word_senses", "Follow the three moles through the layers", {"model": MODEL}),
        sentences=MOLES,
        lines=recipes.senses(
            MODEL, "mole", {c: (text, [at]) for c, text, at in zip("ABC", MOLES, places, strict=True)}, ("A", "B")
        ),
    )


def asking(page: Page) -> Stop:
    """Stop 3: queries and keys."""
    trace, creature = starter_trace(page)
    scores = trace.raw_scores(LAYER, HEAD)
    labels = trace.tokens.labels
    answers = np.where(trace.tokens.special, -np.inf, scores[creature])
    options, right = guesses(labels, answers, ("fluffy", "the"))

    def draw() -> None:
        figure = matrix(trace, scores, creature, kind="signed", measure="q·k")
        plot(figure, "lesson_scores", f"Dot products of queries and keys in head {LAYER}.{HEAD}.")

    size = f"{trace.d_model} to {trace.d_head} numbers"
    return Stop(
        "Asking and answering",
        f"Each word sends out a {widgets.query('query')}, a short arrow that asks, and a {widgets.key('key')}, one "
        f"that answers. Two matrices make them, W<sub>Q</sub> and W<sub>K</sub>, from {size} (12,288 to 128 in GPT-3). "
        "<em>creature</em> may be asking: any adjectives here? That reading is ours; the numbers are the model’s. "
        "Where a key points the way a query points, their dot product is large.",
        draw,
        f"Rows ask, columns answer, in head {LAYER}.{HEAD}. Orange: the key answers the query; blue: it points away.",
        "Which of these keys answers creature’s query best?",
        options,
        right,
        f"{widgets.key(options[right])}: q · k = {signed(float(answers.max()))}. "
        "A word may well answer itself; what matters is who else does.",
        ("step_by_step", "See each dot product, number by number", link_to(creature)),
    )


def scaling(page: Page) -> Stop:
    """Stop 4: the scale, and what happens without it."""
    trace, creature = starter_trace(page)
    raw = trace.raw_scores(LAYER, HEAD)
    with_scale, without = trace.pattern(LAYER, HEAD)[creature], softmax_row(raw[creature])
    root = np.sqrt(trace.d_head)

    def draw() -> None:
        columns = [
            Column(f"÷ √{trace.d_head}", with_scale, [percent(float(w)) for w in with_scale], "weight", 1.0),
            Column("left out", without, [percent(float(w)) for w in without], "plain", 1.0),
        ]
        says = f"Weights of creature in head {LAYER}.{HEAD}, with the division by √{trace.d_head} and without"
        bars(says, trace.tokens.labels, columns, head="key", marks={creature: ("query", "asks")})

    largest = float(without.max())
    options = [percent(float(with_scale.max())), percent(largest), "100 %"]
    return Stop(
        "Scores, and why they are scaled",
        f"A dot product adds up {trace.d_head} products, so its spread grows like the root of that number. The softmax "
        "that comes next turns differences into ratios: large scores would let the largest take nearly everything, and "
        f"the model could hardly learn. So every score is divided by √{trace.d_head} = {root:.1f}.",
        draw,
        f"Weights of <em>creature</em> in head {LAYER}.{HEAD}, with the division and without it.",
        "Without the division, how much would the largest weight be?",
        options,
        1,
        f"With it, {percent(float(with_scale.max()))}. The scores are the same, only {root:.1f} times as far apart.",
        ("step_by_step", "Switch √d off yourself", link_to(creature) | {"breaks": "no_scale"}),
    )
