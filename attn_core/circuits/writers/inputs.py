"""Who wrote E of layer 0: the vectors of word, place and segment, and the norms and projections behind them.

E is split where the model's own tables give it exactly; elsewhere it is one writer, as a whole.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from attn_core.circuits.writers.additions import Floats, Places, ResidualWriters, evenly, run_module
from attn_core.residual.input_parts import InputParts, input_parts_and_modules
from attn_core.traces.attention_readers import as_array
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace


def before_layer_0(stack: StreamTrace, tokens: Places) -> ResidualWriters:
    """E of layer 0: the vectors of word, place and segment where they give it exactly, E as a whole elsewhere."""
    some = np.concatenate([tokens, evenly(len(stack.tokens))])  # ours first; the others help to tell how E is made
    written, put = ResidualWriters(tokens), stack._put(0, "residual")
    embedding = as_array(stack._around("embedding", 0)[torch.as_tensor(some)])
    embedding = embedding if put is None else embedding - put[some]  # as the model had it, before a patch
    found = stack_input_parts(stack, embedding, some)
    if found is None:
        own = embedding[: len(tokens)].astype(np.float64)
        written.add(Writer("embedding", "embedding", stack.name), lambda: own)
        return written
    parts, modules = found
    chosen = slice(0, len(tokens))
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
    """A norm or a projection of the sum; gives what comes out of it. The writers' tokens come first in `entered`."""
    if isinstance(module, torch.nn.Linear):
        weight = module.weight.detach().double().cpu().numpy().T  # [width, d_model]
        written.apply(lambda x: x @ weight)
        if module.bias is not None:
            written.constant(Writer("projection bias", "bias", stack.name), module.bias.detach().float().cpu().numpy())
    else:
        x = entered[: len(written.tokens)].double().cpu().numpy()
        written.norm(Writer("embedding norm shift", "shift", stack.name), partial(run_module, module), x)
    with torch.inference_mode():
        return module(entered)  # type: ignore[no-any-return]


def without_input(stack: StreamTrace, writer: Writer) -> NDArray[np.float32]:
    """E of layer 0 as the model would have it without a writer from before layer 0, [token, d_model].

    That is the vectors of "embedding", "position" or "segment", or a bias or shift of what follows them. Where E
    cannot be taken apart, its one writer is all of it. Rows that were patched stay as they are.
    """
    stands, put = stack.embedding(0), stack._put(0, "residual")
    left = _own_without_input(stack, writer, stands if put is None else stands - put)
    return left if put is None else np.where(put.any(axis=1, keepdims=True), stands, left)


def _own_without_input(stack: StreamTrace, writer: Writer, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of E as the model had it."""
    found = stack_input_parts(stack, embedding)
    if found is None:
        return np.zeros_like(embedding)
    parts, modules = found
    vectors = {"embedding": parts.factor * parts.token, "position": parts.position, "segment": parts.segment}
    constant = writer.kind not in vectors
    gone = vectors.get(writer.kind)
    result = parts.summed if gone is None else parts.summed - gone
    with torch.inference_mode():
        for module in modules:
            entered, result = result, module(result)
            if constant and (writer.kind == "bias") is isinstance(module, torch.nn.Linear):
                result = result - module(torch.zeros_like(entered[:1]))  # of zeros it makes its bias or shift alone
    left: NDArray[np.float32] = result.float().cpu().numpy()
    return left


def stack_input_parts(
    stack: StreamTrace, embedding: NDArray[np.float32], places: Places | None = None
) -> tuple[InputParts, tuple[torch.nn.Module, ...]] | None:
    """The parts of E of all tokens, or of those at some `places`."""
    at = range(len(stack.tokens)) if places is None else places.tolist()
    model, types = stack.module(), stack.tokens.types
    ids = [stack.tokens.ids[place] for place in at]
    table = getattr(model.get_input_embeddings(), "weight", None)  # type: ignore[operator]
    if table is None or table.dim() != 2 or max(ids) >= len(table):
        return None  # patches of an image or moments of a sound, not words
    segments = None if types is None else [types[place] for place in at]
    return input_parts_and_modules(model, ids, torch.from_numpy(embedding), segments, at)
