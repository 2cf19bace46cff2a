"""The inputs of a real head, taken from a trace, to compute it again stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attn_core.attention import AttentionWeights, linear
from attn_core.errors import HeadlightError
from attn_core.rotary import Rotation, fit_rotary
from attn_core.traces import parity
from attn_core.walkthrough.head import HeadInputs

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamSource, StreamTrace

Retrace = Callable[[list[int]], "StreamSource"]


def from_trace(stream: StreamTrace, layer: int, head: int, *, retrace: Retrace | None = None) -> HeadInputs:
    """The inputs of one head of a stream, from the model's own weights and vectors.

    Where the model does more than multiply by W_Q and W_K, they start from the captured query, key and value.
    `retrace` runs token ids through the same model; with it, the words can be shuffled
    (`StageAblation.SHUFFLED_POSITIONS`).
    """
    query = torch.from_numpy(stream.query(layer, head))
    key = torch.from_numpy(stream.key(layer, head))
    value = torch.from_numpy(stream.value(layer, head))
    bias = stream.position_bias(layer, head)
    x = torch.from_numpy(stream.attention_input(layer))
    memory = torch.from_numpy(stream.attention_memory(layer)) if stream.name == "cross" else None
    n_words = len(x) if memory is None else len(memory)  # what comes after them was projected from no word
    inputs = HeadInputs(
        x=x,
        memory=memory,
        w_o=torch.from_numpy(stream.w_o(layer, head)),
        captured=(query, key[:n_words], value[:n_words]),
        beside=None if len(key) == n_words else (key[n_words:], value[n_words:]),
        may_look=torch.from_numpy(stream.may_look(layer)),
        scaling=stream.scaling(layer),
        scaled_before=stream.scaled_before(layer),
        cap=stream.soft_cap(layer),
        learnt_score=stream.learnt_score(layer, head),
        position_bias=None if bias is None else torch.from_numpy(bias),
        slot=head * query.shape[1],
    )
    if retrace is not None and stream.name == "self":
        tokens = stream.tokens  # not the stream: pages keep these inputs for hours, and they would keep the whole trace
        inputs = replace(inputs, shuffled=lambda: _shuffled(tokens, layer, head, retrace))
    return _with_weights(stream, layer, head, inputs)


def places_of(special: list[bool]) -> list[int]:
    """Where each word stands when words are shuffled: specials keep their places, and it is the same each time.

    >>> places_of([True, False, False, False, True])
    [0, 2, 1, 3, 4]
    """
    words = [i for i, fixed in enumerate(special) if not fixed]
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(3)).tolist()
    standing = list(range(len(special)))
    for word, place in zip(words, order, strict=True):
        standing[word] = words[place]
    return standing


def _shuffled(tokens: Tokens, layer: int, head: int, retrace: Retrace) -> HeadInputs:
    """The same words at other places, read by the model anew, and laid back into the order of the sentence."""
    standing = places_of(tokens.special)
    ids = [0] * len(standing)
    for word, place in enumerate(standing):
        ids[place] = tokens.ids[word]
    return from_trace(retrace(ids).stream(), layer, head).rearranged(torch.tensor(standing))


def _with_weights(stream: StreamTrace, layer: int, head: int, inputs: HeadInputs) -> HeadInputs:
    """Start from W_Q, W_K and W_V instead of captured vectors, where they and the rotation could be found."""
    try:
        weights = stream.projections(layer, head)
    except HeadlightError:
        return inputs
    assert inputs.captured is not None
    memory = inputs.x if inputs.memory is None else inputs.memory
    if not _makes_values(memory, weights, inputs.captured[2]):
        return inputs
    found, rotation = _rotation(inputs.x, memory, weights, inputs.captured)
    return replace(inputs, weights=weights, captured=None, rotation=rotation) if found else inputs


def _makes_values(memory: Tensor, weights: AttentionWeights, value: Tensor) -> bool:
    """Whether W_V makes the captured values of what W_K reads; MobileBERT's reads something else."""
    fits = memory.shape[-1] == len(weights.w_v)
    return fits and parity.same(linear(memory, weights.w_v, weights.b_v), value)


def _rotation(
    x: Tensor, memory: Tensor, weights: AttentionWeights, captured: tuple[Tensor, Tensor, Tensor]
) -> tuple[bool, Rotation | None]:
    """(whether W·x leads to what was scored, the rotation on the way or None)."""
    query, key = linear(x, weights.w_q, weights.b_q), linear(memory, weights.w_k, weights.b_k)
    if parity.same(query, captured[0]) and parity.same(key, captured[1]):
        return True, None
    if len(query) != len(key):
        return False, None
    rotation = fit_rotary(torch.stack([query, key]), torch.stack(captured[:2]), parity.ROTATION)
    return rotation is not None, rotation
