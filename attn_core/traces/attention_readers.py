"""What can be read of one stream's attention: queries, keys, values, scores, patterns and masks.

The first part of `stream.StreamTrace`, which `delta_readers` goes on with.
Axes are always layer, head, query, key, d_head, d_model, counted from 0; `layer` is the order of the attention calls.
Readers return fresh float32 arrays, and raise IndexError, naming the range, for an index that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attn_core import attention
from attn_core.blocks import row_slices
from attn_core.errors import HeadlightError, check_index
from attn_core.precision import without_autocast
from attn_core.text.pairs import second_of, segment_rows, segment_shares_of_blocks
from attn_core.text.tokens import Tokens
from attn_core.traces.call import Call
from attn_core.traces.layer import Layer
from attn_core.traces.reader import Array, Flags, rows_in
from attn_core.traces.source import Source

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class AttentionReaders:
    """The tensors of one stream, and the readers of its attention calls.

    `tokens` are those of the queries, `key_tokens` those that are looked at; they differ in "cross". In other streams
    key i is word i, and keys that stand for no word come after them: "prefix 1", "no word".
    """

    name: str
    model_name: str
    family: str
    kind: str  # of the model: "encoder", "decoder" or "encoder-decoder"
    tokens: Tokens
    key_tokens: Tokens
    _layers: Sequence[Layer]
    _final: Tensor | None  # what the model's last layer says, after any final norm: [query, d_model]
    _final_norm: str | None  # the module that is the final norm
    _source: Source

    # --- Sizes ---------------------------------------------------------------------------------------------------

    @property
    def n_layers(self) -> int:
        """How many attention calls it has."""
        return len(self._layers)

    @property
    def n_heads(self) -> int:
        return size_of("head", [layer.call.n_heads for layer in self._layers])

    @property
    def d_head(self) -> int:
        return size_of("d_head", [layer.call.value.shape[-1] for layer in self._layers])

    @property
    def d_model(self) -> int:
        return size_of("d_model", [layer.d_model for layer in self._layers])

    def head_key(self, layer: int, head: int) -> tuple[int, int] | tuple[str, int, int]:
        """How `attn_core.trace(without=…)` names a head: (layer, head), with the stream's name where there are many."""
        return (layer, head) if self.name == "self" else (self.name, layer, head)

    # --- Attention -----------------------------------------------------------------------------------------------

    def query(self, layer: int, head: int) -> Array:
        """The queries as they were scored, so after any rotation: [query, d_head]."""
        call = self._call(layer, head)
        return _without_filler(as_array(call.heads(head)[0][0]), call)

    def key(self, layer: int, head: int) -> Array:
        """The keys as they were scored: [key, d_head]. Heads of one group share them."""
        return self._of_keys(layer, head, 1)

    def value(self, layer: int, head: int) -> Array:
        """The values in the small space, before W_O: [key, d_head]; that of "no word" is 0."""
        return self._of_keys(layer, head, 2)

    def key_group(self, layer: int, head: int) -> tuple[int, ...]:
        """The heads that share one key and one value, this one among them: (6, 7, 8); itself alone in most models."""
        call = self._call(layer, head)
        size = call.n_heads // call.key.shape[0]
        first = head - head % size
        return tuple(range(first, first + size))

    @without_autocast()
    def raw_scores(self, layer: int, head: int) -> Array:
        """q·k alone, [query, key]: no scale, no bias, no mask."""
        query, key, _ = self._call(layer, head).heads(head)
        return as_numpy(attention.raw_scores(query, key)[0])

    def scores(self, layer: int, head: int) -> Array:
        """What the softmax gets, [query, key]: scale, soft cap and position bias in, masked cells −∞."""
        call = self._call(layer, head)
        if call.is_one_block():
            return as_numpy(call.scores(head)[0])
        scores = np.full((call.n_query, call.n_key), -np.inf, np.float32)  # what lies beyond a block's keys is masked
        for rows, block in call.row_blocks():
            scores[rows, : block.n_key] = as_numpy(block.scores(head)[0])
        return _without_filler(scores, call)

    def pattern(self, layer: int, head: int, rows: slice | None = None) -> Array:
        """The attention pattern of a head, [query, key], or `rows` of it, [row, key].

        Every row sums to 1, but those of filler, which are NaN.
        """
        found: Array = _weights(self._call(layer, head), head, rows)[0]
        return found

    def segment_shares(self, layer: int, head: int) -> Array:
        """Of a pair: the shares of a head's attention from each segment to each, [query segment, key segment].

        The mean over the rows of a segment of the weight that they put on the keys of a segment, special tokens counted
        in theirs: [[A→A, A→B], [B→A, B→B]]. Raises HeadlightError where one text was read. See `text.pairs`.
        """
        at = second_of(self.tokens, self.key_tokens)
        if at is None:
            raise HeadlightError("One text was read here, and no pair: it has no second segment.")
        call = self._call(layer, head)
        sides = segment_rows(at[0], call.n_query), segment_rows(at[1], call.n_key)
        pieces = row_slices(call.n_query, call.n_key)
        return segment_shares_of_blocks(((rows, self.pattern(layer, head, rows)) for rows in pieces), *sides)

    def pattern_row(self, layer: int, head: int, query: int) -> Array:
        """One row of a pattern, [key], computed without the others; sums to 1."""
        row: Array = _weights(self._call(layer, head, query), head, slice(query, query + 1))[0, 0]
        return row

    def patterns(self, layer: int, rows: slice | None = None) -> Array:
        """The attention patterns of all heads of a layer, [head, query, key], or `rows` of them, [head, row, key]."""
        return _weights(self._call(layer), None, rows)

    def iter_patterns(self, layer: int) -> Iterator[tuple[slice, Array]]:
        """The patterns of a layer in blocks of rows, (rows, [head, row, key]), for sentences too long for a square.

        A block has at most `blocks.CELLS` weights, or one row of every head.
        """
        call = self._call(layer)
        return ((rows, self.patterns(layer, rows)) for rows in row_slices(call.n_query, call.n_key * call.n_heads))

    def may_look(self, layer: int, rows: slice | None = None) -> Flags:
        """Which query may look at which key, bool [query, key], or `rows` of it, [row, key]."""
        call = self._call(layer)
        found: Flags = call.mask.rows(rows_in(rows, call.n_query), call.n_key).numpy()
        return found if call.mask.cells is None else found.copy()

    def scaling(self, layer: int) -> float:
        """What q·k is multiplied by in the attention function: 1/√d_head, or 1 where a model scales elsewhere."""
        return self._call(layer).scaling

    def scaled_before(self, layer: int) -> float:
        """What the queries themselves were multiplied by, where a model scales them and not the scores; 1 in most."""
        slices = self._layer(layer).site.query
        return 1.0 if slices is None else slices.factor

    def soft_cap(self, layer: int) -> float | None:
        """The bound that scores are squeezed into, or None."""
        return self._call(layer).soft_cap

    def position_bias(self, layer: int, head: int) -> Array | None:
        """What a relative position adds to the scores of a head, [query, key], or None; 0 where a key is no word."""
        shift = self._call(layer, head).position_bias(head)
        return None if shift is None else as_array(shift[0])

    def learnt_score(self, layer: int, head: int) -> float | None:
        """The score that a head has learnt for looking at no word, which its last key gets; None where it has none."""
        sink = self._call(layer, head).sink
        return None if sink is None else float(sink[head])

    def weighted_values(self, layer: int, head: int) -> Array:
        """What the model's own attention returned for a head, its pattern · value before W_O: [query, d_head].

        A tensor that left the model, not a computation of ours, unless the trace was made with `keep="small"`.
        """
        return as_array(self._call(layer, head).given_values(head)[0])

    # --- Inside --------------------------------------------------------------------------------------------------

    def _of_keys(self, layer: int, head: int, part: int) -> Array:
        """A head's keys (1) or values (2), [key, d_head]; filler, which is nobody's word, has NaN."""
        call = self._call(layer, head)
        found = as_array(call.heads(head)[part][0])
        if self.name != "cross":
            _without_filler(found[: call.n_words], call)
        return found

    def _layer(self, layer: int, head: int | None = None, query: int | None = None) -> Layer:
        check_index("layer", layer, self.n_layers)
        found = self._layers[layer]
        if head is not None:
            check_index("head", head, found.call.n_heads)
        if query is not None:
            check_index("query", query, found.call.query.shape[1])
        return found

    def _put_into_head(self, layer: int, head: int, part: str) -> Array | None:
        """What a patch added to a head's "query", "key" or "value", [token, d_head]; None where nothing was put."""
        call = self._call(layer, head)
        if part not in call.computed:
            return None
        computed = call.computed[part][head]
        now = call.heads(head)[("query", "key", "value").index(part)][0]
        return as_array(now[: len(computed)] - computed)

    def _call(self, layer: int, head: int | None = None, query: int | None = None) -> Call:
        return self._layer(layer, head, query).call


def _weights(call: Call, which: int | None, rows: slice | None) -> Array:
    """Some rows of the patterns of one head or of all, by default every row, [head, row, key]."""
    some = rows_in(rows, call.n_query)
    if (some.start, some.stop) == (0, call.n_query):
        return as_numpy(call.patterns(which))
    found = np.zeros((call.n_heads if which is None else 1, some.stop - some.start, call.n_key), np.float32)
    if found.size:
        weights = call.rows(some).patterns(which)  # [head, row, key]; keys that no row may see are left out: 0
        found[:, :, : weights.shape[-1]] = as_numpy(weights)
        if call.blind is not None:
            found[:, call.blind[some].cpu().numpy()] = np.nan
    return found


def _without_filler(rows: Array, call: Call) -> Array:
    """Rows [token, features] with NaN for filler."""
    if call.blind is not None:
        rows[call.blind.cpu().numpy()] = np.nan
    return rows


def size_of(axis: str, sizes: Sequence[int]) -> int:
    """The one size that all layers have; raises ValueError where they differ."""
    if len(set(sizes)) > 1:
        raise ValueError(f"the layers of this model differ in {axis}: {sorted(set(sizes))}")
    return sizes[0]


def as_numpy(tensor: Tensor) -> Array:
    """A float32 tensor that nobody else holds as an array on the CPU, without a copy where it is there."""
    array: Array = tensor.detach().cpu().numpy()
    return array


def as_array(tensor: Tensor) -> Array:
    """A fresh float32 array on the CPU, whatever the tensor's type and device."""
    array: Array = tensor.detach().to(device="cpu", dtype=torch.float32).numpy().copy()
    return array


def weights_table(own: AttentionReaders) -> pd.DataFrame:
    """Every weight of a stream as a long table: stream, layer, head, query, query_token, key, key_token, weight."""
    import pandas as pd

    n_query, n_key = len(own.tokens), len(own.key_tokens)
    pieces = [*row_slices(n_query, n_key)]
    n_cells = [sum(int(own.may_look(n, rows).sum()) for rows in pieces) for n in range(own.n_layers)]  # [layer]
    n_rows = sum(size * own._call(n).n_heads for n, size in enumerate(n_cells))
    numbers = {name: np.empty(n_rows, np.int64) for name in ("layer", "head", "query", "key")}
    numbers["weight"] = np.empty(n_rows, np.float32)
    at = 0
    for layer in range(own.n_layers):
        for head in range(own._call(layer).n_heads):  # one after the other, each in blocks of its rows
            for rows in pieces:
                query, key = np.nonzero(own.may_look(layer, rows))
                weight = own.pattern(layer, head, rows)[query, key]
                there = slice(at, at + len(query))
                for name, values in zip(numbers, (layer, head, rows.start + query, key, weight), strict=True):
                    numbers[name][there] = values
                at += len(query)
    columns: dict[str, Any] = {"stream": pd.array([own.name], dtype="str").take(np.zeros(n_rows, np.intp))}
    for name, values in numbers.items():
        columns[name] = values
        if name in ("query", "key"):
            labels = (own.tokens if name == "query" else own.key_tokens).labels
            columns[f"{name}_token"] = pd.array(list(map(str, labels)), dtype="str").take(values)
    return pd.DataFrame(columns, copy=False)
