"""The table of a family without a formula: rows read off the model class, parts and roles told by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attn_core.parameters.meta_model import UNEMBEDDING, Tensor, build, tensors_of
from attn_core.parameters.table import ParameterTable
from attn_core.parameters.tensors import Piece, Row, size

if TYPE_CHECKING:
    from torch import nn

# What decides a tensor's part, in this order: words of its own name, or the ends of the class names around it. Families
# spell both as they like (SelfAttention, DenseReluDense, LayerNorm), so letters of either case count.
_POSITION = re.compile(r"wpe|position|relative|rel_embed", re.IGNORECASE)
_NORM_NAME = re.compile(r"layer_?norm|_norm\b|\bnorm|ln_|\bln\b", re.IGNORECASE)
_NORM_CLASS = re.compile(r"norm(gated|\dd)?$", re.IGNORECASE)
_ATTENTION_CLASS = re.compile(r"(attention|attn)$", re.IGNORECASE)
_BY_NAME = (
    ("attention", re.compile(r"attn|attention(?!_residual)", re.IGNORECASE)),
    (
        "mlp",
        re.compile(
            r"mlp|ffn|feed_forward|intermediate|experts|dense_h|dense_4h|\bfc\d?\b|output\.dense|denserelu|ff_layer",
            re.IGNORECASE,
        ),
    ),
    ("embedding", re.compile(r"embed|wte|\bshared\b", re.IGNORECASE)),
)
_ROLES = (
    ("fused", r"qkv|query_key_value|c_attn"),
    ("query", r"\bq\b|q_proj|q_lin|query_proj|query\b"),
    ("key", r"\bk\b|k_proj|k_lin|key_proj|key\b"),
    ("value", r"\bv\b|v_proj|v_lin|value_proj|value\b"),
    ("output", r"\bo\b|o_proj|out_proj|out_lin|c_proj|wo\b|dense"),
)


def rows_of(model: nn.Module) -> tuple[Row, ...]:
    """The rows of a table, read off a built model: equal tensors of the blocks become one row that occurs n times.

    Parts and roles are read from the tensors' names; a projection that cannot be told apart is "fused".
    """
    found: dict[tuple[str, tuple[int, ...], bool], list[tuple[int, Tensor]]] = {}
    for tensor in tensors_of(model):
        block = re.search(r"\.(\d+)\.", tensor.name)
        stem = tensor.name[: block.start()] + ".{}." + tensor.name[block.end() :] if block else tensor.name
        index = int(block.group(1)) if block else 0
        found.setdefault((stem, tensor.shape, tensor.tied_to is not None), []).append((index, tensor))
    return tuple(_row(stem, shape, occurrences) for (stem, shape, _), occurrences in found.items())


def _row(stem: str, shape: tuple[int, ...], occurrences: list[tuple[int, Tensor]]) -> Row:
    first = occurrences[0][1]
    part = role = _part(stem, first.owners)
    if part == "attention":
        role = next((role for role, words in _ROLES if re.search(words, stem)), "fused")
    learnt = "matrix" if first.learnt else "fixed"
    kind = "norm" if part == "norm" else "bias" if stem.endswith("bias") and len(shape) == 1 else learnt
    place = "blocks" if "{}" in stem else "outside the blocks"
    pieces = (Piece(role, size(**{"": 1}) if not shape else size(**{f"side {i + 1}": n for i, n in enumerate(shape)})),)
    layers = tuple(index for index, _ in occurrences)
    return Row(stem, f"{part}, {kind}", part, kind, place, shape, pieces, layers, first.tied_to)


def _part(stem: str, owners: tuple[str, ...]) -> str:
    """Which part of a model a tensor belongs to: an attention's own norms and position tables are not attention."""
    if _POSITION.search(stem):
        return "position"
    if _NORM_CLASS.search(owners[-1]) or _NORM_NAME.search(stem):
        return "norm"
    if UNEMBEDDING.search(stem):
        return "unembedding"
    if any(_ATTENTION_CLASS.search(owner) for owner in owners[1:]):
        return "attention"
    return next((part for part, words in _BY_NAME if words.search(stem)), "other")


def table_of(config: Mapping[str, Any], title: str) -> ParameterTable:
    """The table of parameters of a family without a formula, from the model built without memory."""
    model = build(config)
    note = "This family has no formula here: the tensors are read off the model class, built without memory."
    told = {**config, "architectures": [type(model).__name__]}
    return ParameterTable(title, told, rows_of(model), "built without memory", (note,))
