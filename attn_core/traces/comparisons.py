"""Our tensors against those that left the model, layer by layer and row by row: what `Parity` sums up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from attn_core.blocks import row_slices
from attn_core.errors import NoModel
from attn_core.options import check_any, check_several
from attn_core.tolerances import SMALLEST, coarsest
from attn_core.traces.block import BlockKind
from attn_core.traces.layer import through_modules
from attn_core.traces.parity import LEFT_OUT, NEXT, Comparison, Parity, worst_of
from attn_core.traces.source import KeptOutputs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attn_core.traces.call import Call
    from attn_core.traces.layer import Layer

    Compared = tuple[tuple[str, str], Tensor, Tensor]  # (part and name), ours, the model's own
    OfLayer = tuple[tuple[Layer, str, str], Tensor, Tensor]  # the same, of a layer

MODELS_OWN = "what the model's attention returned"
CAPPED = "what our attention with capped scores returned, which the library's fused one refuses"
AFTER = "the stream after attention"
ADDED = "what the norm of it added to the stream"
RECEIVED = "what W_Q received of the stream"
FINAL = "the final embedding"
SEEN = {name: f"the {name} that attention saw" for name in ("query", "key", "value")}
AT_ONCE = 50_000  # scores of a layer, up to which layers are compared in one go: 64 tokens, with 12 heads


class End(NamedTuple):
    """The comparison of a stream's final embedding; None where it has none, and where it is `unseen`."""

    comparison: Comparison | None = None
    unseen: bool = False


def some_layers(layers: Iterable[int] | None) -> list[int] | None:
    """The layers that somebody wants checked, None for all. Raises TypeError or ValueError for what names no layer."""
    if layers is None:
        return None
    check_several("layers", layers, "layers")
    found = list(layers)
    check_any("layers", found, "layers")
    return found


def check(layers: Iterable[Layer], model: nn.Module, ends: Iterable[End] = ()) -> Parity:
    """The worst errors over these layers, computed anew from the model's weights, a block of queries at a time.

    What is compared as a part of the residual stream at its end counts where the sums of blocks are compared, too: what
    it begins with stays unknown elsewhere.
    """
    layers, ends = list(layers), list(ends)
    comparisons: list[Comparison] = []
    kinds = {"float32"}
    for alike, together in groupby(layers, _in_one_go):
        of_kind = list(together)
        kinds |= {layer.precision for layer in of_kind}
        if alike is not None:
            comparisons += layer_errors(of_kind, model)
    sums = any(one.part == "residual" for one in comparisons)
    ends = [
        end._replace(unseen=end.comparison.part == "residual" and not sums) if end.comparison else end for end in ends
    ]
    comparisons += [end.comparison for end in ends if end.comparison is not None and not end.unseen]
    errors = {name: [one.error for one in comparisons if one.part == name] for name in Parity._fields}
    found = Parity(*(worst_of(own) for own in errors.values()))
    found.comparisons, found.precision = tuple(comparisons), coarsest(kinds)
    unseen = {*_unseen(layers, model), *("final" for end in ends if end.unseen)}
    found.left_out = tuple(name for name in LEFT_OUT if name in unseen)
    return found


def _unseen(layers: Sequence[Layer], model: nn.Module) -> Iterator[str]:
    """Which of `LEFT_OUT` hold for these layers."""
    whole = [layer for layer in layers if layer.sample is None]
    if len(whole) < len(layers):
        yield "small"
    if isinstance(model, KeptOutputs):
        yield "weights"
        return
    goes_on = {layer.site.layer for layer in whole if layer.site.stream == "cross"}
    for layer in whole:
        site = layer.site
        if site.block is None or site.embedding is None:
            yield "sums"
        elif site.next is None and not (site.stream == "decoder" and site.layer in goes_on):
            yield "mlp"
        if not layer.x_is_judged:
            yield "received"


def _in_one_go(layer: Layer) -> tuple[object, ...] | None:
    """Layers that say the same here, one after the other, are compared in one go; None: nothing is kept to compare.

    A long sentence's are compared one by one, as they are in blocks of queries, so that no more is held at a time.
    """
    if layer.sample is not None:  # nothing that left the model is kept whole
        return None
    call = layer.call
    alone = layer.site.layer if call.blind is not None or call.n_heads * call.n_query * call.n_key > AT_ONCE else None
    return layer.site.stream, alone, call.n_heads, call.query.shape, call.value.shape[-1], layer.d_model


def layer_errors(layers: Sequence[Layer], model: nn.Module) -> list[Comparison]:
    """All that can be compared in layers of one shape, row by row; before W_O head by head, too."""
    import torch  # not above: pages that show a recorded result have no need of it

    n_heads = layers[0].call.n_heads
    which: list[tuple[tuple[Layer, str, str], int | None]] = []
    blocks = []  # (differences, sizes) of a block of rows each, [row, head or comparison]
    for of_rows in zip(*(layer.call.row_blocks() for layer in layers), strict=True):
        kinds: dict[tuple[bool, int], list[OfLayer]] = {}  # (whether head by head, how many numbers a row has)
        for layer, (rows, block) in zip(layers, of_rows, strict=True):
            real = slice(None) if block.blind is None else ~block.blind
            for name, ours, theirs in _compared(layer, model, rows, block):
                kind = name[1] in (MODELS_OWN, CAPPED), ours.shape[-1]
                kinds.setdefault(kind, []).append(((layer, *name), ours[real], theirs[real]))
        heads = {True: [*range(n_heads)], False: [None]}
        which = [(name, head) for (alone, _), own in kinds.items() for name, *_ in own for head in heads[alone]]
        found = [_differences(own, len(heads[alone])) for (alone, _), own in kinds.items()]
        blocks.append(tuple(torch.cat(each, dim=1) for each in zip(*found, strict=True)))
    errors = row_errors(*(torch.cat(each) for each in zip(*blocks, strict=True)))
    means, worst = errors.mean(dim=0).tolist(), errors.amax(dim=0).tolist()
    found_of = [
        Comparison(layer.site.stream, layer.site.layer, head, part, against, error, mean)
        for ((layer, part, against), head), error, mean in zip(which, worst, means, strict=True)
    ]
    return sorted(found_of, key=attrgetter("layer"))  # of a layer, its heads stay before its sums


def final_errors(
    stream: str, layer: Layer, left: Tensor, norm: Callable[[Tensor], Tensor], final: Tensor, part: str = "residual"
) -> Comparison:
    """What the final norm makes of what it received, `left`, against what the model ended with."""
    import torch

    blind, blocks = layer.call.blind, []
    for rows in row_slices(*left.shape):
        real = slice(None) if blind is None else ~blind[rows]
        compared = ((part, FINAL), norm(left[rows])[real], final[rows][real])
        blocks.append(_differences([compared], 1))
    errors = row_errors(*(torch.cat(each) for each in zip(*blocks, strict=True)))
    worst, mean = float(errors.amax()), float(errors.mean())
    return Comparison(stream, layer.site.layer, None, part, FINAL, worst, mean)


def _differences(compared: Sequence[tuple[object, Tensor, Tensor]], n_parts: int) -> tuple[Tensor, Tensor]:
    """(the worst absolute difference, the largest value) of each row and part of several comparisons at once.

    [row, part·features] each → [row, comparison·part].
    """
    import torch

    ours = torch.cat([own.reshape(len(own), n_parts, -1) for _, own, _ in compared], dim=1)
    theirs = torch.cat([own.reshape(len(own), n_parts, -1) for *_, own in compared], dim=1)  # [row, comparison·part, …]
    return (ours - theirs).abs().amax(dim=-1), theirs.abs().amax(dim=-1)  # NaN where one of them has a NaN


def row_errors(differences: Tensor, sizes: Tensor) -> Tensor:
    """Worst differences relative to the largest values of their rows, all [row, part].

    A row that is smaller than most is judged like the one in the middle: what is left of sums that nearly cancel is
    rounding. So no row of huge values hides what is wrong with another.
    """
    middle = sizes.median(dim=0, keepdim=True).values  # [1, part]
    return differences / sizes.maximum(middle).clamp_min(SMALLEST)


def _compared(layer: Layer, model: nn.Module, rows: slice, block: Call) -> Iterator[Compared]:
    """What is compared in some rows of a layer: (part and name, ours, the model's own), both [row, features]."""
    joined = block.weigh_values(None).transpose(-3, -2).flatten(-2)  # [row, head·d_head], as attention returns it
    judge = MODELS_OWN if layer.call.soft_cap is None else CAPPED
    yield ("pattern", judge), joined, layer.call.given_rows(rows)
    try:
        added = layer.attention_output(model, joined)  # [row, d_model]
        yield ("delta", "what its output projection returned"), added, layer.own(layer.site.projected)[rows]
        for name, ours, theirs in _sums(layer, model, rows, added):
            yield ("residual", name), ours, theirs
        yield from _received(layer, model, rows)
    except NoModel:  # of a trace that was opened from a file: what needs weights that it lacks is not compared
        return


def _sums(layer: Layer, model: nn.Module, rows: slice, added: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """How one block adds up from what our attention gives, `added` [row, d_model]; nothing where that is unknown.

    A stream or an MLP's part that was not kept, because it follows, is computed anew by the model's own modules.
    In a patched pass every sum starts from what the model went on with, and is compared with what it then computed.
    """
    site, taps = layer.site, layer.taps
    if site.block is None or site.embedding is None:
        return
    if (
        site.added is not None and site.added in layer.computed
    ):  # the model went on with what was put there, whatever the heads add up to
        added = site.scale * taps[site.added][rows]
    elif site.block is BlockKind.SCALED:
        added = site.scale * added
    elif site.block is BlockKind.NORM_AFTER and site.added is not None:
        added = layer.through(model, site.added.module, added)
        if site.added in taps:
            yield ADDED, added, layer.own(site.added)[rows]
    total = taps[site.embedding][rows] + added
    if site.block is BlockKind.PARALLEL and site.mlp is not None and site.next is not None:
        yield NEXT, total + taps[site.mlp][rows], layer.own(site.next)[rows]
    elif site.after is not None:
        post_norm = site.block is BlockKind.POST_NORM
        after = layer.through(model, site.after.module, total) if post_norm else total
        if site.after in taps:
            yield AFTER, after, layer.own(site.after)[rows]
            after = taps[site.after][rows]
        if site.mlp is not None and site.next is not None:
            mlp = taps[site.mlp][rows] if site.mlp in taps else through_modules(model, site.to_mlp, after)
            end = after + (mlp if site.scale == 1 else site.scale * mlp)
            own = layer.through(model, site.next.module, end) if post_norm else end
            yield NEXT, own, layer.own(site.next)[rows]


def _received(layer: Layer, model: nn.Module, rows: slice) -> Iterator[Compared]:
    """What the modules before W_Q make of E, where x was kept and is not E itself; where the block's sums are known.

    Elsewhere x and memory are judged by what W_Q, W_K and W_V make of them, where attention saw just that.
    """
    site, taps = layer.site, layer.taps
    for name in sorted(site.plain - set(layer.call.computed)):  # what was put there follows from nothing
        ours = getattr(site, name).of_rows(model, layer.given("x" if name == "query" else "memory", model, rows))
        theirs = getattr(layer.call, name)[:, rows]
        yield ("pattern", SEEN[name]), ours.transpose(0, 1).flatten(1), theirs.transpose(0, 1).flatten(1)
    if site.block is not None and site.embedding is not None and site.to_x and site.x is not None and site.x in taps:
        ours = through_modules(model, site.to_x, taps[site.embedding][rows])
        yield ("residual", RECEIVED), ours, layer.own(site.x)[rows]
