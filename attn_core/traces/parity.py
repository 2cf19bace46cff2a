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
SMALLEST_NORM = 1e-20  # the same for lengths, which may be as small as a square root of float32's smallest numbers
SMALLEST_SQUARE = 1e-30  # the same for sums of squares

# For the search of a model's wiring. Too tight misses a family, too loose takes a chance likeness for a wire.
SUM = 2e-6  # relative to the size of the terms, for each element: one addition, rounded once or twice
DIFFERENCE = 4e-6  # relative to the largest value: two subtractions, so rounding of large numbers is left in small ones
NEAR_ZERO = 1e-7  # absolute: elements that cancel
DIRECTION = 1e-5  # 1 − cosine of two vectors that are the same, and of a factor that is 1
FACTOR = 1e-4  # relative: one factor for all heads
SAME = 1e-4, 1e-5, 1e-9  # relative; of the largest value; absolute: a product over d_model terms in another order
ROTATION = 1e-4  # relative length of what a fitted rotation leaves over: cos and sin are rounded too
LOGITS = 1e-3, 1e-4  # relative; of the largest logit: a sum over d_model and a fit over all words
OWN_ATTENTION = 1e-3  # relative: the model's last states with our attention against those with its own
ROW_SUM = 1e-4  # how far the rows of a pattern that somebody forces may be from 1


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


def same(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two products over many terms agree, element for element, up to the order of the sums."""
    if ours.shape != theirs.shape:
        return False
    relative, of_largest, absolute = SAME
    allowed = relative * theirs.abs() + of_largest * float(theirs.abs().max()) + absolute
    return bool(((ours - theirs).abs() <= allowed).all())


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
