"""How long patched passes take, tried on one small batch: what can be said before hundreds of them begin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attn_core.capture.patched_batches import Patch, patched_rows
from attn_core.capture.patches import own_rows
from attn_core.circuits.patching.activation import batches
from attn_core.places import OF_A_LAYER, Place

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.traces.trace import Trace

TRIED = 8  # rows: quick, and each of them costs about what one of a full batch does
PATH = "path"  # what `path_patching` puts: half of its rows hold everything between two heads


def seconds_a_row(model: Model, base: Trace, kind: str, stream: str) -> float:
    """How long one row of a batch takes, `kind` being what is put there, as `ac.at` names it, or "path".

    Rows share passes as in `patching`, each with a tensor put back as it was: a pass of one row alone costs several
    times as much, because a model's weights are read once for all rows of a batch.
    """
    if kind == PATH:
        return (_timed(model, base, list(_holding(base, stream))) + seconds_a_row(model, base, "value", stream)) / 2
    return _timed(model, base, [_own(base, Place(kind, stream, *place)) for place in _spread(base, stream, kind)])


def _timed(model: Model, base: Trace, rows: list[Patch]) -> float:
    _, size = next(batches(base, len(rows), None))
    patched_rows(model, base, rows[:1])  # what is done once, such as the first look at a weight, is not of a row
    begun = time.perf_counter()
    patched_rows(model, base, rows[:size])
    return (time.perf_counter() - begun) / size


def _own(base: Trace, place: Place) -> dict[Place, object]:
    return {place: own_rows(base, place)}


def _spread(base: Trace, name: str, kind: str) -> list[tuple[int, ...]]:
    """At most so many of the places of a kind, from all layers: (layer,) or (layer, head)."""
    own = base.stream(name)
    places: list[tuple[int, ...]] = [(layer,) for layer in range(own.n_layers)]
    if kind not in OF_A_LAYER:
        places = [(*place, head) for place in places for head in range(own.n_heads)]
    return places[:: -(-len(places) // TRIED)]


def _holding(base: Trace, name: str) -> Iterator[Patch]:
    """Rows in which the upper half of the layers is held at what it is."""
    n_layers = base.stream(name).n_layers
    for layer, head in _spread(base, name, "head"):
        held = (Place(kind, name, at) for at in range(n_layers // 2, n_layers) for kind in ("attention", "mlp"))
        yield {place: own_rows(base, place) for place in (Place("head", name, layer, head), *held)}
