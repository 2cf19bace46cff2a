"""A layout is where a family writes down its tensors, in the order in which a word meets them.

It knows what all families share (a linear layer is a matrix and perhaps a bias, a norm is one or two vectors) so that
a family's layout reads like its architecture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attn_core.parameters.tensors import Piece, Row, Size, size

Config = Mapping[str, Any]
TOKEN, POSITION, UNEMBEDDING = "token embedding", "position embedding", "unembedding"
ATTENTION_WORDS = {"query": "query", "key": "key", "value": "value (down)", "output": "output (value up)"}


def widths(d_model: int, n_heads: int, n_groups: int | None = None, d_head: int | None = None) -> tuple[Size, Size]:
    """How wide all queries are, and all keys (or values); where nothing else is said, heads share out d_model.

    >>> [side.formula for side in widths(768, n_heads=12, n_groups=4)]
    ['heads × d_head', 'groups × d_head']
    """
    each = size(d_head=d_head or d_model // n_heads)
    queries = size(heads=n_heads) * each
    return queries, size(groups=n_groups) * each if n_groups and n_groups != n_heads else queries


class TensorLayout:
    """Rows as they are written. `prefix` is what a model with a head on top puts before the names of its body."""

    def __init__(self, prefix: str = "") -> None:
        self.rows: list[Row] = []
        self.prefix = prefix
        self._place = "before the blocks"
        self._layers = range(1)

    def after_blocks(self, prefix: str | None = None) -> None:
        """From here on, rows stand after the blocks; a head on top has names without the body's prefix."""
        self._place = "after the blocks"
        self.prefix = self.prefix if prefix is None else prefix

    @contextmanager
    def blocks(self, stem: str, layers: int | range, place: str = "blocks") -> Iterator[None]:
        """Rows written inside occur once in each of `layers`; `stem` holds `{}` where the number stands."""
        before = self.prefix, self._place, self._layers
        self.prefix += stem
        self._place, self._layers = place, range(layers) if isinstance(layers, int) else layers
        yield
        self.prefix, self._place, self._layers = before

    def add(
        self,
        name: str,
        sizes: Sequence[Size],
        part: str,
        what: str,
        role: str = "",
        *,
        kind: str = "matrix",
        pieces: Mapping[str, Size] | None = None,
        tied_to: str | None = None,
        sublayer: str = "",
    ) -> None:
        """Write one tensor. `pieces` says which role has how much of it, where it holds several."""
        shape = tuple(size.n for size in sizes)
        whole = sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1]
        cut = tuple(Piece(r, s) for r, s in pieces.items()) if pieces else (Piece(role or part, whole),)
        place, layers = self._place, self._layers
        self.rows.append(Row(self.prefix + name, what, part, kind, place, shape, cut, layers, tied_to, sublayer))

    def table(self, name: str, rows: Size, width: Size, part: str, what: str, *, tied_to: str | None = None) -> None:
        """An embedding: one row for each word, position or type."""
        self.add(name, (rows, width), part, what, tied_to=tied_to)

    def linear(
        self,
        module: str,
        inputs: Size,
        outputs: Size,
        part: str,
        what: str,
        role: str = "",
        *,
        bias: bool = True,
        inputs_first: bool = False,
        pieces: Mapping[str, Size] | None = None,
        sublayer: str = "",
    ) -> None:
        """A matrix [outputs, inputs] and perhaps its bias [outputs]; GPT-2 stores [inputs, outputs].

        `pieces` gives the outputs of each role where several roles share the matrix.
        """
        sizes = (inputs, outputs) if inputs_first else (outputs, inputs)
        shares = {r: inputs * s if inputs_first else s * inputs for r, s in pieces.items()} if pieces else None
        self.add(f"{module}.weight", sizes, part, f"{what}, matrix", role, pieces=shares, sublayer=sublayer)
        if bias:
            what = f"{what}, bias"
            self.add(f"{module}.bias", (outputs,), part, what, role, kind="bias", pieces=pieces, sublayer=sublayer)

    def norm(self, module: str, width: Size, what: str, *, bias: bool = True) -> None:
        """A LayerNorm (scale and shift), or an RMSNorm (scale alone)."""
        self.add(f"{module}.weight", (width,), "norm", f"{what}, scale", kind="norm")
        if bias:
            self.add(f"{module}.bias", (width,), "norm", f"{what}, shift", kind="norm")

    def attention(
        self,
        modules: Mapping[str, str],
        d_model: Size,
        heads: Size,
        groups: Size,
        *,
        bias: bool = True,
        output_bias: bool | None = None,
        sublayer: str = "self-attention",
    ) -> None:
        """Four matrices: `modules` says what the family calls query, key, value and output.

        `heads` and `groups` are widths: heads × d_head for queries, groups × d_head for keys and values.
        """
        for role, module in modules.items():
            word = f"{sublayer}: {ATTENTION_WORDS[role]}"
            if role == "output":
                bias = bias if output_bias is None else output_bias
                self.linear(module, heads, d_model, "attention", word, role, bias=bias, sublayer=sublayer)
            else:
                width = heads if role == "query" else groups
                self.linear(module, d_model, width, "attention", word, role, bias=bias, sublayer=sublayer)

    def fused_attention(
        self,
        module: str,
        d_model: Size,
        heads: Size,
        groups: Size,
        *,
        bias: bool = True,
        inputs_first: bool = False,
    ) -> None:
        """Query, key and value in one matrix."""
        outputs = Size((("(query + key + value)", heads.n + 2 * groups.n),))
        what = "self-attention: query, key and value (down) in one"
        pieces = {"query": heads, "key": groups, "value": groups}
        self.linear(
            module,
            d_model,
            outputs,
            "attention",
            what,
            bias=bias,
            inputs_first=inputs_first,
            pieces=pieces,
            sublayer="self-attention",
        )

    def attention_output(
        self, module: str, d_model: Size, heads: Size, *, bias: bool = True, inputs_first: bool = False
    ) -> None:
        """The output matrix alone, for families whose other three are fused."""
        what = f"self-attention: {ATTENTION_WORDS['output']}"
        self.linear(
            module,
            heads,
            d_model,
            "attention",
            what,
            "output",
            bias=bias,
            inputs_first=inputs_first,
            sublayer="self-attention",
        )

    def mlp(
        self, modules: Mapping[str, str], d_model: Size, d_ff: Size, *, bias: bool = True, inputs_first: bool = False
    ) -> None:
        """Up, down, and in gated MLPs a gate: `modules` says what the family calls them."""
        for role, module in modules.items():
            inputs, outputs = (d_ff, d_model) if role == "down" else (d_model, d_ff)
            what = f"MLP: {role}"
            self.linear(
                module, inputs, outputs, "mlp", what, role, bias=bias, inputs_first=inputs_first, sublayer="MLP"
            )

    def gate_and_up(self, module: str, d_model: Size, d_ff: Size, *, bias: bool = False) -> None:
        """Gate and up in one matrix."""
        pieces = {"gate": d_ff, "up": d_ff}
        both = size(**{"(gate + up)": 2}) * d_ff
        self.linear(module, d_model, both, "mlp", "MLP: gate and up in one", bias=bias, pieces=pieces, sublayer="MLP")

    def unembedding(self, module: str, words: Size, width: Size, tied_to: str | None, *, bias: bool = False) -> None:
        """From the last vector to a number for every word; `tied_to` names the embedding that serves for both."""
        self.after_blocks("")
        self.table(f"{module}.weight", words, width, "unembedding", UNEMBEDDING, tied_to=tied_to)
        if bias:
            self.add(f"{module}.bias", (words,), "unembedding", f"{UNEMBEDDING}, bias", kind="bias")
