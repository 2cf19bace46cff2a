"""How much every part adds to the logit of a label, for a model with a head of its own. No Streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from attn_core.errors import HeadlightError
from attn_core.prediction.labels import has_labels
from attn_core.residual.label_attribution import label_attribution, positions_read
from attn_core.text.numbers import signed
from attn_core.traces.parity import TOLERANCE
from ui import words
from ui.drawing import markup
from ui.drawing.markup import token_name
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.residual.logit_attribution import LogitAttribution
    from attn_core.traces.trace import Trace
    from ui.delta_e.token import TokenUpdate

WORDS = words.beside(__file__)


class LabelShares(NamedTuple):
    """The parts of a label's logit, or of the difference of two; `name` is plain text, `hint` HTML."""

    parts: LogitAttribution
    name: str
    hint: Markup


def names_labels(update: TokenUpdate) -> bool:
    """Whether the model has a head of its own that names labels."""
    return has_labels(update.reader)


def label_shares(update: TokenUpdate, towards: str, against: str) -> LabelShares:
    """The shares of a label by its name, or of the likeliest one; `against` another, of the difference of the two.

    Raises HeadlightError for a name that is no label.
    """
    says = update.reader.own_head
    position = None if says.task == "text" else update.position
    label = _label(update, towards) if towards else _likeliest(update)
    parts, name = _parts(update, label, position), WORDS.text("label.name", label=says.labels[label])
    if against:
        other = _label(update, against)
        parts = parts - _parts(update, other, position)
        name = WORDS.text("label.minus", label=says.labels[label], other=says.labels[other])
    read = positions_read(update.reader.label_reading(label, position))
    where = token_name(update.labels, int(read[0])) if len(read) == 1 else WORDS.text("label.everywhere", n=len(read))
    hint = WORDS.html(
        "label.hint",
        logit=name,
        where=where,
        heads=signed(float(parts.heads.sum())),
        mlps=signed(float(parts.mlp.sum())),
        embedding=signed(parts.embedding),
        biases=signed(float(parts.bias.sum()) + parts.constant),
        total=signed(parts.total),
        own=signed(parts.logit),
        badge=_badge(parts.error < TOLERANCE),
    )
    return LabelShares(parts, name, hint)


def _badge(same: bool) -> Markup:
    return Markup(markup.badge(WORDS.text("map.agrees", "yes" if same else "no"), "ok" if same else "bad"))


def _parts(update: TokenUpdate, label: int, position: int | None) -> LogitAttribution:
    return shared.memoize(update.trace, _attributed, label, position)


def _attributed(trace: Trace, label: int, position: int | None) -> LogitAttribution:
    return label_attribution(trace.stream(), label, position)


def _likeliest(update: TokenUpdate) -> int:
    found = update.reader.label_probabilities()
    row = found.probabilities if found.task == "text" else found.probabilities[update.position]
    return int(row.argmax())


def _label(update: TokenUpdate, typed: str) -> int:
    """The number of a label by its name, however it is capitalised."""
    names = [name.lower() for name in update.reader.own_head.labels]
    if typed.lower() not in names:
        some = ", ".join(update.reader.own_head.labels[:12])
        raise HeadlightError(WORDS.text("label.unknown", typed=typed, labels=some))
    return names.index(typed.lower())
