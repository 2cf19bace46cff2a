"""Path patching: what one head writes reaches one later head alone, and that only as its query, its key or its value.

1. B is read with the sender's output from A, and everything between it and the receiver held at what it is in B: what
   attention adds in all layers between, and (`freeze_mlps`) what the MLPs add. The receiver's query, key or value is
   then that of B with the sender's direct path changed, through the norms alone.
2. B is read again with that query, key or value in the receiver, and everything after it computed anew.

With `freeze_mlps=False` the MLPs between compute anew in 1, so paths through them count as direct, as in Wang et al.
2023. Norms always compute anew: they are part of the path.

Source: Wang et al. 2023, "Interpretability in the Wild", section 3.1; Goldowsky-Dill et al. 2023, "Localizing Model
Behavior with Path Patching".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from attn_core.capture.patched_batches import Patch, patched_rows
from attn_core.capture.run import trace as run_trace
from attn_core.circuits.patching.activation import (
    Progress,
    batches,
    check_batch,
    patched_values,
    sentence_pairs,
    share_of,
)
from attn_core.circuits.patching.contrast import Contrast, Run, contrast
from attn_core.circuits.patching.pairing import pairs_for, taken
from attn_core.circuits.patching.table import PatchedPair, table_of_pairs
from attn_core.errors import check_index
from attn_core.options import check_flag
from attn_core.places import Place
from attn_core.traces.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.capture.model import Model

THROUGH = {"q": "query", "k": "key", "v": "value"}
Head = tuple[int, int] | tuple[str, int, int]
Part = tuple[str, str, int]  # "attention" or "mlp", stream, layer


def path_patching(
    model: Model,
    a: Any,
    b: Any,
    sender: Head | None,
    receiver: Head,
    through: str,
    answer: Any = None,
    *,
    position: Any = None,
    target: Any = None,
    stream: str | None = None,
    freeze_mlps: bool = True,
    direction: str = "denoising",
    batch: int | None = None,
    progress: Progress | None = None,
    run: Run = run_trace,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> pd.DataFrame:
    """One row for a sender (layer, head), or for each earlier head where `sender` is None; columns as in `patching`,
    and in an encoder-decoder the sender's stream first.

    `through` is "q", "k" or "v" of the receiver. In an encoder-decoder both heads are of `stream`, or named (stream,
    layer, head); from the encoder a path leads to the keys and values of "cross" alone. Everything else as in
    `attn_core.patching`, the mean and interval over several pairs too. Raises ValueError where no direct path leads
    from the one to the other.
    """
    if through not in THROUGH:
        raise ValueError(f'through must be "q", "k" or "v", got {through!r}')
    check_batch(batch)
    check_flag("freeze_mlps", freeze_mlps)
    told = sentence_pairs(a, b, answer, position, target)
    done: list[PatchedPair] = []
    for number, (of_a, of_b, words, where, written) in enumerate(told):
        found = contrast(model, of_a, of_b, words, where, target=written, direction=direction, run=run)
        to = Place(THROUGH[through], *_named(found.base, receiver, stream))
        senders = list(_earlier(found.base, to))
        if sender is not None:
            senders = [Place("head", *_named(found.base, sender, stream))]
        values = _values(
            model, _Between(found, to, freeze_mlps), senders, batch, share_of(progress, number, len(told)), turn
        )
        rows = [found.row(*pair) for pair in zip(senders, values, strict=True)]
        pairs = pairs_for("head", found.donor, found.base, senders[0].stream) if senders else None
        done.append(PatchedPair(found, pairs, senders, rows))
    frame = table_of_pairs(done)
    if len(done[0].contrast.base.streams) > 1:
        frame.insert(0, "stream", [place.stream for place in done[0].places])
    return frame


def _values(
    model: Model,
    between: _Between,
    senders: Sequence[Place],
    batch: int | None,
    progress: Progress | None,
    turn: Callable[[], AbstractContextManager[None]],
) -> list[float]:
    """d of the base's sentence with each sender's direct path into the receiver changed.

    First what the receiver gets then, [token, d_head], by a pass for each sender; then that is put into another.
    """
    for one in senders:
        between.of(one)  # refused before anything runs
    base, passes = between.found.base, 2 * len(senders)
    received: list[dict[Place, Any]] = []
    for start, size in batches(base, len(senders), batch):
        rows = [between.held(sender) for sender in senders[start : start + size]]
        with turn():
            watched = patched_rows(model, base, rows, watch=between.to).watched
        if watched is not None:
            received += [{between.to: own} for own in watched.numpy()]
        if progress is not None:
            progress(start + size, passes)
    then: Progress | None = None if progress is None else lambda done, _: progress(len(senders) + done, passes)
    return patched_values(model, between.found, received, batch=batch, turn=turn, progress=then)


def _named(base: Trace, head: Head, default: str | None) -> tuple[str, int, int]:
    """(stream, layer, head), checked."""
    if not isinstance(head, tuple | list) or len(head) not in (2, 3):
        raise ValueError(f"{head!r} names no head: name it (layer, head) or (stream, layer, head)")
    name = base.stream(head[0] if len(head) == 3 else default).name
    layer, number = head[-2:]
    check_index("layer", layer, base.n_layers_of(name), "this model")
    check_index("head", number, base.n_heads_of(name), "this layer")
    return name, int(layer), int(number)


def _earlier(base: Trace, to: Place) -> Iterator[Place]:
    """All heads from which a direct path leads to the receiver."""
    for stream in base.streams:
        for layer in range(base.n_layers_of(stream)):
            if _between(base, stream, layer, to) is not None:
                yield from (Place("head", stream, layer, head) for head in range(base.n_heads_of(stream)))


def _between(base: Trace, stream: str, layer: int, to: Place) -> list[Part] | None:
    """What lies on the way from a layer's attention to what the receiver reads, in order; None: no direct path."""
    memory = to.stream == "cross" and to.kind != "query"  # the keys and values of "cross" read what the encoder left
    reads = "encoder" if to.stream == "encoder" or memory else "self" if to.stream == "self" else "decoder"
    parts = _parts(base, reads)
    sender = ("attention", stream, layer)
    if sender not in parts:
        return None
    end = len(parts) if memory else parts.index(("attention", to.stream, to.layer))
    begin = parts.index(sender)
    return parts[begin + 1 : end] if begin < end else None


def _parts(base: Trace, stack: str) -> list[Part]:
    """What adds to the residual stream of a stack, in order."""
    calls = ("decoder", "cross") if stack == "decoder" else (stack,)
    layers = range(base.n_layers_of(stack))
    return [
        part for layer in layers for part in (*(("attention", call, layer) for call in calls), ("mlp", stack, layer))
    ]


class _Between:
    """What lies between senders and one receiver, and is held at what it is in the base; each tensor is read once."""

    def __init__(self, found: Contrast, to: Place, freeze_mlps: bool) -> None:
        self.found, self.to, self.freeze_mlps = found, to, freeze_mlps
        self._kept: dict[Part, Any] = {}

    def of(self, sender: Place) -> list[Part]:
        """The parts on the way; raises ValueError where there is no way."""
        parts = _between(self.found.base, sender.stream, sender.layer, self.to)
        if parts is None:
            raise ValueError(
                f"no direct path leads from {sender} to the {self.to}: the receiver must read what the sender writes"
            )
        return parts

    def held(self, sender: Place) -> Patch:
        """What is put into the first pass: the sender's output, and all on the way as it is without."""
        pairs = pairs_for("head", self.found.donor, self.found.base, sender.stream)
        puts: dict[Place, Any] = taken(self.found.donor, sender, pairs)
        for part in self.of(sender):
            if part[0] == "attention" or self.freeze_mlps:
                puts[Place(*part)] = self._own(part)
        return puts

    def _own(self, part: Part) -> Any:
        kind, name, layer = part
        if part not in self._kept:
            own = self.found.base.stream(name)
            self._kept[part] = own.attention_added(layer) if kind == "attention" else own.mlp_added(layer)
        return self._kept[part]
