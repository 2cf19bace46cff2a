"""Step 1: words become vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.residual.input_parts import InputParts, input_parts
from attn_core.walkthrough.toy import Toy
from ui.drawing import widgets
from ui.drawing.cells import cells
from ui.step_by_step import layout as steps
from ui.step_by_step import toy as steps_toy
from ui.step_by_step.layout import Term, number, says
from ui.step_by_step.subject import Scene


def vectors(scene: Scene) -> None:
    """From the model's tables to E."""
    with widgets.card("step_1"):
        steps.opening(1, _how_e_is_made(scene), aside=_what_e_knows(scene), formulas=[_sum_of_parts(scene)])
        if scene.toy is not None:
            steps_toy.editors(scene, "tokens", "places")
        elif scene.parts is not None:
            says(f"<b>How {scene.word} is made</b>, one strip a list: blue is negative, orange positive.")
            _made_of(scene.parts, scene.asks)
        says(f"<b>E of every word</b>, {scene.d_model} numbers each. Click a word to follow it.")
        strips(scene, scene.embedding, "embedding", "step_1_e", names=scene.meanings, picture="1 · E of every word")
        made_by = [input_parts] if scene.toy is None else [Toy.inputs]
        steps.behind(
            scene, 1, lambda: steps.by_dimension(scene.embedding, scene.queries, scene.meanings), made_by=made_by
        )


def _how_e_is_made(scene: Scene) -> str:
    parts, d, word = scene.parts, scene.d_model, scene.word
    if scene.toy is not None:
        return (
            f"In the pocket-size model a word is a list of {d} numbers, and each number has a meaning that we gave it: "
            f"{word} is {_read_off(scene)}. A second list stands for the place in the sentence. Added up they are "
            f"<b>E</b>, the <b>embedding</b> of the word, an arrow in a space of {d} directions."
        )
    if parts is None:
        return f"Every word enters as a list of {d} numbers, its <b>embedding</b> E, an arrow in as many directions."
    said = (
        f"For every token that it knows, the model keeps a list of {parts.token.shape[1]} numbers. It looks up {word}’s"
    )
    said += f" and multiplies it by {number(parts.factor)}" if parts.factor != 1 else ""
    more = []
    if parts.position is not None:
        more.append(f"adds a list that stands for the place in the sentence, here place {scene.asks}")
    if parts.segment is not None:
        more.append("one that says which of two texts the word is in (here there is only one)")
    said += (", " if more else "") + ", and ".join(more)
    after = {"projection": "brings it to the model’s own size"}
    done = [after.get(name, f"brings it to one scale ({name})") for name, _ in parts.steps]
    said += f", and then {' and '.join(done)}" if done else ""
    return f"{said}. The result is <b>E</b>, the <b>embedding</b> of the word: an arrow in a space of {d} directions."


def _read_off(scene: Scene) -> str:
    """The toy's word in words: “1 noun”."""
    assert scene.toy is not None
    numbers = scene.toy.tokens[scene.asks].tolist()
    parts = [f"{number(x)} {name}" for name, x in zip(scene.meanings, numbers, strict=True) if x]
    return " and ".join(parts) if parts else "nothing in particular"


def _what_e_knows(scene: Scene) -> str:
    said = ""
    if scene.inputs.rotation is not None:
        said = "This model adds nothing for the place: it turns queries and keys by it, in step 2. "
    elif scene.inputs.position_bias is not None:
        said = "This model adds nothing for the place: it adds a number for each distance to the scores, in step 4. "
    if scene.crosses:
        return (
            f"{said}What is drawn under “E of every word” is E as it enters cross-attention in layer {scene.layer}: "
            "the decoder’s own attention has added to it before, so it already knows something of the words before it."
        )
    if scene.layer == 0:
        here = " at this place" if scene.parts is not None and scene.parts.position is not None else ""
        return f"{said}So far {scene.word} is the same in every sentence{here}: nothing in E knows its neighbours."
    since = "Layer 0 has" if scene.layer == 1 else f"Layers 0 to {scene.layer - 1} have each"
    return (
        f"{said}{since} added to it since: what is drawn under “E of every word” is E as it enters layer "
        f"{scene.layer}, "
        "and it already knows something of its neighbours."
    )


def _sum_of_parts(scene: Scene) -> list[Term]:
    parts, d = scene.parts, str(scene.d_model)
    if parts is None:
        return [("E", f"{len(scene.queries)} × {d}")]
    width = str(parts.token.shape[1])
    inner: list[Term] = [("token" if parts.factor == 1 else f"{number(parts.factor)} · token", width)]
    for name, part in (("place", parts.position), ("segment", parts.segment)):
        inner += ["+", (name, width)] if part is not None else []
    for name, _ in parts.steps:
        inner = [f"{name}(", *inner, ")"]
    return [("E", d), "=", *inner]


def _made_of(parts: InputParts, i: int) -> None:
    """The chosen word's vectors, from the table to E, as strips under each other; E has a scale of its own."""
    rows = [("token", parts.factor * parts.token[i]), (f"+ place {i}", parts.position), ("+ segment", parts.segment)]
    added = [(name, (part if part.dim() == 1 else part[i]).numpy()) for name, part in rows if part is not None]
    if len(added) > 1:
        added.append(("= sum", parts.summed[i].numpy()))
    stack(added, "step_1_parts", "What the word's vector is summed from", picture="1 · How E is made")
    if parts.steps:
        says(f"then {' and '.join(name for name, _ in parts.steps)}, on a scale of its own:", soft=True)
        names = [*(name for name, _ in parts.steps[:-1]), "= E"]
        results = [result[i].numpy() for _, result in parts.steps]
        steps_ = list(zip(names, results, strict=True))
        stack(steps_, "step_1_then", "What is done to the sum", picture="1 · What is done to the sum")


def stack(
    rows: Sequence[tuple[str, np.ndarray]], key: str, alt: str, *, picture: str, limit: float | None = None
) -> None:
    """Named vectors under each other, on one scale; `picture` is the name under Save."""
    numbers = np.stack([row for _, row in rows])
    packet = pack_cells(
        numbers,
        Side([name for name, _ in rows]),
        Side(),
        says="{row}: number {column} is {value}",
        alt=alt,
        limit=limit or most(numbers),
        row_height=20,
    )
    cells(packet, key=key, picture=picture)


def most(numbers: np.ndarray) -> float:
    """Where the colours end: one number in a hundred may lie beyond, or a single outlier would pale all others."""
    largest = float(np.abs(numbers).max())
    return largest if numbers.size < 400 else float(np.quantile(np.abs(numbers), 0.99)) or largest


def strips(
    scene: Scene,
    numbers: np.ndarray,
    role: str,
    key: str,
    *,
    picture: str,
    of_keys: bool = False,
    names: Sequence[str] = (),
) -> None:
    """One strip a word; a click follows it. `picture` is the name under Save."""
    side = scene.key_side(role, "word") if of_keys else scene.query_side(role, "word")
    window = scene.k_window if of_keys else scene.q_window
    packet = pack_cells(
        numbers[window],
        side,
        Side(names),
        says="{row}: " + ("{column}" if names else "number {column}") + " is {value}",
        alt=f"{len(side.labels)} words, {numbers.shape[1]} numbers each",
        chosen=(scene.inside(scene.answers if of_keys else scene.asks, window), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
        choose=True,
    )
    picked = lambda row, _: scene.pick(key=row) if of_keys else scene.pick(query=row)  # noqa: E731
    cells(packet, key=key, picture=picture, on_choose=picked)
