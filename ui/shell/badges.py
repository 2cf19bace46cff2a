"""Where numbers come from, and how far they are from the model's own, as HTML badges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attn_core.models.catalogue import CATALOGUE
from attn_core.models.conversion import FROM_PICKLE
from attn_core.text.numbers import scientific
from attn_core.traces.parity import NEXT, OWN_ATTENTION, TOLERANCE, worst_parity
from ui import words
from ui.drawing import markup
from ui.server import cache, loading, shared

if TYPE_CHECKING:
    from attn_core.traces.parity import Parity
    from attn_core.traces.reader import TraceReader
    from attn_core.views.derived_checks import DerivedCheck
    from ui.server.handles import OneStreamHandle

WORDS = words.beside(__file__)
_NAMES = WORDS.table("badges.names")
_PARTS = ("sums", "mlp", "received", "final")  # of `parity.LEFT_OUT`: what is no field of `Parity` as a whole


def provenance(source: str) -> str:
    """Where the numbers come from, as an HTML badge: "live", "recorded" or "toy"."""
    return markup.badge(source, "toy" if source == "toy" else "", WORDS.text("badges.why", source))


def weights(kept: str) -> str:
    """How a model's weights were kept before they were converted, as an HTML badge; nothing for safetensors."""
    why = WORDS.text("badges.pickled") if kept == FROM_PICKLE else WORDS.text("badges.weights")
    return markup.badge(kept, "", why) if kept else ""


def of_traces(
    traces: Iterable[OneStreamHandle[Any]],
    source: str,
    models: Iterable[str],
    also: Iterable[Parity],
    derived: Sequence[DerivedCheck],
) -> str:
    """All badges of a page that shows something of these traces, each counted once; see `Page.badges`."""
    own = [*{cache.frozen(trace): trace for trace in traces}.values()]
    kept = dict.fromkeys(_kept_as(name) for name in (*(trace.model_name for trace in own), *models))
    said = "".join(weights(each) for each in kept)
    return provenance(source) + said + parity(worst_parity([*map(parity_of, own), *also]), derived)


def _kept_as(name: str) -> str:
    """How a model's weights were kept before they were converted, in words; "" where they were not."""
    loaded = loading.model(name)
    if loaded is not None:
        return loaded.kept_as
    return CATALOGUE[name].weights if name in CATALOGUE else ""


def parity_of(trace: OneStreamHandle[Any]) -> Parity:
    """How far a shared trace is from the model's own numbers, found out once."""
    return shared.memoize(trace, _check)


def _check(trace: TraceReader) -> Parity:
    return trace.check()


def parity(check: Parity, derived: Sequence[DerivedCheck] = ()) -> str:
    """How far our numbers are from the model's own, as an HTML badge that opens on what was compared with what.

    `derived` are checks of what the page computes from these numbers.
    """
    errors = {"pattern": check.pattern, "delta": check.delta, "residual": check.residual}
    half = NEXT not in check.against.get("residual", (NEXT,))  # how the blocks go on after attention was not found
    said = {"residual": "after_attention"} if half else {}
    rows = [WORDS.html("badges.compared", said.get(name, name), error=_said(error)) for name, error in errors.items()]
    if check.final is not None:
        rows.append(WORDS.html("badges.compared", "final", error=_said(check.final)))
    if check.own_pass is not None:
        rows.append(WORDS.html("badges.compared", "pass", error=_said(check.own_pass)))
    if check.own_weights is not None:
        rows.append(WORDS.html("badges.compared", "weights", error=_said(check.own_weights)))
    if check.mean is not None:
        rows.append(WORDS.html("badges.threshold", most=scientific(check.tolerance), mean=scientific(check.mean)))
    rows += [
        WORDS.html("badges.derived", one.name, error=_said(one.error), most=scientific(one.most)) for one in derived
    ]
    rows += [WORDS.html("badges.nothing", what=WORDS.html("badges.left_out", name)) for name in check.left_out]
    rows.append(WORDS.html("badges.covers"))
    found, below = markup.badge(*_verdict(check, derived)), "".join(f"<div>{row}</div>" for row in rows)
    worst = WORDS.html("badges.worst", words.how_many(check.n_traces), n=check.n_traces)
    return f'<details class="hl-checked"><summary>{found}</summary><div>{worst}{below}</div></details>'


def _verdict(check: Parity, derived: Sequence[DerivedCheck] = ()) -> tuple[str, str]:
    """What the badge says, and its kind; "not compared" and "not a number" are never a small error."""
    worst = check.worst
    if worst is None:
        return WORDS.text("badges.verdict", "none"), ""
    if not math.isfinite(worst):
        return WORDS.text("badges.verdict", "not_finite"), "bad"
    if check.own_pass is not None and not check.own_pass <= OWN_ATTENTION:
        return WORDS.text("badges.verdict", "own_pass"), "bad"
    if check.own_weights is not None and not check.own_weights <= TOLERANCE:
        return WORDS.text("badges.verdict", "own_weights"), "bad"
    parts = [name for name in check.left_out if name in _PARTS and not (name == "sums" and check.residual is None)]
    error, names = scientific(worst), [_NAMES[name] for name in (*check.not_compared, *parts)]
    if worst > check.tolerance:
        return WORDS.text("badges.verdict", "off", error=error), "bad"
    wrong = [_NAMES[one.name] for one in derived if not one.ok]
    if wrong:
        return WORDS.text("badges.verdict", "derived", name=wrong[0]), "bad"
    if not check.ok:
        return WORDS.text("badges.verdict", "one_is_left_out", name=names[0]), ""
    left_out = "".join(WORDS.text("badges.verdict", "left_out", name=name) for name in names)
    return WORDS.text("badges.verdict", "checked", error=error, left_out=left_out), "ok"


def _said(error: float | None) -> str:
    """One error in words: its power of ten, "not compared", or "not a number"."""
    if error is None:
        return "not compared:"
    return scientific(error) + ("" if math.isfinite(error) else ":")
