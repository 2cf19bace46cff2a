"""One sentence many times in one pass, each time with patches of its own: what hundreds of patched passes cost less.

Every row of the batch is what `ac.trace(model, text, patch=…)` would compute alone, up to the order of its sums. Kept
of a row is what its last layer says, and on request one head's query, key or value; or one layer's attention call, and
then nothing behind that is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attn_core.attention import repeat_groups
from attn_core.capture.batches import row_of
from attn_core.capture.hooks import AttentionCall, recording_to, tensor_at
from attn_core.capture.interface import read_mask
from attn_core.capture.model import Model
from attn_core.capture.patches import Patches, patch_of
from attn_core.capture.recorder import KeptCall, change_call
from attn_core.capture.run import refuse_from_inputs
from attn_core.errors import HeadlightError, UnsupportedFamily
from attn_core.masks import Mask, RelativeBias
from attn_core.places import Place
from attn_core.traces.call import Call
from attn_core.traces.changes import Changes
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import ModuleSide, Site, Tap, Wiring

Patch = Mapping[Place, Any]  # as `ac.trace` takes it
Part = tuple[Tensor, Tensor, Tensor]


class PatchedRows(NamedTuple):
    """What patched passes gave: `final` [row, query, d_model]; of the head that was watched [row, token, d_head]."""

    final: Tensor
    watched: Tensor | None


def patched_rows(model: Model, base: Trace, rows: Sequence[Patch], watch: Place | None = None) -> PatchedRows:
    """Run the sentence of `base` once a row, in one pass, with what each row puts somewhere.

    `watch` is a head's query, key or value to be kept. Raises what `ac.trace` raises for a patch, and HeadlightError
    where what the last layer says could not be found.
    """
    stream = "decoder" if base.kind == "encoder-decoder" else "self"
    final = model.wiring.final.get(stream)
    if final is None:
        raise HeadlightError("What leaves this model's last layer could not be found.")
    patches = [_patches(model, row) for row in rows]
    recorder = RowRecorder(model.wiring, patches, model.wiring.first_of(final), watch)
    with model.running(), recording_to(recorder):
        model.run(**_inputs(model, base, len(rows)))
    if any(own.tensors_left for own in patches) or recorder.final is None:
        raise _not_passed(model)
    return PatchedRows(recorder.final, recorder.watched)


def patched_calls(model: Model, base: Trace, rows: Sequence[Patch], stream: str, layer: int) -> list[Call]:
    """The attention call of one layer in each row's pass, as `patched_rows` runs them; what is behind it is not run.

    Raises what `ac.trace` raises for a patch.
    """
    before = [{place: put for place, put in row.items() if _is_before(place, stream, layer)} for row in rows]
    patches = [_patches(model, row) for row in before]
    recorder = CallRecorder(model.wiring, patches, stream, layer)
    with suppress(_IsThere), model.running(), recording_to(recorder):
        model.run(**_inputs(model, base, len(rows)))
    if any(own.tensors_left for own in patches) or not recorder.calls:
        raise _not_passed(model)
    return recorder.calls


def _is_before(place: Place, stream: str, layer: int) -> bool:
    """Whether a pass comes by a place before it is done with the attention call of a layer."""
    if place.stream != stream and "encoder" in (place.stream, stream):
        return place.stream == "encoder"
    if place.kind == "memory" or place.layer > layer:  # a decoder's call of a layer, and "cross" after it
        return False
    enters = place.kind in ("residual", "query", "key", "value")
    return place.layer < layer or (place.stream == stream and enters) or (place.stream, stream) == ("decoder", "cross")


def _patches(model: Model, row: Patch) -> Patches:
    return Patches(Changes.of([], "zero", {}, [patch_of(*put, model.wiring) for put in row.items()]), model.wiring)


def _not_passed(model: Model) -> HeadlightError:
    return HeadlightError(f"{model.name} did not pass by every place that was to be patched, so nothing is shown.")


def _inputs(model: Model, base: Trace, n_rows: int) -> dict[str, Tensor]:
    """What the model gets: the ids of one sentence, as often as there are rows."""
    refuse_from_inputs(base)
    two_stacks = base.kind == "encoder-decoder"
    given = model.inputs_of(base.tokens_of("encoder" if two_stacks else "self")[0], n_rows)  # [row, token]
    if two_stacks:
        given["decoder_input_ids"] = torch.tensor([base.tokens_of("decoder")[0].ids]).repeat(n_rows, 1)
    return given


class RowRecorder:
    """Puts into every row of a batch what that row's patches say, in the tensors of this pass alone."""

    in_steps = False
    passed: dict[ModuleSide, Any] | None = None  # each tensor is looked at as it passes by

    def __init__(
        self, wiring: Wiring, rows: Sequence[Patches], final: Tap | None = None, watch: Place | None = None
    ) -> None:
        self.wiring, self.rows, self.virtual = wiring, rows, wiring.virtual
        self.final: Tensor | None = None  # [row, query, d_model]
        self.watched: Tensor | None = None  # [row, token, d_head]
        self._final, self._watch = final, watch
        self._n_calls = 0
        self._counts: dict[ModuleSide, int] = {}

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def _site(self) -> Site:
        if self._n_calls == len(self.wiring.sites):
            raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
        return self.wiring.sites[self._n_calls]

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Part:
        site, parts = self._site(), (query, key, value)
        changed = [own.change_inputs(site, _row(parts, row)) for row, own in enumerate(self.rows)]
        if any(computed for _, computed in changed):
            parts = _joined([of_row for of_row, _ in changed])
        watch = self._watch
        if watch is not None and (watch.stream, watch.layer) == (site.stream, site.layer):
            heads = repeat_groups(parts[("query", "key", "value").index(watch.kind)], site.n_heads)
            self.watched = (
                heads[:, watch.head].float().cpu().clone()
            )  # [row, head, token, d_head] → [row, token, d_head]
        return parts

    def on_attention(self, call: AttentionCall) -> None:
        site = self._site()
        self._n_calls += 1
        for row, own in enumerate(self.rows):
            if own.patterns(site) or own.heads(site):
                of_row = row_of(call, slice(row, row + 1))
                change_call(own, of_row, *_mask_of(of_row), site)

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        count = self._counts[place] = self._counts.get(place, -1) + 1
        for row, own in enumerate(self.rows):
            for tap, puts in own.at(place).get(count, {}).items():
                own.change_tensor(puts, self._of_rows(tensor_at(tap.slot, values, named))[row])
        final = self._final
        if final is not None and (*place, count) == (final.module, final.side, final.call):
            self.final = self._of_rows(tensor_at(final.slot, values, named)).float().cpu().clone()

    def _of_rows(self, tensor: Tensor) -> Tensor:
        """The same numbers as [row, token, feature], also where a model puts all its tokens in one line."""
        return tensor.view(len(self.rows), -1, tensor.shape[-1])


class _IsThere(Exception):
    """Ends a pass: what was asked for is there."""


class CallRecorder(RowRecorder):
    """The same, up to one layer's attention call, which it keeps of every row."""

    def __init__(self, wiring: Wiring, rows: Sequence[Patches], stream: str, layer: int) -> None:
        super().__init__(wiring, rows)
        self.calls: list[Call] = []
        self._asked = stream, layer

    def on_attention(self, call: AttentionCall) -> None:
        site = self._site()
        if (site.stream, site.layer) != self._asked:
            super().on_attention(call)
            return
        rows = [row_of(call, slice(row, row + 1)) for row in range(len(self.rows))]
        rules = _mask_of(rows[0])  # all of them read the same sentence
        self.calls = [_as_call(row, *rules) for row in rows]
        raise _IsThere


def _as_call(call: AttentionCall, mask: Mask, bias: RelativeBias | None) -> Call:
    parts = (call.query, call.key, call.value, call.output)
    return KeptCall(*parts, mask, bias, call.scaling, call.soft_cap, sink=call.sink).as_call()


def _mask_of(call: AttentionCall) -> tuple[Mask, RelativeBias | None]:
    n_query, n_key = call.query.shape[2], call.key.shape[2]
    return read_mask(call.mask, call.bias, call.is_causal, n_query, n_key, beside=call.beside)


def _row(parts: Part, row: int) -> Part:
    query, key, value = (part[row : row + 1] for part in parts)
    return query, key, value


def _joined(rows: Sequence[Part]) -> Part:
    """The rows' tensors as a batch again; where a row needs a key of its own for each head, all of them get one."""
    most = max(part.shape[1] for _, key, value in rows for part in (key, value))
    query = torch.cat([row[0] for row in rows])  # [row, head, query, d_head]
    key, value = (torch.cat([repeat_groups(row[i], most) for row in rows]) for i in (1, 2))
    return query, key, value
