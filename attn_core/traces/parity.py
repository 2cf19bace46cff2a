"""How far our numbers are from tensors that left the model, and every tolerance that this project compares with.

Float32 keeps about seven digits, so one rounding is 6e-8 of a number; sums over hundreds of terms, in another order
than the model's, lose one or two digits more. Each tolerance says what it has to tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from attn_core.traces.block import BlockKind

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attn_core.traces.layer import Layer

TOLERANCE = 1e-5  # relative; ours against the model's: about a hundred roundings, and far below any wrong wiring
SMALLEST = 1e-12  # instead of a zero to divide by, far below every number of a model


class Parity(NamedTuple):
    """How far our numbers are from tensors that left the model: worst absolute difference ÷ largest value, per layer.

    `pattern`: pattern · value against what the model's attention returned. `delta`: Σ ΔE + bias against what its
    output projection returned. `residual`: E + attention (+ norm) (+ MLP) against the stream that the model went on
    with.
    """

    pattern: float
    delta: float
    residual: float

    @property
    def ok(self) -> bool:
        """Whether all three are within `TOLERANCE`, about a hundred roundings of float32."""
        return max(self) <= TOLERANCE


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """The worst absolute difference, as a share of the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(SMALLEST))


def check(layers: Iterable[Layer], model: nn.Module) -> Parity:
    """The worst errors over these layers, computed anew from the model's weights."""
    pattern = delta = residual = 0.0
    for layer in layers:
        weighted = layer.call.weigh_values(None)  # [head, query, d_head]
        joined = weighted.transpose(-3, -2).flatten(-2)  # [query, head·d_head], as attention returns it
        pattern = max(pattern, relative_error(joined, layer.call.weighted_values))
        added = layer.attention_output(model, weighted)  # [query, d_model]
        delta = max(delta, relative_error(added, layer.taps[layer.site.projected]))
        residual = max(residual, *residual_errors(layer, model, added))
    return Parity(pattern, delta, residual)


def residual_errors(layer: Layer, model: nn.Module, added: Tensor) -> Iterator[float]:
    """How well one block adds up from what our attention gives, `added` [query, d_model]; 0 where that is unknown."""
    site, taps = layer.site, layer.taps
    yield 0.0
    if site.block is None or site.embedding is None:
        return
    if site.block is BlockKind.NORM_AFTER and site.added is not None:
        added = model.get_submodule(site.added.module)(added)
    total = taps[site.embedding] + added
    if site.block is BlockKind.PARALLEL and site.mlp is not None and site.next is not None:
        yield relative_error(total + taps[site.mlp], taps[site.next])
    elif site.after is not None:
        post_norm = site.block is BlockKind.POST_NORM
        after = taps[site.after]
        yield relative_error(model.get_submodule(site.after.module)(total) if post_norm else total, after)
        if site.mlp is not None and site.next is not None:
            end = after + taps[site.mlp]
            yield relative_error(model.get_submodule(site.next.module)(end) if post_norm else end, taps[site.next])
