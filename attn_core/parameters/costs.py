"""What the parameters cost: memory for the weights, the cache of keys and values, multiply-adds for a token.

Every cost is a number with the formula that gave it. All are for one sequence; a batch multiplies cache and
multiply-adds, not weights. Bytes are bytes, and people read them in powers of 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

from attn_core.parameters.shape import Shape
from attn_core.parameters.table import ParameterTable

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}


@dataclass(frozen=True)
class Cost:
    """One number, what it is, and the product that gave it. `grows` says with which power of the context it grows."""

    what: str
    formula: str
    value: int
    grows: str = ""


def weight_bytes(table: ParameterTable, dtype: str) -> Cost:
    """The memory of all stored numbers in one number format; what a run needs besides is not in it."""
    value = int(table.total * BYTES[dtype])
    return Cost(f"weights in {dtype}", f"{table.total:,} × {BYTES[dtype]:g} bytes", value)


def cache_bytes(shape: Shape, tokens: int, dtype: str = "float16") -> list[Cost]:
    """The cache of keys and values that a model keeps while it writes, for one token and for `tokens` of them.

    An encoder reads everything at once and keeps none. A translator's decoder keeps its own, and beside it the keys
    and values of the source for cross-attention.
    """
    if shape.kind == "encoder":
        return []
    n_layers = shape.n_decoder_layers or shape.n_layers
    each = BYTES[dtype]
    numbers = f"2 × {n_layers:,} blocks × {shape.n_groups:,} × {shape.d_head:,} × {each:g} bytes"
    one = int(2 * n_layers * shape.n_groups * shape.d_head * each)
    costs = [Cost("cache for one token", numbers, one, "not at all")]
    costs.append(Cost(f"cache for {tokens:,} tokens", f"{tokens:,} × {one:,}", tokens * one, "linear"))
    if shape.kind == "encoder-decoder":
        costs.append(Cost(f"cross cache for {tokens:,} source tokens", f"{tokens:,} × {one:,}", tokens * one, "linear"))
    return costs


def multiply_adds(shape: Shape, tokens: int) -> list[Cost]:
    """Multiply-adds for one more token when `tokens` are there to look at (itself included); one is two flops.

    Linear in the matrices: every weight is used once. The scores and the weighted sum of values touch every earlier
    token; for a whole text that makes them quadratic in its length. Softmax, norms and biases are left out.
    In a translator it is one source token through the encoder and one target token through the decoder's two
    attentions, each with `tokens` to look at.
    """
    d, f = shape.d_model, shape.d_ff
    decoder = shape.n_decoder_layers * shape.decoder_d_ff
    attentions = shape.n_layers + 2 * shape.n_decoder_layers
    project = 2 * d * shape.width + 2 * d * shape.n_groups * shape.d_head
    gates = 3 if shape.gated else 2
    said = f"(2 × {d:,} × {shape.width:,} + 2 × {d:,} × {shape.n_groups * shape.d_head:,})"
    look = f"2 × {tokens:,} tokens × {shape.width:,}"
    costs = [
        Cost("attention: projections", f"{attentions:,} × {said}", attentions * project, "not at all"),
        Cost("attention: scores and sums", f"{attentions:,} × {look}", attentions * 2 * tokens * shape.width, "linear"),
        Cost("MLP", _mlp_formula(shape, gates), gates * d * (shape.n_layers * f + decoder), "not at all"),
    ]
    if shape.kind != "encoder":
        costs.append(Cost("unembedding", f"{d:,} × {shape.vocabulary:,}", d * shape.vocabulary, "not at all"))
    return costs


def _mlp_formula(shape: Shape, gates: int) -> str:
    d, f = shape.d_model, shape.d_ff
    if shape.decoder_d_ff in (0, f):
        return f"{shape.n_blocks:,} × {gates} × {d:,} × {f:,}"
    return f"{gates} × {d:,} × ({shape.n_layers:,} × {f:,} + {shape.n_decoder_layers:,} × {shape.decoder_d_ff:,})"


def even_point(shape: Shape) -> int:
    """How many tokens make scores and sums as costly as the projections: (d_model × (heads + groups)) / heads.

    With as many groups as heads it is 2 × d_model, 24,576 tokens for GPT-3.
    """
    return round(shape.d_model * (shape.n_heads + shape.n_groups) / shape.n_heads)


@dataclass(frozen=True)
class Saving:
    """What grouped queries save against a key and a value for every head."""

    heads: int
    groups: int
    parameters: int
    cache_factor: float
    formula: str


def grouping_saves(shape: Shape) -> Saving | None:
    """The saving in W_K and W_V, and how many times smaller the cache is; None where every head has its own.

    Source: Ainslie et al. 2023, "GQA", section 2.2.
    """
    if shape.n_groups == shape.n_heads:
        return None
    spared = shape.n_heads - shape.n_groups
    attentions = shape.n_layers + 2 * shape.n_decoder_layers
    formula = f"2 × {attentions:,} × {shape.d_model:,} × ({shape.n_heads} − {shape.n_groups}) × {shape.d_head:,}"
    saved = 2 * attentions * shape.d_model * spared * shape.d_head
    return Saving(shape.n_heads, shape.n_groups, saved, shape.n_heads / shape.n_groups, formula)
