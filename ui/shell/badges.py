"""Where numbers come from, and how far they are from the model's own, as HTML badges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attn_core.models.conversion import FROM_PICKLE
from attn_core.text.numbers import scientific
from attn_core.traces.parity import OWN_ATTENTION, TOLERANCE
from ui import words
from ui.drawing import markup
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.traces.parity import Parity
    from attn_core.traces.reader import TraceReader
    from ui.server.handles import OneStreamHandle

WORDS = words.beside(__file__)
_NAMES = {"pattern": "pattern", "delta": "ΔE", "residual": "residual"}


def provenance(source: str) -> str:
    """Where the numbers come from, as an HTML badge: "live", "recorded" or "toy"."""
    why = {
        "live": "computed by this model from this sentence, now",
        "recorded": "a real result of this model, stored; the model itself is being opened",
        "toy": "made for teaching, not from a model",
    }
    return markup.badge(source, "toy" if source == "toy" else "", why[source])


def weights(kept: str) -> str:
    """How a model's weights were kept before they were converted, as an HTML badge; nothing for safetensors."""
    why = WORDS.text("badges.pickled") if kept == FROM_PICKLE else WORDS.text("badges.weights")
    return markup.badge(kept, "", why) if kept else ""


def parity_of(trace: OneStreamHandle[Any]) -> Parity:
    """How far a shared trace is from the model's own numbers, found out once."""
    return shared.memoize(trace, _check)


def _check(trace: TraceReader) -> Parity:
    return trace.check()


def parity(check: Parity) -> str:
    """How far our numbers are from the model's own, as an HTML badge that opens on what was compared with what."""
    compared = (
        ("pattern", check.pattern, "our weights times the values, against what the model's own attention gave"),
        ("ΔE", check.delta, "the sum over heads plus the bias, against what its output projection gave"),
        ("residual", check.residual, "what the block added to E, against the stream that it handed on"),
    )
    rows = "".join(f"<div><b>{name} {_said(error)}</b> {what}</div>" for name, error, what in compared)
    if check.own_pass is not None:
        rows += (
            f"<div><b>pass {_said(check.own_pass)}</b> its last states from a few words in our pass, against the model "
            "as its owner calls it; found out once</div>"
        )
    found = markup.badge(*_verdict(check))
    return (
        f'<details class="hl-checked"><summary>{found}</summary>'
        f"<div>Worst relative error of any layer, against tensors that left the model:{rows}</div></details>"
    )


def _verdict(check: Parity) -> tuple[str, str]:
    """What the badge says, and its kind; "not compared" and "not a number" are never a small error."""
    worst = check.worst
    if worst is None:
        return "not compared with the model's own numbers", ""
    if not math.isfinite(worst):
        return "✕ not a number: what the model gives is not finite", "bad"
    if check.own_pass is not None and not check.own_pass <= OWN_ATTENTION:
        return "✕ the model as its owner calls it gives something else", "bad"
    if worst > TOLERANCE:
        return f"✕ off by {scientific(worst)} from the model's own numbers", "bad"
    if not check.ok:
        return f"{_NAMES[check.not_compared[0]]} not compared with the model's own numbers", ""
    left_out = "".join(f"; {_NAMES[name]} not compared" for name in check.not_compared)
    return f"✓ checked: {scientific(worst)} from the model's own numbers{left_out}", "ok"


def _said(error: float | None) -> str:
    """One error in words: its power of ten, "not compared", or "not a number"."""
    if error is None:
        return "not compared:"
    return scientific(error) + ("" if math.isfinite(error) else ":")
