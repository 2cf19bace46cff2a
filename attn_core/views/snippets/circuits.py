"""Lines of Python for why a head looks there: a score in parts, a flow, patching, the card of a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attn_core.views.snippets.traced import and_stream, arguments, loaded, script, stream_of, traced

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable


def score_parts(
    trace: Readable, stream: str, layer: int, head: int, query: int, key: int, against: int | str | None
) -> str:
    """Why there?: one score in parts, what the head takes from that key by who wrote it, and the score without the
    writer that adds most, beside what the frozen split says of it."""
    place = f"{layer}, {head}, {query}, {key}"
    compared = "" if against is None else f", against={against!r}"
    own = stream_of(stream).removeprefix("trace.")
    without = [
        "writer, adds = explanation.effects(parts)[0]  # the one that adds most",
        "options = explanation.taking_out(trace, parts, writer)  # what is changed in the trace stays so",
        f"after = ac.trace({loaded(trace)}, {arguments(trace, changed=False)}, **options)",
        f"compared_score(after.{own}, {place}{compared}), explanation.when_taken_out(parts, writer)",
    ]
    imports = [
        "from attn_core.circuits import explanation",
        "from attn_core.circuits.score_parts import compared_score",
    ]
    return script(
        imports,
        traced(trace),
        f"parts = trace.score_parts({place}{compared}{and_stream(stream)})",
        "parts.matrix  # [query writer, key writer]; with parts.other it sums to parts.score",
        "parts.frame()  # every pair, the largest first",
        f"values = trace.value_parts({place}{and_stream(stream)})",
        "values.frame()  # by who wrote the key's stream",
        *without,
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
            f"parts = logit_top({stream_of(stream)}, {query}, {word}).down(found)",
            "parts.words  # what every input word adds, then biases, then MLPs: they sum to parts.top.logit",
        ]
    return script(imports, traced(trace), f"found = flow({stream_of(stream)}, {measure!r})", *followed)


def _measured(measured: Mapping[str, Any], stream: str) -> str:
    """What is measured, as arguments that are not as usual."""
    usual = {"position": None, "target": None, "direction": "denoising"}
    said = "".join(f", {name}={value!r}" for name, value in measured.items() if value != usual[name])
    return said + and_stream(stream)


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
    more: Sequence[tuple[str, str, tuple[str, str] | None, Sequence[int] | None]] = (),
    *,
    each_word: bool = False,
    words_meet: bool = True,
) -> str:
    """Patching: every place of one kind, the opened head word by word, and the paths into it.

    `measured` are the arguments that say what is measured, as `attn_core.patching` takes them; with `each_word` every
    head is patched at every word. With `more` pairs all of it is the mean over them; where their words do not stand at
    the same positions, `words_meet` is False, and what is word by word is left out.
    """
    of_head = at in ("head", "query", "key", "value", "pattern")
    a, b, answers = (*map(repr, sentences), repr(answer))
    columns = "layer, head, position, …, effect"
    if more:
        several = [(*sentences, answer, measured["target"]), *more]
        a, b = (repr([pair[i] for pair in several]) for i in range(2))
        answers = repr([pair[2] for pair in several] if any(pair[2] for pair in several) else None)
        read = None if measured["target"] is None else [list(pair[3] or ()) for pair in several]
        measured, columns = {**measured, "target": read}, f"{columns}, n, low, high"
    said = _measured(measured, stream)
    where = ", by_position=True" if each_word else ""
    lines = [f"model = ac.load({model!r})", f"a, b, answer = {a}, {b}, {answers}"]
    if words_meet or (of_head and not each_word):
        lines.append(f"table = ac.patching(model, a, b, answer, at={at!r}{where}{said})  # {columns}")
    if not words_meet:
        lines.append("# the pairs' words stand at different positions, so there is no mean word by word")
    elif of_head:
        where = f"layer={opened[0]}, head={opened[1]}, by_position=True"
        lines.append(f"words = ac.patching(model, a, b, answer, at={at!r}, {where}{said})")
    if opened[0] > 0:
        held = ", freeze_mlps=False" if mlps else ""
        lines.append(f"paths = ac.path_patching(model, a, b, None, {opened!r}, {through!r}, answer{held}{said})")
    return script([], *lines)


def head_card(model: str, stream: str, layer: int, head: int) -> str:
    """Why there?: the card of a head."""
    return script(
        [],
        f"card = ac.head_card(ac.load({model!r}), {layer}, {head}{and_stream(stream)})",
        "card.copying, card.prefix_matching, card.copying_on_repeats",
        "card.reads, card.writes  # the strongest pairs of its QK and of its OV circuit",
        "card.composition  # a row for each earlier head and each way: q, k, v",
        "card.frame()  # every number",
    )
