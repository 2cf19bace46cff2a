"""Lines of Python for a comparison: the pattern of every panel, beside its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attn_core.views.snippets.traced import arguments, script, stream_of

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable


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
    return script(imports, *lines, f"{', '.join(panel.letter for panel in panels)}  # [query, key] each")


def _panel(panel: ComparedPanel) -> list[str]:
    model, read, one = f"ac.load({panel.model!r})", arguments(panel.trace), panel.letter
    call = "" if panel.stream == "self" else f".stream({panel.stream!r})"
    if panel.shows == "mean":
        return [f"{one} = ac.trace({model}, {read}){call}.patterns({panel.layer}).mean(axis=0)"]
    if panel.shows == "random":
        model = f"baselines.random_weights({model})"
    if panel.shows != "shuffled":
        return [f"{one} = ac.trace({model}, {read}){call}.pattern({panel.layer}, {panel.head})"]
    shuffled, kept = _shuffled(panel)
    second = ", tokens.second" if kept.startswith("(") else ""
    return [
        f"tokens = ac.trace({model}, {read}){stream_of(panel.stream).removeprefix('trace')}.{shuffled}",
        f"orders = (baselines.shuffled(tokens.ids, tokens.special, seed{second}) for seed in range({panel.orders}))",
        f"streams = (ac.trace({model}, {kept}).stream({panel.stream!r}) for order in orders)",
        f"{one} = baselines.mean_patterns(streams)[{panel.layer}][{panel.head}]",
    ]


def _shuffled(panel: ComparedPanel) -> tuple[str, str]:
    """(the tokens whose order is shuffled, the arguments of `ac.trace` with an `order` of them)."""
    if panel.stream == "self":
        at = panel.trace.stream().tokens.second
        return "key_tokens", "order" if at is None else f"(order[:{at}], order[{at}:])"
    source, target = (panel.trace.stream(side).tokens.ids for side in ("encoder", "decoder"))
    if panel.stream == "decoder":
        return "tokens", f"{source!r}, target=order"
    return "key_tokens", f"order, target={target!r}"
