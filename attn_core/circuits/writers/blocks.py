"""Who wrote what into the residual stream that enters an attention call: a sum of vectors, one a writer.

    pre-norm, parallel   E + heads + biases + MLPs, as they were added
    norm-after           heads and biases as the norm of their sum left them, that norm frozen
    post-norm            everything through each LayerNorm that came after it, frozen in turn

Centring is linear, so every writer is centred with the sum, and only a norm's shift β is a writer of its own. E of
layer 0 is split into the vectors of word, place and segment where the model's own tables give it exactly. In a pass
that was changed, a head that was switched off writes what stands in its place; where a stream was patched, whoever
wrote before ends, and the patch is the writer of all that stands there.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.residual.input_parts import InputParts, input_parts_and_modules
from attn_core.traces.block import BlockKind
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Norm = Callable[[NDArray[np.floating]], NDArray[np.floating]]
Linear = Callable[[Floats], Floats]  # [token, …] → [token, …]: what happens to every part of a sum alike


@dataclass(frozen=True, eq=False)
class _Addition:
    """What one writer adds, made when it is asked for, and how many of the maps had happened by then.

    `through` is a norm of this addition alone, on its way into the stream; `kept` [token, 1] is False where a patch of
    what the whole layer's attention adds stands in its place.
    """

    writer: Writer
    vectors: Callable[[], Floats]  # [token, d_model]
    after: int
    through: FrozenNorm | None
    kept: NDArray[np.bool_] | None


@dataclass
class ResidualWriters:
    """Everything that was added to some tokens of a stream, in order, and what later happened to it."""

    tokens: Places
    _additions: list[_Addition] = field(default_factory=list)
    _maps: list[Linear] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Writer, Floats]]:
        """(writer, what it is in the sum at the end, [token, d_model]), one by one: all at once may be a gigabyte."""
        for addition in self._additions:
            yield addition.writer, self._carried(addition, addition.vectors())

    def carried(self, writer: Writer, pieces: Floats) -> Floats:
        """What becomes of pieces of what a writer added, [piece, d_model], by the end; of one token alone."""
        found = next((addition for addition in self._additions if addition.writer == writer), None)
        if found is None:
            raise ValueError(f"{writer} wrote nothing here; there are {', '.join(a.writer for a in self._additions)}")
        return self._carried(found, pieces)

    def _carried(self, addition: _Addition, vectors: Floats) -> Floats:
        vectors = vectors if addition.through is None else addition.through.part(vectors)
        vectors = vectors if addition.kept is None else vectors * addition.kept
        for apply in self._maps[addition.after :]:
            vectors = apply(vectors)
        return vectors

    def add(
        self,
        writer: Writer,
        vectors: Callable[[], Floats],
        through: FrozenNorm | None = None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        self._additions.append(_Addition(writer, vectors, len(self._maps), through, kept))

    def constant(
        self,
        writer: Writer,
        vector: NDArray[np.floating],
        through: FrozenNorm | None = None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        """The same vector [d_model] for every token; left out where it is zero, as in a model that has none."""
        if np.any(vector):
            row = np.asarray(vector, dtype=np.float64)
            self.add(writer, lambda: np.tile(row, (len(self.tokens), 1)), through, kept)

    def patch(self, writer: Writer, rows: NDArray[np.bool_], vectors: Floats) -> None:
        """At the tokens `rows` [token] all that was written before ends, and `vectors` [token, d_model] stand there."""
        if rows.all():
            self._additions.clear()
        kept = ~rows[:, None]  # [token, 1]
        self._maps.append(lambda x: x * kept)
        self.add(writer, lambda: vectors * rows[:, None])

    def norm(self, writer: Writer, norm: Norm, x: NDArray[np.floating]) -> None:
        """All that was added so far goes through a norm of its sum `x` [token, d_model]; the shift is a new writer."""
        frozen = frozen_norm(norm, x)
        self._maps.append(frozen.part)
        self.constant(writer, frozen.shift)


def frozen_norm(norm: Norm, x: NDArray[np.floating]) -> FrozenNorm:
    """A norm held at what it does to `x` [token, d_model]; HeadlightError where it is none that can be frozen."""
    try:
        return FrozenNorm.of(norm, x)
    except ValueError:
        raise HeadlightError(
            "A norm of this model is neither a LayerNorm nor an RMSNorm, so a score cannot be split part by part."
        ) from None


def entering(trace: Trace, stream: str, layer: int, tokens: Places) -> ResidualWriters:
    """Who wrote the residual stream that enters an attention call, at some of its query tokens."""
    own = trace.stream(stream)
    stack = trace.stream("decoder") if stream == "cross" else own
    written = _started(stack, tokens)
    for block in range(layer):
        _add_block(written, stack, block)
    _add_patch(written, stack, layer)
    if stream == "cross":  # the decoder's own heads of this layer have written already
        _add_attention(written, stack, layer)
        _add_patch(written, own, layer)
    return written


def leaving(stack: StreamTrace, tokens: Places) -> ResidualWriters:
    """Who wrote what leaves a stack, final norm included: the memory that cross-attention reads."""
    written = _started(stack, tokens)
    for block in range(stack.n_layers):
        _add_block(written, stack, block)
    _add_patch(written, stack, stack.n_layers)
    last, final = stack.embedding(stack.n_layers)[tokens], stack.final_embedding()[tokens]
    if not np.array_equal(last, final):
        written.norm(
            Writer("encoder final norm shift", "shift", stack.name, stack.n_layers - 1), stack.final_norm, last
        )
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
        lambda: last.mlp_added(layer)[tokens].astype(np.float64),
    )
    if last.block(layer) is BlockKind.POST_NORM:
        x = last.after_attention(layer)[tokens].astype(np.float64) + last.mlp_added(layer)[tokens]
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
        put: Floats = call.attention_added(layer)[tokens].astype(np.float64) * rows[:, None]
        written.add(Writer(f"{prefix}attention patch {layer}", "patch", call.name, layer), lambda: put)
    if block is BlockKind.POST_NORM:
        x = call.embedding(layer)[tokens].astype(np.float64) + call.attention_added(layer)[tokens]
        written.norm(shift, partial(call.block_norm, layer, "attention"), x)


def _add_heads(
    written: ResidualWriters, call: StreamTrace, layer: int, shift: Writer, kept: NDArray[np.bool_] | None
) -> None:
    """The heads and the output bias of one attention call at the tokens that are `kept`, and a norm of their sum."""
    tokens, prefix = written.tokens, _prefix(call)
    bias = call.output_bias(layer).astype(np.float64)
    through: FrozenNorm | None = None
    if call.block(layer) is BlockKind.NORM_AFTER:
        heads = (_head(call, layer, head, tokens) for head in range(call.n_heads))
        through = frozen_norm(partial(call.block_norm, layer, "attention"), sum(heads, start=bias))
    for head in range(call.n_heads):
        writer = Writer(f"{prefix}head {layer}.{head}", "head", call.name, layer, head)
        written.add(writer, partial(_head, call, layer, head, tokens), through, kept)
    written.constant(Writer(f"{prefix}bias {layer}", "bias", call.name, layer), bias, through, kept)
    if through is not None:
        written.constant(shift, through.shift, None, kept)


def _add_patch(written: ResidualWriters, call: StreamTrace, layer: int) -> None:
    """What was put in the place of the stream that enters a layer, or leaves the last."""
    rows = _patched(call, layer, "residual", written.tokens)
    if rows is not None:
        writer = Writer(f"{_prefix(call)}residual patch {layer}", "patch", call.name, layer)
        written.patch(writer, rows, call.embedding(layer)[written.tokens].astype(np.float64))


def _patched(call: StreamTrace, layer: int, what: str, tokens: Places) -> NDArray[np.bool_] | None:
    """At which of some tokens something else stands than the model computed, [token]; None where at none of them."""
    put = call._put(layer, what)
    rows = None if put is None else np.asarray(put[tokens].any(axis=1))
    return None if rows is None or not rows.any() else rows


def _head(call: StreamTrace, layer: int, head: int, tokens: Places) -> Floats:
    """ΔE of a head at some tokens, [token, d_model], from what the model's own attention returned for it.

    In a pass in which the head was switched off, that is what was put in its place.
    """
    weighted = call.weighted_values(layer, head)[tokens].astype(np.float64)  # [token, d_head]
    delta: Floats = weighted @ call.w_o(layer, head).astype(np.float64)
    return delta


def _prefix(stream: StreamTrace) -> str:
    return "" if stream.name == "self" else f"{stream.name} "


# ---------------------------------------------------------------------------------------------------- before layer 0


def _started(stack: StreamTrace, tokens: Places) -> ResidualWriters:
    """E of layer 0: the vectors of word, place and segment where they give it exactly, E as a whole elsewhere."""
    written, embedding, put = ResidualWriters(tokens), stack.embedding(0), stack._put(0, "residual")
    embedding = embedding if put is None else embedding - put  # as the model had it, before a patch
    found = stack_input_parts(stack, embedding)
    if found is None:
        written.add(Writer("embedding", "embedding", stack.name), lambda: embedding[tokens].astype(np.float64))
        return written
    parts, modules = found
    chosen = torch.as_tensor(tokens)
    for name, table, factor in (
        ("embedding", parts.token, parts.factor),
        ("position", parts.position, 1.0),
        ("segment", parts.segment, 1.0),
    ):
        if table is not None:
            rows: Floats = factor * table[chosen].double().cpu().numpy()  # [token, width]
            written.add(Writer(name, name, stack.name), partial(np.array, rows))
    entered = parts.summed
    for module in modules:
        entered = _add_step(written, stack, module, entered)
    return written


def _add_step(
    written: ResidualWriters, stack: StreamTrace, module: torch.nn.Module, entered: torch.Tensor
) -> torch.Tensor:
    """A norm or a projection of the sum; gives what comes out of it, of all tokens."""
    if isinstance(module, torch.nn.Linear):
        weight = module.weight.detach().double().cpu().numpy().T  # [width, d_model]
        written._maps.append(lambda x: x @ weight)
        if module.bias is not None:
            written.constant(Writer("projection bias", "bias", stack.name), module.bias.detach().cpu().numpy())
    else:
        x = entered[torch.as_tensor(written.tokens)].double().cpu().numpy()
        written.norm(Writer("embedding norm shift", "shift", stack.name), partial(run_module, module), x)
    with torch.inference_mode():
        return module(entered)  # type: ignore[no-any-return]


def run_module(module: torch.nn.Module, vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a module makes of vectors [..., d], in the model's own float32."""
    device = next(module.parameters()).device
    with torch.inference_mode():
        given = torch.as_tensor(np.asarray(vectors), dtype=torch.float32, device=device)
        result: NDArray[np.floating] = module(given).cpu().numpy()
        return result


def without_input(stack: StreamTrace, kind: str) -> NDArray[np.float32] | None:
    """E of layer 0 as the model would have it without the vectors of "embedding", "position" or "segment": [token,
    d_model]; None where E cannot be taken apart and more than its words' vectors are in it."""
    embedding = stack.embedding(0)
    found = stack_input_parts(stack, embedding)
    if found is None:
        return np.zeros_like(embedding) if kind == "embedding" else None
    parts, modules = found
    gone = {"embedding": parts.factor * parts.token, "position": parts.position, "segment": parts.segment}[kind]
    if gone is None:
        return None
    result = parts.summed - gone
    with torch.inference_mode():
        for module in modules:
            result = module(result)
    left: NDArray[np.float32] = result.float().cpu().numpy()
    return left


def stack_input_parts(
    stack: StreamTrace, embedding: NDArray[np.float32]
) -> tuple[InputParts, tuple[torch.nn.Module, ...]] | None:
    model, ids = stack.module(), stack.tokens.ids
    if max(ids) >= model.get_input_embeddings().weight.shape[0]:  # type: ignore[operator]
        return None  # moments of a sound, not words
    return input_parts_and_modules(model, ids, torch.from_numpy(embedding))
