"""How a model is wired: which weights make queries, keys, values and ΔE, and where the tensors around them can be had.

These are plain values with names in them, never a module or a weight; `capture` finds them, a trace holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attn_core.errors import HeadlightError
from attn_core.precision import through
from attn_core.traces.block import BlockKind
from attn_core.traces.source import OwnHead

TAPS = ("projected", "embedding", "added", "after", "mlp", "next", "x", "memory", "last")  # fields of a `Site`


ModuleSide = tuple[str, str]  # a module's name, and "in" for what enters it or "out" for what leaves it


class Tap(NamedTuple):
    """Where a tensor can be had in a forward pass: the argument or result of a module, at its n-th call."""

    module: str
    side: str  # "in" or "out"
    slot: int | str  # position or name of the argument, position in the result
    call: int = 0


@dataclass(frozen=True)
class Linear:
    """A module that maps x to x·W + b; `transposed` when its weight is stored [out, in].

    Where `width` is given, no one weight is W: an adapter stands around the module, or several of them, `then`, follow
    each other. W and b are then what the map makes of the identity [width, width] and of zeros.
    """

    module: str
    transposed: bool
    width: int = 0
    then: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that it is made of, one after the other."""
        return (self.module, *self.then)

    def weight(self, model: nn.Module) -> Tensor:
        """W as [in, out], a view of the model's own weight where there is one.

        Raises HeadlightError where the model's modules are no longer those that were found when it was wrapped.
        """
        if self.width:
            zeros = torch.zeros(1, self.width)
            return self.apply(model, torch.eye(self.width)) - self.apply(model, zeros)
        module = model.get_submodule(self.module)
        if next(module.children(), None) is not None:
            raise changed_weights()
        weight: Tensor = module.get_parameter("weight").detach()
        return weight.T if self.transposed else weight

    def bias(self, model: nn.Module) -> Tensor | None:
        """b [out], or None where the module has none."""
        if self.width:
            return self.apply(model, torch.zeros(1, self.width))[0]
        bias: Tensor | None = getattr(model.get_submodule(self.module), "bias", None)
        return None if bias is None else bias.detach()

    def apply(self, model: nn.Module, rows: Tensor) -> Tensor:
        """What the module, and those after it, make of rows: [n, in] → [n, out]. They see [1, n, in], as in a pass."""
        given: Tensor = rows[None]
        for name in self.modules:
            given = through(model.get_submodule(name), given)
        return given[0].detach().cpu()


def _exact(tensor: Tensor) -> Tensor:
    return tensor.to(device="cpu", dtype=torch.float32)


def changed_weights() -> HeadlightError:
    """The error of a reader that finds other weights than those that a trace was made with."""
    return HeadlightError(
        "The model's weights are no longer those of this trace: wrap the model again and trace the sentence again."
    )


@dataclass(frozen=True)
class HeadSlices:
    """Where the heads' queries, keys or values lie in a linear map's output: head h at columns offsets[h] and on.

    `factor` is what the model multiplies them by before attention (OPT scales its queries there).
    """

    linear: Linear
    offsets: tuple[int, ...]
    d_head: int
    factor: float = 1.0

    def of_head(self, model: nn.Module, head: int, n_heads: int) -> tuple[Tensor, Tensor | None]:
        """(W [d_model, d_head], b [d_head] or None) of one of `n_heads` heads, the factor multiplied in, float32.

        With grouped queries there are fewer slices than heads, and neighbouring heads share one.
        """
        offset = self.offsets[head // (n_heads // len(self.offsets))]
        columns = slice(offset, offset + self.d_head)
        bias = self.linear.bias(model)
        weight = _exact(self.linear.weight(model)[:, columns])  # [d_model, group·d_head] → [d_model, d_head]
        return weight * self.factor, None if bias is None else _exact(bias[columns]) * self.factor

    def of_rows(self, model: nn.Module, rows: Tensor) -> Tensor:
        """What the map makes of rows [token, d_model], cut into heads: [group, token, d_head]."""
        given = self.linear.apply(model, rows).to(rows)
        return torch.stack([given[:, at : at + self.d_head] for at in self.offsets]) * self.factor


@dataclass(frozen=True)
class Site:
    """One attention call of a model, and where its neighbours' tensors can be had. None: not found in this model.

    `projected` is what W_O returned, `added` what enters the residual stream, `after` the stream behind attention and
    `next` the one that the next block receives. `x` and `memory` are what W_Q and W_K are multiplied with. `last` is
    what entered the module that gave the final embedding, where nothing else tells whether that is right. Of a block
    that scales what it adds, `added` and `mlp` are had before that, and `scale` is the factor.
    """

    stream: str
    layer: int
    n_heads: int
    output: Linear
    projected: Tap
    block: BlockKind | None = None
    embedding: Tap | None = None
    added: Tap | None = None
    after: Tap | None = None
    mlp: Tap | None = None
    next: Tap | None = None
    query: HeadSlices | None = None
    key: HeadSlices | None = None
    value: HeadSlices | None = None
    x: Tap | None = None
    memory: Tap | None = None
    last: Tap | None = None
    copied: frozenset[str] = frozenset()  # which of "query", "key", "value", "output" a pass keeps a copy of
    derived: frozenset[str] = frozenset()  # of the fields above: those that a pass need not keep, see `Layer.tensor`
    to_x: tuple[str, ...] = ()  # the modules that make x of `embedding`, one after the other; () where it is itself x
    to_mlp: tuple[str, ...] = ()  # the modules that make `mlp` of `after`, where `mlp` is derived
    scale: float = 1.0
    plain: frozenset[str] = frozenset()  # of "query", "key", "value": those that x or memory gives as they are, where
    # x does not follow from a stream whose sums are known

    def factor(self, name: str) -> float:
        """What the tensor of this name is multiplied by before it is added to the stream: 1 unless the block scales."""
        return self.scale if name in ("added", "mlp") else 1.0

    @property
    def norms(self) -> tuple[Tap, ...]:
        """Where the block's own norms give what goes on from them."""
        post, after = (self.after, self.next), (self.added,)
        places = post if self.block is BlockKind.POST_NORM else after if self.block is BlockKind.NORM_AFTER else ()
        return tuple(tap for tap in places if tap is not None)

    @cached_property
    def taps(self) -> frozenset[Tap]:
        """Where all these tensors can be had."""
        return self.taps_of(TAPS)

    def taps_of(self, names: Iterable[str]) -> frozenset[Tap]:
        """Where those of these names can be had, as far as they were found."""
        places = (getattr(self, name) for name in names)
        return frozenset(tap for tap in places if tap is not None)


@dataclass(frozen=True)
class LogitRule:
    """How a model reads words off its final embedding: cap(factor · head(x)) + bias, cap(y) = c·tanh(y/c)."""

    factor: float = 1.0
    soft_cap: float | None = None
    bias: Tensor | None = None

    def logits(self, plain: Tensor) -> Tensor:
        """The model's logits from what its unembedding gives alone, both [..., word]."""
        if self.soft_cap is not None:
            return self.soft_cap * torch.tanh(plain / self.soft_cap)
        return self.factor * plain + (0 if self.bias is None else self.bias.to(plain))


@dataclass(frozen=True)
class Wiring:
    """Everything that the probe found out about a model."""

    sites: tuple[Site, ...]
    final: Mapping[str, Tap]  # stream → where the final embedding, after any final norm, can be had
    final_norm: Mapping[str, str]  # stream → the module that is the final norm
    logits: LogitRule | None
    causal: bool  # whether the first attention looks back only
    first: Mapping[Tap, Tap] = field(default_factory=dict)  # each tap → where the same tensor can be had first
    copied: frozenset[Tap] = frozenset()  # of these, what the model overwrites or cuts from something larger
    own_pass: float | None = None  # relative error of our pass against what calling the owner's object gives
    own_weights: float | None = None  # worst difference of our weights from those that its own attention gives
    virtual: int = 0  # how many virtual tokens stand before every text: keys and values that an adapter has learnt
    sinks: frozenset[str] = frozenset()  # streams in which heads have learnt a score for looking at no word
    own_head: OwnHead | None = None  # what the model's own head says; None where it has none that can be read

    def keys_beside(self, stream: str) -> tuple[str, ...]:
        """What the keys of a stream are called that stand for no word; they come after those of the words."""
        virtual = tuple(f"prefix {i + 1}" for i in range(self.virtual))
        return (*virtual, "no word") if stream in self.sinks else virtual

    @cached_property
    def read_modules(self) -> frozenset[str]:
        """The modules whose weights readers use beside W_O, which is held against what it gave: projections, norms
        and the model's own head."""
        slices = [own for site in self.sites for own in (site.query, site.key, site.value) if own is not None]
        linears = {name for own in slices for name in own.linear.modules}
        norms = {tap.module for site in self.sites for tap in site.norms}
        head = () if self.own_head is None else self.own_head.modules
        return frozenset(linears | norms | {*self.final_norm.values(), *head})

    @cached_property
    def taps(self) -> frozenset[Tap]:
        """Every place at which something of a pass can be had."""
        return frozenset().union(*(site.taps for site in self.sites), self.final.values())

    def first_of(self, tap: Tap) -> Tap:
        """Where the tensor of a tap can be had first, which is where it is kept."""
        return self.first.get(tap, tap)

    @cached_property
    def wanted(self) -> dict[tuple[str, str, int], list[Tap]]:
        """(module, side, call) → what can be had there; each tensor once, at the first of its taps."""
        wanted: dict[tuple[str, str, int], list[Tap]] = {}
        for tap in sorted({self.first_of(tap) for tap in self.taps}, key=str):
            wanted.setdefault((tap.module, tap.side, tap.call), []).append(tap)
        return wanted

    @cached_property
    def places(self) -> frozenset[tuple[str, str]]:
        """(module, side) of everything that can be kept."""
        return frozenset((module, side) for module, side, _ in self.wanted)

    @cached_property
    def kept(self) -> frozenset[Tap]:
        """What a pass keeps, at the first of its taps, so that all readers and `check` have what they need."""
        return self._first_taps(lambda site: [name for name in TAPS if name not in site.derived])

    @cached_property
    def kept_small(self) -> frozenset[Tap]:
        """The same of a pass that keeps the residual stream alone."""
        return self._first_taps(lambda site: ("embedding", "next", *({"x", "memory"} - site.derived)))

    def _first_taps(self, names: Callable[[Site], Iterable[str]]) -> frozenset[Tap]:
        of_sites = (tap for site in self.sites for tap in site.taps_of(names(site)))
        return frozenset(self.first_of(tap) for tap in (*of_sites, *self.final.values()))

    @cached_property
    def left_out(self) -> frozenset[tuple[str, str]]:
        """(module, side) where a pass without changes keeps nothing."""
        return self.places - {(tap.module, tap.side) for tap in self.kept}

    @cached_property
    def left_out_of_small(self) -> frozenset[tuple[str, str]]:
        """The same of a pass that keeps the residual stream, and some rows of what W_O gives."""
        return self.places - {(tap.module, tap.side) for tap in self.kept_small} - self.projected_places

    @cached_property
    def alone(self) -> dict[tuple[str, str], Tap]:
        """(module, side) → the only tensor that is kept there, as it passes by the first time: so it is nearly
        everywhere."""
        there: dict[tuple[str, str], list[Tap]] = {}
        for tap in self.kept:
            there.setdefault((tap.module, tap.side), []).append(tap)
        return {
            place: taps[0]
            for place, taps in there.items()
            if len(taps) == 1 and taps[0].call == 0 and place not in self.copied_places
        }

    @cached_property
    def is_only_noted(self) -> bool:
        """Whether a plain pass keeps what passes by as it is: one tensor a place, none of them copied."""
        is_alone = self.places == self.alone.keys() | self.left_out
        return is_alone and not self.copied and not any(site.copied for site in self.sites)

    @cached_property
    def not_noted(self) -> dict[ModuleSide, None]:
        """Where a plain pass that only takes note has all that it wants before it begins."""
        return dict.fromkeys(self.left_out)

    @cached_property
    def projected_places(self) -> frozenset[tuple[str, str]]:
        """(module, side) where what W_O gives can be had first."""
        return frozenset(tuple(self.first_of(site.projected))[:2] for site in self.sites)  # type: ignore[misc]

    def keeping_all(self) -> Wiring:
        """The same for a model in which sums are not exact enough to derive one of its tensors from others."""
        sites = (replace(site, derived=frozenset(), to_mlp=()) for site in self.sites)
        return replace(self, sites=tuple(sites))

    @cached_property
    def copied_places(self) -> frozenset[tuple[str, str]]:
        """(module, side) where something is copied at once."""
        return frozenset((tap.module, tap.side) for tap in self.copied)
