"""What multi-head latent attention (MLA) costs: keys and values are made of one short list of numbers a token.

    latent = latent_attention(count_parameters({"model_type": "deepseek_v3"}))
    latent.cache_bytes(1_000), latent.multiply_adds(1_000)

A block caches that list and the one rotated key which its heads share, not a key and a value for every head. Everything
is read off the table of parameters, so any family that is built in this way is counted.

Source: DeepSeek-AI 2024, "DeepSeek-V2", sections 2.1 and 2.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from attn_core.parameters.costs import BYTES, Cost
from attn_core.parameters.table import ParameterTable
from attn_core.parameters.tensors import Row

_LATENT = "kv_a_proj_with_mqa.weight"  # as all of these families call it: d_model → the list and the shared key


@dataclass(frozen=True)
class LatentAttention:
    """All attentions of a model: how many, how long the list is that each caches, and what one of them multiplies.

    `projections` is the numbers in the matrices of all of them; `query` and `value` are heads × d_head of one.
    """

    n_attentions: int
    latent: int
    query: int
    value: int
    projections: int

    @property
    def saves(self) -> float:
        """How many times smaller the cache is than one of a key and a value for every head."""
        return (self.query + self.value) / self.latent

    def cache_bytes(self, tokens: int, dtype: str = "float16") -> list[Cost]:
        """What is kept of one token, and of `tokens` of them."""
        each, one = BYTES[dtype], int(self.n_attentions * self.latent * BYTES[dtype])
        said = f"{self.n_attentions:,} blocks × {self.latent:,} × {each:g} bytes"
        whole = Cost(f"cache for {tokens:,} tokens", f"{tokens:,} × {one:,}", tokens * one, "linear")
        return [Cost("cache for one token", said, one, "not at all"), whole]

    def multiply_adds(self, tokens: int) -> list[Cost]:
        """Of attention, for one more token when `tokens` are there to look at; every weight is used once."""
        look = f"{self.n_attentions:,} × {tokens:,} tokens × ({self.query:,} + {self.value:,})"
        value = self.n_attentions * tokens * (self.query + self.value)
        return [
            Cost("attention: projections", f"{self.projections:,} numbers, each once", self.projections, "not at all"),
            Cost("attention: scores and sums", look, value, "linear"),
        ]


def latent_attention(table: ParameterTable) -> LatentAttention | None:
    """None where a model has another kind of attention, or other ones beside it."""
    found = [row for row in table.rows if row.part == "attention" and row.kind == "matrix"]
    rows = {row.name: row for row in found}
    blocks = {name.removesuffix(_LATENT): row.layers for name, row in rows.items() if name.endswith(_LATENT)}
    if not all(any(row.name.startswith(stem) and row.layers == own for stem, own in blocks.items()) for row in found):
        return None
    sizes = {_sizes(stem, rows) for stem in blocks}
    if len(sizes) != 1:
        return None
    latent, query, value = sizes.pop()
    n_attentions = sum(len(layers) for layers in blocks.values())
    return LatentAttention(n_attentions, latent, query, value, sum(row.total for row in found))


def _sizes(stem: str, rows: dict[str, Row]) -> tuple[int, int, int]:
    query = rows.get(f"{stem}q_b_proj.weight") or rows[f"{stem}q_proj.weight"]
    return rows[stem + _LATENT].shape[0], query.shape[0], rows[f"{stem}o_proj.weight"].shape[1]
