"""The few lines of Python that give in a notebook what a page shows; each is run in the tests.

Every function gives source code. What a visitor typed goes through `repr`, so it can be nothing but a string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_core.traces.changes import model_in_python

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable

Heads = Sequence[tuple[int, int]]


def _lines(imports: Sequence[str], *lines: str) -> str:
    return "\n".join(["import attn_core as ac", *imports, "", *lines])


def traced(trace: Readable, name: str = "trace") -> str:
    """The line that makes a trace: its model, and the sentence or both of a translation."""
    return f"{name} = ac.trace({_model(trace)}, {arguments(trace)})"


def _model(trace: Readable) -> str:
    return model_in_python(trace.model_name, trace.wrapped)


def arguments(trace: Readable) -> str:
    """What a trace read, as arguments of `ac.trace`: one sentence, or the source and the target of a translation, as
    they were given, text or ids; then where they were cut, and what was changed."""
    both = trace.kind == "encoder-decoder"
    read = [trace.stream(side).tokens for side in (("encoder", "decoder") if both else (None,))]
    if any(tokens.from_inputs for tokens in read):
        return f"inputs=inputs{trace.changes.as_python()}"  # what the tokenizer gave, which no trace keeps
    given = [name + tokens.as_python() for name, tokens in zip(("", "target="), read, strict=False)]
    cut_at = [len(tokens) for tokens in read if tokens.dropped]
    given += [f"limit={max(cut_at)}"] if cut_at else []
    return ", ".join(given) + trace.changes.as_python()


def _stream(name: str) -> str:
    """One stream of a trace as a value; a model that has one stream needs no name."""
    return "trace.stream()" if name == "self" else f"trace.stream({name!r})"


def _and_stream(name: str) -> str:
    """The same as one more argument."""
    return "" if name == "self" else f", stream={name!r}"


def decomposition(trace: Readable, stream: str, block: str, layer: int, head: int, token: int) -> str:
    """ΔE: all that one layer adds to one token, where a head's part came from, and its full vectors.

    `block` is the stream whose blocks are followed: a decoder's holds its cross-attention, too.
    """
    return _lines(
        ["from attn_core.residual import decomposition"],
        traced(trace),
        f"block = decomposition.decompose_block({_stream(block)}, {layer}, {token})",
        "{part.name: part.vector for part in block.parts}  # they add up to block.next_embedding",
        f"sources = decomposition.sources({_stream(stream)}, {layer}, {head}, {token})",
        "sources.weights, sources.lengths, sources.along  # by source token",
        f"delta = trace.delta_e({layer}, {head}{_and_stream(stream)})  # [token, d_model]",
    )


def score_parts(
    trace: Readable, stream: str, layer: int, head: int, query: int, key: int, against: int | str | None
) -> str:
    """Why there?: one score in parts, and what the head takes from that key by who wrote it."""
    place = f"{layer}, {head}, {query}, {key}"
    compared = "" if against is None else f", against={against!r}"
    return _lines(
        [],
        traced(trace),
        f"parts = trace.score_parts({place}{compared}{_and_stream(stream)})",
        "parts.matrix  # [query writer, key writer]; with parts.other it sums to parts.score",
        "parts.frame()  # every pair, the largest first",
        f"values = trace.value_parts({place}{_and_stream(stream)})",
        "values.frame()  # by who wrote the key's stream",
    )


def flow(trace: Readable, stream: str, query: int, measure: str, word: int | None = None) -> str:
    """Why there?: the flow behind one word, or with the id of a next `word` behind its logit."""
    imports, followed = (
        ["from attn_core.circuits.flow import flow"],
        [
            f"found.behind(len(found.edges))[{query}]  # the share of every input word, and last of the bias",
            f"found.reach({query}, len(found.edges))  # [layer + 1, token + 1]",
        ],
    )
    if word is not None:
        imports.append("from attn_core.circuits.logit_flow import logit_top")
        followed = [
            f"parts = logit_top({_stream(stream)}, {query}, {word}).down(found)",
            "parts.words  # what every input word adds, then biases, then MLPs: they sum to parts.top.logit",
        ]
    return _lines(imports, traced(trace), f"found = flow({_stream(stream)}, {measure!r})", *followed)


def patching(
    model: str,
    sentences: tuple[str, str],
    answer: tuple[str, str] | None,
    measured: Mapping[str, Any],
    at: str,
    stream: str,
    opened: tuple[int, int],
    through: str,
    mlps: bool,
    more: Sequence[tuple[str, str, tuple[str, str] | None]] = (),
) -> str:
    """Patching: every place of one kind, the opened head word by word, and the paths into it.

    `measured` are the arguments that say what is measured, as `attn_core.patching` takes them.
    """
    usual = {"position": None, "target": None, "direction": "denoising"}
    said = "".join(f", {name}={value!r}" for name, value in measured.items() if value != usual[name])
    said += _and_stream(stream)
    of_head = at in ("head", "query", "key", "value", "pattern")
    several = [(*sentences, answer), *more]
    a, b, answers = ([pair[i] for pair in several] for i in range(3))
    lines = [f"model = ac.load({model!r})", f"a, b, answer = {sentences[0]!r}, {sentences[1]!r}, {answer!r}"]
    if more:
        lines.append(f"table = ac.patching(model, {a!r}, {b!r}, {answers!r}, at={at!r}{said})  # n, low, high")
    else:
        lines.append(f"table = ac.patching(model, a, b, answer, at={at!r}{said})  # layer, head, position, …, effect")
    if of_head:
        where = f"layer={opened[0]}, head={opened[1]}, by_position=True"
        lines.append(f"words = ac.patching(model, a, b, answer, at={at!r}, {where}{said})")
    if opened[0] > 0:
        held = ", freeze_mlps=False" if mlps else ""
        lines.append(f"paths = ac.path_patching(model, a, b, None, {opened!r}, {through!r}, answer{held}{said})")
    return _lines([], *lines)


def head_card(model: str, stream: str, layer: int, head: int) -> str:
    """Why there?: the card of a head."""
    return _lines(
        [],
        f"card = ac.head_card(ac.load({model!r}), {layer}, {head}{_and_stream(stream)})",
        "card.copying, card.prefix_matching, card.copying_on_repeats",
        "card.reads, card.writes  # the strongest pairs of its QK and of its OV circuit",
        "card.composition  # a row for each earlier head and each way: q, k, v",
        "card.frame()  # every number",
    )


def steps(trace: Readable, stream: str, layer: int, head: int, token: int) -> str:
    """Step by step: every stage of one head."""
    return _lines(
        [
            "from attn_core.walkthrough.from_trace import from_trace",
            "from attn_core.walkthrough.head import run_stages",
        ],
        traced(trace),
        f"stages = run_stages(from_trace({_stream(stream)}, {layer}, {head}))",
        "stages.query, stages.key, stages.value  # [token, d_head]",
        "stages.raw_scores, stages.scaled, stages.masked, stages.pattern  # [query, key]",
        f"stages.delta[{token}]  # ΔE of the chosen word, [d_model]",
    )


def search(trace: Readable, stream: str, cells: Sequence[tuple[int, int]], strict: bool) -> str:
    """Find heads: how far above its baseline every head looks at the painted cells."""
    return _lines(
        ["import numpy as np", "from attn_core.heads import search", "from attn_core.heads.sink import sink_of"],
        traced(trace),
        f"stream = {_stream(stream)}",
        f"cells = search.painted_cells({list(cells)!r}, *stream.pattern(0, 0).shape)",
        "sink = sink_of(stream)",
        "above = np.stack([",
        f"    search.find(stream.patterns(n), cells, stream.may_look(n), sink, above_key_mean={strict}).score",
        "    for n in range(stream.n_layers)",
        "])  # [layer, head]",
    )


def atom_mapping(trace: Readable, layer: int, head: int) -> str:
    """Find heads: which atom of a product came from which atom of the reactants."""
    return _lines(
        ["from attn_core.prediction.atom_mapping import map_atoms, reaction_tokens"],
        traced(trace),
        f"found = map_atoms(trace.pattern({layer}, {head}), reaction_tokens(trace.tokens))",
        "found.products.positions, found.reactants.positions  # the atoms of both sides, by their tokens",
        "found.partners, found.confidences, found.confidence  # whose atom each atom of the product was",
    )


def classify_heads(model: str, stream: str) -> str:
    """Find heads: the kind of every head, and all its measures."""
    return _lines(
        ["from attn_core.heads.kinds import classify_heads"],
        f"table = classify_heads(ac.load({model!r}){_and_stream(stream)})",
        'table[["layer", "head", "kind"]]',
    )


def without(trace: Readable, stream: str, off: Heads, token: int, fill: str, painted: Sequence[tuple[int, int]]) -> str:
    """Find heads: what the model says of a word without some heads, or with something else in their place."""
    cells = f", {list(painted)!r}" if fill == "painted" else ""
    return _lines(
        ["from attn_core.heads import ablation"],
        f"model = {_model(trace)}",
        f"trace = ac.trace(model, {arguments(trace)})",
        f"stream = {_stream(stream)}",
        f"change = ablation.replacement_options(stream, {list(off)!r}, {fill!r}{cells})",
        "after = ablation.runner(model, trace)(**change)",
        f"effect = ablation.effect(stream, after.{_stream(stream).removeprefix('trace.')}, {token})",
        "effect.value, effect.unit",
    )


class ComparedPanel(NamedTuple):
    """One panel of a comparison: `shows` is "head", "mean" (over the layer's heads), "random" weights of `model`, or
    "shuffled", the mean over so many orders of the words."""

    letter: str
    trace: Readable
    model: str
    stream: str
    layer: int
    head: int
    shows: str = "head"
    orders: int = 0


def compared(panels: Sequence[ComparedPanel]) -> str:
    """Compare: the pattern of every panel, under its letter."""
    baselines = any(panel.shows in ("random", "shuffled") for panel in panels)
    imports = ["from attn_core.heads import baselines"] if baselines else []
    lines = [line for panel in panels for line in _panel(panel)]
    return _lines(imports, *lines, f"{', '.join(panel.letter for panel in panels)}  # [query, key] each")


def _panel(panel: ComparedPanel) -> list[str]:
    model, read, one = f"ac.load({panel.model!r})", arguments(panel.trace), panel.letter
    call = "" if panel.stream == "self" else f".stream({panel.stream!r})"
    if panel.shows == "mean":
        return [f"{one} = ac.trace({model}, {read}){call}.patterns({panel.layer}).mean(axis=0)"]
    if panel.shows == "random":
        model = f"baselines.random_weights({model})"
    if panel.shows != "shuffled":
        return [f"{one} = ac.trace({model}, {read}){call}.pattern({panel.layer}, {panel.head})"]
    mixed, kept = _mixed(panel)
    return [
        f"tokens = ac.trace({model}, {read}){_stream(panel.stream).removeprefix('trace')}.{mixed}",
        f"orders = (baselines.shuffled(tokens.ids, tokens.special, seed) for seed in range({panel.orders}))",
        f"streams = (ac.trace({model}, {kept}).stream({panel.stream!r}) for order in orders)",
        f"{one} = baselines.mean_patterns(streams)[{panel.layer}][{panel.head}]",
    ]


def _mixed(panel: ComparedPanel) -> tuple[str, str]:
    """(the tokens whose order is mixed, the arguments of `ac.trace` with an `order` of them)."""
    if panel.stream == "self":
        return "key_tokens", "order"
    source, target = (panel.trace.stream(side).tokens.ids for side in ("encoder", "decoder"))
    if panel.stream == "decoder":
        return "tokens", f"{source!r}, target=order"
    return "key_tokens", f"order, target={target!r}"


def senses(model: str, word: str, sentences: Mapping[str, tuple[str, Sequence[int]]], pair: tuple[str, str]) -> str:
    """Word senses: `sentences` gives each letter its sentence and the word's pieces; a `pair` is compared by heads."""
    spelt = "".join(f"    {letter!r}: ({text!r}, {list(pieces)!r}),\n" for letter, (text, pieces) in sentences.items())
    return _lines(
        ["from attn_core.residual import senses"],
        f"model = ac.load({model!r})",
        f"sentences = {{  # the pieces of {word!r}\n{spelt}}}",
        "found = {name: senses.read(ac.trace(model, text), pieces) for name, (text, pieces) in sentences.items()}",
        "cosines = senses.cosines_by_layer([one.route for one in found.values()])  # [pair, layer + 1]",
        f"separation = senses.separation(found[{pair[0]!r}], found[{pair[1]!r}])",
        "separation.heads  # [layer, head]",
    )


def parameters(preset: str, config: Mapping[str, Any] | None = None) -> str:
    """Parameters: the table of a preset, or of numbers of one's own."""
    what = repr(preset) if config is None else repr(dict(config))
    return _lines(
        [],
        f"table = ac.count_parameters({what})",
        "table.total, table.attention, table.lesson_total, table.lesson_attention",
        "table.frame()  # every tensor",
    )


def pattern(model: str, text: str, layer: int, head: int) -> str:
    """A stop of the lesson: the head that it shows, and what it adds."""
    return _lines(
        [],
        f"trace = ac.trace(ac.load({model!r}), {text!r})",
        f"trace.pattern({layer}, {head})  # [query, key]",
        f"trace.raw_scores({layer}, {head}), trace.delta_e({layer}, {head})",
        "ac.show(trace)",
    )
