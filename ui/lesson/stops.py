"""The lesson in eight stops: what each says, its one live picture, its question, and the door into the page behind it.

A stop is made from real traces when it is opened, so every number in it, the answer to its question included, comes
from a model. `STOPS` is their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attn_core import attention
from attn_core.figures.canvas import heads as tiles
from attn_core.figures.charts import parameters as parameter_figures
from attn_core.figures.charts.heatmap import heatmap
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from attn_core.text.numbers import percent, signed
from attn_core.tiny.shipped import best_head
from attn_core.views import snippets as recipes
from ui.drawing import canvas, gallery, widgets
from ui.page import STARTER, Page, provenance

MODEL, DECODER = "minilm", "tiny-decoder"
DECIDING = "a hungry fluffy blue creature"  # what a creature does depends on its being hungry
MOLES = (
    "the american shrew mole digs a burrow",
    "one mole of carbon dioxide weighs 44 grams",
    "take a biopsy of the mole on the skin",
)
PICTURE = "The picture of this stop"  # every stop has one
LAYER, HEAD = 0, 3  # the bundled model's head that looks at both adjectives


@dataclass(frozen=True)
class Stop:
    """One screen of the lesson. `says`, `reads` and `reveals` are HTML; `right` is the true one of the `options`.

    `model` and `sentences` are what its picture is of, `lines` the Python that gives its numbers.
    """

    title: str
    says: str
    draw: Callable[[], None]
    reads: str
    question: str
    options: Sequence[str]
    right: int
    reveals: str
    door: tuple[str, str, dict[str, Any]]
    badge: str = provenance("live")
    model: str = MODEL
    sentences: Sequence[str] = (STARTER,)
    lines: str = recipes.pattern(MODEL, STARTER, LAYER, HEAD)


def _sentence(page: Page) -> tuple[Any, int]:
    """The starter sentence in the bundled model, and where *creature* stands."""
    trace = page.trace(STARTER, model=MODEL)
    return trace, trace.tokens.labels.index("creature")


def _plot(make: Callable[..., Any], key: str, alt: str) -> None:
    gallery.plot(PICTURE, make, key=key, alt=alt, says=alt.rstrip("."), config={"displayModeBar": False})


def _bars(says: str, labels: Sequence[str], columns: Sequence[Column], **options: Any) -> None:
    gallery.bars(PICTURE, labels, columns, says, **options)


def _matrix(trace: Any, numbers: np.ndarray, creature: int, **options: Any) -> Any:
    tokens = trace.tokens
    return partial(
        heatmap, numbers, tokens.labels, head=f"{LAYER}.{HEAD}", selected_query=creature,
        query_special=tokens.special, **options,
    )  # fmt: skip


def _best(labels: Sequence[str], numbers: np.ndarray, also: Sequence[str]) -> tuple[list[str], int]:
    """Three words to guess among, in the sentence's order, and where the largest number among them is."""
    top = labels[int(np.argmax(numbers))]
    options = sorted({top, *[word for word in also if word != top][:2]}, key=labels.index)
    return options, options.index(top)


def vectors(page: Page) -> Stop:
    """Stop 1: a word is a list of numbers, and a direction means something."""
    trace, creature = _sentence(page)
    table = trace.vocabulary.matrix.float().numpy()
    words = ("creature", "animal", "beast", "person", "forest", "blue")
    wordpiece = page.model(MODEL).tokenizer.get_vocab()
    rows = np.stack([table[wordpiece[word]] for word in words])
    alike = geometry.cosine(rows[1:], rows[:1])
    nearest = words[1 + int(np.argmax(alike))]
    texts = [f"{cosine:.2f}".replace("-", "−") for cosine in alike]

    def draw() -> None:
        columns = [Column("cosine with creature", alike, texts, "plain", 1.0)]
        _bars("How alike word vectors are: cosine with that of creature", words[1:], columns, head="word")

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
        _bars("Cosine between three moles, each in its own sentence", names, columns, head="two moles")

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
    trace, creature = _sentence(page)
    scores = trace.raw_scores(LAYER, HEAD)
    labels = trace.tokens.labels
    answers = np.where(trace.tokens.special, -np.inf, scores[creature])
    options, right = _best(labels, answers, ("fluffy", "the"))

    def draw() -> None:
        figure = _matrix(trace, scores, creature, kind="signed", measure="q·k")
        _plot(figure, "lesson_scores", f"Dot products of queries and keys in head {LAYER}.{HEAD}.")

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
        ("step_by_step", "See each dot product, number by number", _where(creature)),
    )


def scaling(page: Page) -> Stop:
    """Stop 4: the scale, and what happens without it."""
    trace, creature = _sentence(page)
    raw = trace.raw_scores(LAYER, HEAD)
    with_scale, without = trace.pattern(LAYER, HEAD)[creature], _softmax(raw[creature])
    root = np.sqrt(trace.d_head)

    def draw() -> None:
        columns = [
            Column(f"÷ √{trace.d_head}", with_scale, [percent(float(w)) for w in with_scale], "weight", 1.0),
            Column("left out", without, [percent(float(w)) for w in without], "plain", 1.0),
        ]
        says = f"Weights of creature in head {LAYER}.{HEAD}, with the division by √{trace.d_head} and without"
        _bars(says, trace.tokens.labels, columns, head="key", marks={creature: ("query", "asks")})

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
        ("step_by_step", "Switch √d off yourself", _where(creature) | {"breaks": "no_scale"}),
    )


def masking(page: Page) -> Stop:
    """Stop 5: the mask and the softmax, in a model that has a mask."""
    trace = page.trace(DECIDING, model=DECODER)
    labels = trace.tokens.labels
    layer, head = best_head(DECODER)
    pattern, may_look = trace.pattern(layer, head), trace.may_look(layer)
    noun = labels.index("creature")
    found = int(np.argmax(pattern[noun]))

    def draw() -> None:
        figure = partial(
            heatmap, pattern, labels, head=f"{layer}.{head}", masked=~may_look, selected_query=noun,
            query_special=trace.tokens.special,
        )  # fmt: skip
        _plot(figure, "lesson_mask", f"Masked attention pattern of head {layer}.{head} of the small decoder.")

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
    trace, creature = _sentence(page)
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
        _bars(says, labels, columns, head="from", marks={creature: ("query", "asks")})

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
        ("delta_e", "See every head’s ΔE add up", _where(creature)),
    )


def many_heads(page: Page) -> Stop:
    """Stop 7: all heads at once."""
    trace, creature = _sentence(page)
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
        _plot(bars, "lesson_shares", "Shares of GPT-3’s parameters.")
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


STOPS: tuple[Callable[[Page], Stop], ...] = (
    vectors,
    same_mole,
    asking,
    scaling,
    masking,
    value,
    many_heads,
    where_parameters_are,
)
TITLES = (
    "Vectors",
    "The same mole",
    "Asking",
    "Scores and scale",
    "Mask and softmax",
    "Value and ΔE",
    "Many heads",
    "Parameters",
)


def _where(creature: int) -> dict[str, Any]:
    return {"model": MODEL, "text": STARTER, "layer": LAYER, "head": HEAD, "query": creature}


def _softmax(scores: np.ndarray) -> np.ndarray:
    import torch

    return attention.softmax(torch.as_tensor(scores)).numpy()
