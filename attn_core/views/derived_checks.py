"""What pages compute from a trace beside what it reads, each once more by a way of its own: how far the two are apart.

`Trace.check` holds a trace against tensors that left the model. What a page makes of traces – hidden and joined words,
means, words read off a layer, passes in which a head is switched off – is held here against

    arranged_check       sums of the full pattern, added up anew in float64
    lens_check           the model's own forward with its blocks left out
    switched_off_check   the model's own attention, the head's part taken out by another module before W_O

and in `compared_checks` and `patched_check`, against

    compared_check       rows and columns joined and subtracted anew in float64, distances by relative entropies
    near_words_check     the whole vocabulary in float64, put in order
    patched_check        the plain pass, the other sentence's, and the model's own with another part before W_O
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_core.blocks import row_slices
from attn_core.errors import HeadlightError
from attn_core.tolerances import SMALLEST
from attn_core.traces.parity import CHANGED_PASS, TOLERANCE, worst_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attn_core.capture.model import Model
    from attn_core.heads.sink import Bools, Floats
    from attn_core.text.tokens import Tokens
    from attn_core.traces.reader import TraceReader
    from attn_core.traces.trace import Trace

    Exact = NDArray[np.float64]
    Inputs = dict[str, Tensor]


class DerivedCheck(NamedTuple):
    """How far something that a page computes is from the same computed another way; None: not compared.

    `most` is what the error may be.
    """

    name: str  # "arranged", "compared", "lens", "near", "off" or "patched"
    error: float | None
    most: float

    @property
    def ok(self) -> bool:
        """Whether it was not compared, or is within `most`; false of NaN."""
        return self.error is None or self.error <= self.most


# --- Patterns as they are shown ---------------------------------------------------------------------------------------


def arranged_check(
    shown: Floats,
    pattern: Exact,
    queries: Tokens,
    keys: Tokens,
    *,
    words: bool,
    hidden: Bools | None,
    spans: Sequence[tuple[int, int]] = (),
) -> DerivedCheck:
    """A pattern as it is shown, [row, column], against sums of the full one, [query, key], and its rows against 1.

    `words`: pieces of words are joined, and so are the tokens of `spans`. `hidden`: keys that were taken out, bool
    [key]; what asks there is out, too.
    """
    kept = np.ones(len(keys), bool) if hidden is None else ~hidden
    rows, columns = (_members(read, words, kept[: len(read)], spans) for read in (queries, keys))
    rest = pattern[:, kept].sum(axis=1, keepdims=True) if hidden is not None else np.ones((len(pattern), 1))
    whole = pattern[:, kept] / np.where(rest > SMALLEST, rest, 1)
    ours = rows / rows.sum(axis=1, keepdims=True) @ whole @ columns[:, kept].T  # [row, query] · [query, key] · …
    ours[(rows @ (rest <= SMALLEST) > 0)[:, 0]] = np.nan  # one that asks there has nothing left
    if shown.shape != ours.shape or (np.isnan(shown) != np.isnan(ours)).any():
        return DerivedCheck("arranged", float("nan"), TOLERANCE)
    sums = shown[~np.isnan(shown).any(axis=1)].sum(axis=1, dtype=np.float64)
    apart = np.abs(shown - ours)[~np.isnan(ours)]
    error = float(max(apart.max(initial=0.0), np.abs(sums - 1).max(initial=0.0)))
    return DerivedCheck("arranged", error, TOLERANCE)


def _members(tokens: Tokens, words: bool, kept: Bools, spans: Sequence[tuple[int, int]]) -> Exact:
    """Which tokens belong to which row or column, 1 or 0, [row, token]; a special one stands alone or in a span."""
    names = [("word", word) if words and word is not None else ("token", i) for i, word in enumerate(tokens.words)]
    for first, last in spans:
        touched = {*names[first : last + 1]}
        names = [("span", first) if name in touched else name for name in names]
    of_kept = list(dict.fromkeys(name for name, stays in zip(names, kept, strict=True) if stays))
    rows = np.zeros((len(of_kept), len(names)))
    for token, name in enumerate(names):
        if kept[token]:
            rows[of_kept.index(name), token] = 1
    return rows


def full_pattern(reader: TraceReader, layer: int, head: int, over: str) -> Exact:
    """A head's pattern, or the mean `over` "heads", "layers" or "all", [query, key], added up in float64."""
    layers = [layer] if over in ("one", "heads") else [*range(reader.n_layers)]
    n_query, n_key = len(reader.tokens), len(reader.key_tokens)
    n_heads = 1 if over in ("one", "layers") else reader.n_heads
    total: Exact = np.zeros((n_query, n_key))
    for n in layers:
        for rows in row_slices(n_query, n_key * n_heads):  # nothing as large as a layer is made
            own = reader.patterns(n, rows) if n_heads > 1 else reader.pattern(n, head, rows)[None]
            total[rows] += own.sum(axis=0, dtype=np.float64)  # [head, row, key]
    total /= len(layers) * n_heads
    return total


# --- Words read off a layer -------------------------------------------------------------------------------------------


def lens_check(model: Model) -> DerivedCheck:
    """The logits that are read off every layer, of a few words, against the model's own forward without its blocks."""
    import torch

    from attn_core.capture.again import logits_without_blocks
    from attn_core.capture.run import trace

    if model.kind != "decoder":
        return DerivedCheck("lens", None, TOLERANCE)
    stream = trace(model, few_words(model)["input_ids"][0].tolist()).stream()
    try:
        vectors = np.stack([stream.embedding(n)[-1] for n in range(stream.n_layers + 1)])  # [layer + 1, d_model]
    except HeadlightError:  # the streams between layers could not be found, so nothing is read off them
        return DerivedCheck("lens", None, TOLERANCE)
    theirs = logits_without_blocks(model, torch.as_tensor(vectors))
    error = None
    if theirs is not None:
        error = row_error(torch.as_tensor(stream.read_words(stream.final_norm(vectors))), theirs)
    return DerivedCheck("lens", error, TOLERANCE)


# --- Passes in which something is switched off ------------------------------------------------------------------------


def switched_off_check(model: Model) -> DerivedCheck:
    """The last states of passes with a head switched off, against the model's own attention without the head's part.

    Of a few words: one head of every layer at once, with nothing and with its mean in its place; then one of the last
    layer, as every other way gives it: after a plain pass, beside it, in a batch of patches, and with even attention.
    """
    given = few_words(model)
    stream = "decoder" if model.kind == "encoder-decoder" else "self"
    if "input_ids" not in given or stream not in model.wiring.final:
        return DerivedCheck("off", None, CHANGED_PASS)
    pairs = [*_in_every_layer(model, given, stream), *_in_the_last_layer(model, given)]
    return DerivedCheck("off", worst_of(row_error(*pair) for pair in pairs), CHANGED_PASS)


def _in_every_layer(model: Model, given: Inputs, stream: str) -> Iterable[tuple[Tensor, Tensor]]:
    """(our last states, the model's own) [query, d_model]; modules may serve several layers, so all are changed."""
    import torch

    from attn_core.capture.run import trace

    sites = model.wiring.sites
    heads = [(site.stream, site.layer, site.n_heads // 2) for site in sites]
    for replacement, put in (("zero", torch.zeros_like), ("mean", _mean_over_queries)):
        ours = trace(model, inputs=given, without=heads, replacement=replacement).stream(stream)
        off = {site.output.module: partial(with_part, site.n_heads, put) for site in sites}
        theirs, last = own_states(model, given, off), ours.final_embedding()
        # T5 has no stack apart: what it gives are logits already
        yield torch.as_tensor(last if theirs.shape == last.shape else ours.read_words(last)), theirs


def _mean_over_queries(part: Tensor) -> Tensor:
    return part.mean(dim=-2, keepdim=True).expand_as(part)


def _in_the_last_layer(model: Model, given: Inputs) -> Iterable[tuple[Tensor, Tensor]]:
    import torch

    from attn_core.capture.again import trace_again
    from attn_core.capture.batches import traces_beside
    from attn_core.capture.patched_batches import patched_rows
    from attn_core.capture.run import trace
    from attn_core.places import Place

    last = model.wiring.sites[-1]
    if last.stream != "self" or [s.output.module for s in model.wiring.sites].count(last.output.module) > 1:
        return
    ids, head = given["input_ids"][0].tolist(), (last.layer, last.n_heads // 2)
    plain = trace(model, ids)
    theirs = own_states(model, given, {last.output.module: partial(with_part, last.n_heads, torch.zeros_like)})
    for ours in (trace_again(model, plain, without=[head]), *_last_row(traces_beside, model, ids, [head])):
        yield torch.as_tensor(ours.final_embedding()), theirs
    yield patched_rows(model, plain, [{Place("head", "self", *head): "zero"}]).final[0], theirs

    look = plain.may_look(last.layer)
    even = (look / look.sum(axis=1, keepdims=True)).astype(np.float32)  # [query, key]
    weighted = torch.as_tensor(even @ plain.value(*head))  # [query, d_head]; nothing below the layer is changed
    put = {last.output.module: partial(with_part, last.n_heads, lambda part: weighted.to(part).expand_as(part))}
    ours = trace_again(model, plain, edit={head: even})
    yield torch.as_tensor(ours.final_embedding()), own_states(model, given, put)


def _last_row(run: Callable[..., list[Trace]], *arguments: Any) -> list[Trace]:
    """The changed one of several traces of one pass; none where the model's texts are not read together."""
    try:
        return run(*arguments)[-1:]
    except HeadlightError:
        return []


def with_part(n_heads: int, put: Callable[[Tensor], Tensor], module: nn.Module) -> nn.Module:
    """A module that hands W_O what attention gives, with something else as the middle head's part."""
    from torch import nn

    class WithPart(nn.Module):
        def forward(self, joined: Tensor, *arguments: Any, **named: Any) -> Any:
            heads = joined.reshape(
                *joined.shape[:-1], n_heads, -1
            ).clone()  # [..., query, head·d_head] → [..., head, d_head]
            heads[..., n_heads // 2, :] = put(heads[..., n_heads // 2, :].clone())
            return module(heads.flatten(-2), *arguments, **named)

    return WithPart()


def own_states(model: Model, given: Inputs, stand_ins: Mapping[str, Callable[[nn.Module], nn.Module]]) -> Tensor:
    """The last states of the model with its family's own attention, [query, d_model]."""
    from attn_core.capture.probing.eager_copy import eager_copy
    from attn_core.capture.running import run_stack

    with model.running():
        states: Tensor = run_stack(eager_copy(model.hf, stand_ins), given)[0]
    return states.reshape(-1, states.shape[-1])


def few_words(model: Model) -> Inputs:
    from attn_core.capture.probing.inputs import probe_inputs

    return probe_inputs(model.hf)


def row_error(ours: Tensor, theirs: Tensor) -> float:
    """The worst difference of a row relative to the row's largest value; both [row, features]."""
    from attn_core.traces.comparisons import row_errors

    ours, theirs = ours.float().cpu(), theirs.float().cpu()
    return float(row_errors((ours - theirs).abs().amax(-1, keepdim=True), theirs.abs().amax(-1, keepdim=True)).max())
