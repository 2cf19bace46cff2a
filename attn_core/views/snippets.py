"""The few lines of Python that give in a notebook what a page shows; each is run in the tests.

Every function gives source code. What a visitor typed goes through `repr`, so it can be nothing but a string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Heads = Sequence[tuple[int, int]]


def _lines(imports: Sequence[str], *lines: str) -> str:
    return "\n".join(["import attn_core as ac", *imports, "", *lines])


def traced(trace: Any, stream: str | None, name: str = "trace") -> str:
    """The line that makes a trace: its model, and the sentence or both of a translation."""
    return f"{name} = ac.trace(ac.load({trace.model_name!r}), {_sentences(trace, stream)})"


def _sentences(trace: Any, stream: str | None) -> str:
    if stream is None:
        return repr(trace.tokens.text)
    source, target = (trace.tokens_of(side)[0] for side in ("encoder", "decoder"))
    return f"{source.text!r}, target={target.text!r}"


def _at(stream: str | None) -> str:
    return f", stream={stream!r}" if stream not in (None, "self") else ""


def _name(stream: str | None) -> str:
    """A stream's name as an argument: nothing in a model that has one stream."""
    return "" if stream is None else repr(stream)


def decomposition(trace: Any, layer: int, head: int, token: int, stream: str | None, block: str | None) -> str:
    """ΔE: all that one layer adds to one token, where a head's part came from, and its full vectors."""
    return _lines(
        ["from attn_core.residual import decomposition"],
        traced(trace, stream),
        f"block = decomposition.decompose_block(trace.stream({_name(block)}), {layer}, {token})",
        "{part.name: part.vector for part in block.parts}  # they add up to block.next_embedding",
        f"sources = decomposition.sources(trace.stream({_name(stream)}), {layer}, {head}, {token})",
        "sources.weights, sources.lengths, sources.along  # by source token",
        f"delta = trace.delta_e({layer}, {head}{_at(stream)})  # [token, d_model]",
    )


def steps(trace: Any, layer: int, head: int, token: int, stream: str | None) -> str:
    """Step by step: every stage of one head."""
    return _lines(
        [
            "from attn_core.walkthrough.from_trace import from_trace",
            "from attn_core.walkthrough.head import run_stages",
        ],
        traced(trace, stream),
        f"stages = run_stages(from_trace(trace, {layer}, {head}{_at(stream)}))",
        "stages.query, stages.key, stages.value  # [token, d_head]",
        "stages.raw_scores, stages.scaled, stages.masked, stages.pattern  # [query, key]",
        f"stages.delta[{token}]  # ΔE of the chosen word, [d_model]",
    )


def search(trace: Any, cells: Sequence[tuple[int, int]], stream: str | None, strict: bool) -> str:
    """Find heads: how far above its baseline every head looks at the painted cells."""
    return _lines(
        ["import numpy as np", "from attn_core.heads import search", "from attn_core.heads.sink import sink_of"],
        traced(trace, stream),
        f"cells = search.painted_cells({list(cells)!r}, *trace.pattern(0, 0{_at(stream)}).shape)",
        f"sink = sink_of(trace.stream({_name(stream)}))",
        "above = np.stack([",
        f"    search.find(trace.patterns(n{_at(stream)}), cells, trace.may_look(n{_at(stream)}), sink, "
        f"above_key_mean={strict}).score",
        f"    for n in range(trace.n_layers_of({stream!r}))",
        "])  # [layer, head]",
    )


def classify_heads(model: str, stream: str | None) -> str:
    """Find heads: the kind of every head, and all its measures."""
    return _lines(
        ["from attn_core.heads.kinds import classify_heads"],
        f"table = classify_heads(ac.load({model!r}){_at(stream)})",
        'table[["layer", "head", "kind"]]',
    )


def without(
    trace: Any, off: Heads, token: int, stream: str | None, fill: str, painted: Sequence[tuple[int, int]]
) -> str:
    """Find heads: what the model says of a word without some heads, or with something else in their place."""
    gone = f"[ablation.named(layer, head, {stream!r}) for layer, head in {list(off)!r}]"
    cells = f", {list(painted)!r}" if fill == "painted" else ""
    return _lines(
        ["from attn_core.heads import ablation"],
        f"model = ac.load({trace.model_name!r})",
        f"trace = ac.trace(model, {_sentences(trace, stream)})",
        f"change = ablation.replacement_options(trace, {gone}, {fill!r}{cells})",
        "after = ablation.runner(model, trace)(**change)",
        f"effect = ablation.effect(trace, after, {token}{_at(stream)})",
        "effect.value, effect.unit",
    )


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
