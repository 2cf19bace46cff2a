"""Lines of Python for heads: the stages of one, those that look at painted cells, their kinds, what is lost without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attn_core.views.snippets.traced import and_stream, arguments, loaded, script, stream_of, traced

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable

Heads = Sequence[tuple[int, int]]
MOST_TEXTS = 50  # sentences of a study that are written out


def steps(trace: Readable, stream: str, layer: int, head: int, token: int) -> str:
    """Step by step: every stage of one head."""
    return script(
        [
            "from attn_core.walkthrough.from_trace import from_trace",
            "from attn_core.walkthrough.head import run_stages",
        ],
        traced(trace),
        f"stages = run_stages(from_trace({stream_of(stream)}, {layer}, {head}))",
        "stages.query, stages.key, stages.value  # [token, d_head]",
        "stages.raw_scores, stages.scaled, stages.masked, stages.pattern  # [query, key]",
        f"stages.delta[{token}]  # ΔE of the chosen word, [d_model]",
    )


def pattern(model: str, text: str, layer: int, head: int) -> str:
    """A stop of the lesson: the head that it shows, and what it adds."""
    return script(
        [],
        f"trace = ac.trace(ac.load({model!r}), {text!r})",
        f"trace.pattern({layer}, {head})  # [query, key]",
        f"trace.raw_scores({layer}, {head}), trace.delta_e({layer}, {head})",
        "ac.show(trace)",
    )


def search(trace: Readable, stream: str, cells: Sequence[tuple[int, int]], strict: bool) -> str:
    """Find heads: how far above its baseline every head looks at the painted cells."""
    return script(
        ["import numpy as np", "from attn_core.heads import search", "from attn_core.heads.sink import sink_of"],
        traced(trace),
        f"stream = {stream_of(stream)}",
        f"cells = search.painted_cells({list(cells)!r}, *stream.pattern(0, 0).shape)",
        "sink = sink_of(stream)",
        "above = np.stack([",
        f"    search.find(stream.patterns(n), cells, stream.may_look(n), sink, above_key_mean={strict}).score",
        "    for n in range(stream.n_layers)",
        "])  # [layer, head]",
    )


def atom_mapping(trace: Readable, layer: int, head: int) -> str:
    """Find heads: which atom of a product came from which atom of the reactants."""
    return script(
        ["from attn_core.prediction.atom_mapping import map_atoms, reaction_tokens"],
        traced(trace),
        f"found = map_atoms(trace.pattern({layer}, {head}), reaction_tokens(trace.tokens))",
        "found.products.positions, found.reactants.positions  # the atoms of both sides, by their tokens",
        "found.partners, found.confidences, found.confidence  # whose atom each atom of the product was",
    )


def classify_heads(model: str, stream: str) -> str:
    """Find heads: the kind of every head, and all its measures."""
    return script(
        ["from attn_core.heads.kinds import classify_heads"],
        f"table = classify_heads(ac.load({model!r}){and_stream(stream)})",
        'table[["layer", "head", "kind"]]',
    )


def without(
    trace: Readable, stream: str, off: Heads, token: int, replacement: str, painted: Sequence[tuple[int, int]]
) -> str:
    """Find heads: what the model says of a word without some heads, or with something else in their place."""
    cells = f", {list(painted)!r}" if replacement == "painted" else ""
    return script(
        ["from attn_core.heads import ablation"],
        f"model = {loaded(trace)}",
        f"trace = ac.trace(model, {arguments(trace)})",
        f"stream = {stream_of(stream)}",
        f"change = ablation.replacement_options(stream, {list(off)!r}, {replacement!r}{cells})",
        "after = ablation.runner(model, trace)(**change)",
        f"effect = ablation.effect(stream, after.{stream_of(stream).removeprefix('trace.')}, {token})",
        "effect.value, effect.unit",
    )


def study(
    model: str,
    texts: Sequence[str | tuple[str, str]],
    rules: Sequence[str],
    groups: Sequence[str],
    compared: tuple[str, str] | None,
    read: str = "",
) -> str:
    """Study: every head over sentences, which `read` reads with their groups; else of many the first stand for all."""
    shown = [repr(text) for text in texts[:MOST_TEXTS]]
    more = [f"    # … and {len(texts) - MOST_TEXTS:,} more"] if len(texts) > MOST_TEXTS else []
    own_groups = [] if read else list(groups[:MOST_TEXTS])
    asked = "".join(f", {name}={value!r}" for name, value in (("rules", list(rules)), ("groups", own_groups)) if value)
    imports = ["from attn_core.study.data_sets import data_set"] if "data_set(" in read else []
    imports += ["from attn_core.study.texts import Columns, sentences, table_at"] if read else []
    return script(
        imports,
        *([f"texts = {read}"] if read else ["texts = [", *(f"    {text}," for text in shown), *more, "]"]),
        f"result = ac.run_study({model!r}, texts{asked})",
        "result.frame()  # stream, layer, head, measure, n, mean, low, high",
        *([f"result.compare({compared[0]!r}, {compared[1]!r})"] if compared else []),
    )
