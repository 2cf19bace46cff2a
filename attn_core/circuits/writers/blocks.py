"""The writers of a stream, layer by layer: every head, bias, MLP, and the shift of every norm.

    pre-norm, parallel   E + heads + biases + MLPs, as they were added
    norm-after           heads and biases as the norm of their sum left them, that norm frozen
    scaled               heads and biases times the factor of their sum
    post-norm            everything through each LayerNorm that came after it, frozen in turn

In a pass that was changed, a head that was switched off writes what stands in its place.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_core.blocks import row_slices
from attn_core.circuits.writers.additions import Floats, Places, ResidualWriters, frozen_norm
from attn_core.circuits.writers.inputs import before_layer_0
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.traces.attention_readers import as_array
from attn_core.traces.block import BlockKind
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace


def entering(trace: Trace, stream: str, layer: int, tokens: Places) -> ResidualWriters:
    """Who wrote the residual stream that enters an attention call, at some of its query tokens."""
    own = trace.stream(stream)
    stack = trace.stream("decoder") if stream == "cross" else own
    written = before_layer_0(stack, tokens)
    for block in range(layer):
        _add_block(written, stack, block)
    _add_patch(written, stack, layer)
    if stream == "cross":  # the decoder's own heads of this layer have written already
        _add_attention(written, stack, layer)
        _add_patch(written, own, layer)
    return written


def leaving(stack: StreamTrace, tokens: Places, cross: StreamTrace) -> ResidualWriters:
    """Who wrote what leaves a stack, final norm included: the memory that `cross` reads."""
    written = before_layer_0(stack, tokens)
    for block in range(stack.n_layers):
        _add_block(written, stack, block)
    _add_patch(written, stack, stack.n_layers)
    last, final = _at(stack, "embedding", stack.n_layers, tokens), as_array(stack._last()[torch.as_tensor(tokens)])
    if not np.array_equal(last, final):
        written.norm(
            Writer("encoder final norm shift", "shift", stack.name, stack.n_layers - 1), stack.final_norm, last
        )
        after = Writer("encoder memory patch", "patch", stack.name, stack.n_layers)
        _add_put(written, cross, 0, "memory", after, stack._last)
    return written


# --------------------------------------------------------------------------------------------------------- one block


def _add_block(written: ResidualWriters, stack: StreamTrace, layer: int) -> None:
    """The heads, biases and MLP of a whole block, and the norms between and after them."""
    calls = stack.block_calls()
    for call in calls:
        _add_patch(written, call, layer)
        _add_attention(written, call, layer)
    last = calls[-1]
    tokens = written.tokens
    written.add(
        Writer(f"{_prefix(stack)}mlp {layer}", "mlp", stack.name, layer),
        lambda: _at(last, "mlp", layer, tokens),
    )
    if last.block(layer) is BlockKind.POST_NORM:
        x = _at(last, "after", layer, tokens) + _at(last, "mlp", layer, tokens)
        shift = Writer(f"{_prefix(stack)}mlp norm shift {layer}", "shift", stack.name, layer)
        written.norm(shift, partial(last.block_norm, layer, "mlp"), x)


def _add_attention(written: ResidualWriters, call: StreamTrace, layer: int) -> None:
    """Every head and the output bias of one attention call, and the norm of their sum where there is one."""
    tokens, prefix, block = written.tokens, _prefix(call), call.block(layer)
    shift = Writer(f"{prefix}attention norm shift {layer}", "shift", call.name, layer)
    rows = _patched(call, layer, "attention", tokens)
    if rows is None or not rows.all():
        _add_heads(written, call, layer, shift, None if rows is None else ~rows[:, None])
    if rows is not None:
        put: Floats = _at(call, "added", layer, tokens) * rows[:, None]  # [token, d_model] · [token, 1]
        written.add(Writer(f"{prefix}attention patch {layer}", "patch", call.name, layer), lambda: put)
    if block is BlockKind.POST_NORM:
        x = _at(call, "embedding", layer, tokens) + _at(call, "added", layer, tokens)
        written.norm(shift, partial(call.block_norm, layer, "attention"), x)
    if call.name != "decoder":  # there it is what enters "cross"
        after = Writer(f"{prefix}after attention patch {layer}", "patch", call.name, layer)
        _add_put(written, call, layer, "after_attention", after, partial(call._around, "after", layer))


def _add_heads(
    written: ResidualWriters, call: StreamTrace, layer: int, shift: Writer, kept: NDArray[np.bool_] | None
) -> None:
    """The heads and the output bias of one attention call at the tokens that are `kept`, and a norm of their sum."""
    tokens, prefix = written.tokens, _prefix(call)
    bias = call.output_bias(layer).astype(np.float64)
    w_o = cache(partial(call._every_w_o, layer))
    parts = [range(call.n_heads)[some] for some in row_slices(call.n_heads, len(tokens) * call.d_model)]
    through: FrozenNorm | None = None
    if call.block(layer).changes_sum:
        summed = sum((_heads(call, layer, some, tokens, w_o).sum(axis=0) for some in parts), start=bias)
        through = frozen_norm(partial(call.block_norm, layer, "attention"), summed)
    for some in parts:
        names = (f"{prefix}head {layer}.{head}" for head in some)
        writers = tuple(Writer(name, "head", call.name, layer, head) for name, head in zip(names, some, strict=True))
        written.add(writers, partial(_heads, call, layer, some, tokens, w_o), through, kept)
    written.constant(Writer(f"{prefix}bias {layer}", "bias", call.name, layer), bias, through, kept)
    if through is not None and call.block(layer) is BlockKind.NORM_AFTER:  # a scale has no shift
        written.constant(shift, through.shift, None, kept)


def _add_patch(written: ResidualWriters, call: StreamTrace, layer: int) -> None:
    """What was put in the place of the stream that enters a layer, or leaves the last."""
    writer = Writer(f"{_prefix(call)}residual patch {layer}", "patch", call.name, layer)
    _add_put(written, call, layer, "residual", writer, partial(call._around, "embedding", layer))


def _add_put(
    written: ResidualWriters, call: StreamTrace, layer: int, what: str, writer: Writer, stands: Callable[[], Tensor]
) -> None:
    """What was put in the place of the whole stream somewhere: those rows of what `stands` there, [token, d_model]."""
    rows = _patched(call, layer, what, written.tokens)
    if rows is not None:
        written.patch(writer, rows, _rows(stands(), written.tokens))


def _patched(call: StreamTrace, layer: int, what: str, tokens: Places) -> NDArray[np.bool_] | None:
    """At which of some tokens something else stands than the model computed, [token]; None where at none of them."""
    put = call._put(layer, what)
    rows = None if put is None else np.asarray(put[tokens].any(axis=1))
    return None if rows is None or not rows.any() else rows


def _at(call: StreamTrace, name: str, layer: int, tokens: Places) -> Floats:
    """What stands around a call at some tokens, [token, d_model]; see `StreamTrace._around`."""
    return _rows(call._around(name, layer), tokens)


def _rows(tensor: Tensor, tokens: Places) -> Floats:
    return as_array(tensor[torch.as_tensor(tokens)]).astype(np.float64)


def _heads(call: StreamTrace, layer: int, heads: range, tokens: Places, w_o: Callable[[], Tensor]) -> Floats:
    """ΔE of heads at some tokens, [head, token, d_model], from what the model's own attention returned for them.

    `w_o` gives the layer's output matrix [head, d_head, d_model], looked at once for all heads. In a pass in which a
    head was switched off, that is what was put in its place.
    """
    given = call._layer(layer).call.given_values(None)[heads.start : heads.stop, torch.as_tensor(tokens)]
    weighted = as_array(given).astype(np.float64)  # [head, token, d_head]
    delta: Floats = weighted @ as_array(w_o()[heads.start : heads.stop]).astype(np.float64)
    return delta


def _prefix(stream: StreamTrace) -> str:
    return "" if stream.name == "self" else f"{stream.name} "
