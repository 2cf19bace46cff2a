"""One layer of a trace as it is kept: its attention call, the tensors around it, and the way to its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, overload

import torch
from torch import Tensor, nn

from attn_core.errors import HeadlightError
from attn_core.precision import through, without_autocast
from attn_core.tolerances import CHANGED, SMALLEST, TOLERANCES
from attn_core.traces.block import BlockKind
from attn_core.traces.call import Call
from attn_core.traces.wiring import Site, Tap, changed_weights


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of one stream: its attention call, its wiring, and the tensors around it [token, d_model].

    `taps` holds what the model went on with; `computed`, what it had computed itself where a patch put something else.
    All of it is float32; `precision` names the number type that the model had it in. What is not in `taps` because it
    follows from the rest is given by `tensor`.
    `sample` is (some rows of the weighted values, what W_O gave of them), where those are not kept whole.
    """

    site: Site
    call: Call
    taps: Mapping[Tap, Tensor]
    computed: Mapping[Tap, Tensor] = field(default_factory=dict)
    precision: str = "float32"
    sample: tuple[Tensor, Tensor] | None = None

    def tensor(self, name: str, what: str, model: Callable[[], nn.Module]) -> Tensor:
        """A tensor of the block by its name in `Site`, [token, d_model]: one that was kept, or one that follows.

        Raises HeadlightError, which says `what` is missing, where it could not be found, and where the model's weights
        are no longer those of the pass and it follows from them.
        """
        tap: Tap | None = getattr(self.site, name)
        if tap is None:
            raise HeadlightError(f"In this model's layer {self.site.layer}, {what} could not be found.")
        if tap in self.taps:
            factor = self.site.factor(name)
            return self.taps[tap] if factor == 1 else factor * self.taps[tap]
        with torch.inference_mode(), without_autocast():
            return self._derived(name, model)

    def _derived(self, name: str, model: Callable[[], nn.Module]) -> Tensor:
        if name in ("x", "memory"):
            return self._x(model())
        if name == "projected":
            return self.attention_output(model())
        embedding = self.taps[self.site.embedding]  # type: ignore[index]
        if name == "added":
            output = self.attention_output(model())
            normed = self.site.block is BlockKind.NORM_AFTER
            if normed:
                return self.through(model(), self.site.added.module, output)  # type: ignore[union-attr]
            return self.site.scale * output if self.site.block is BlockKind.SCALED else output
        total = embedding + self.tensor("added", "what attention adds", model)
        if self.site.block is BlockKind.POST_NORM:
            return self._of_post_norm(name, total, model())
        if name == "after":
            return total
        after = self.taps.get(self.site.after, total)  # type: ignore[arg-type]  # what was put there, in a patched pass
        return self.own(self.site.next) - after  # type: ignore[arg-type]

    def _x(self, model: nn.Module) -> Tensor:
        """x from E by the model's norm; the values that were kept tell whether the weights are still those."""
        x = through_modules(model, self.site.to_x, self.taps[self.site.embedding])  # type: ignore[index]
        some = self._some_rows()
        weight, bias = self.site.value.of_head(model, 0, self.call.n_heads)  # type: ignore[union-attr]
        ours = x[some] @ weight.to(x)
        given = self.call.computed["value"][0] if "value" in self.call.computed else self.call.value[0]
        given = given[: len(x)]  # keys beside the words come last
        if _differ(ours if bias is None else ours + bias.to(x), given[some], CHANGED):
            raise changed_weights()
        return x

    @property
    def x_is_judged(self) -> bool:
        """Whether a check sees x, where it is kept or follows from E: by E, or by what W_Q, W_K or W_V make of it."""
        site, x = self.site, self.site.x
        if x is None or site.plain or site.stream == "cross":  # "cross" reads a stream of which others tell
            return True
        e = None if site.embedding is None or site.block is None else self.taps[site.embedding]
        return e is not None and (bool(site.to_x) or self.taps[x].data_ptr() == e.data_ptr())

    def given(self, name: str, model: nn.Module, rows: slice) -> Tensor:
        """Some rows of x or of memory, as they were kept or as they follow from E, [row, d_model]."""
        tap: Tap = getattr(self.site, name)
        if tap in self.taps:
            return self.taps[tap][rows]
        return through_modules(model, self.site.to_x, self.taps[self.site.embedding][rows])  # type: ignore[index]

    def _of_post_norm(self, name: str, total: Tensor, model: nn.Module) -> Tensor:
        """The stream after attention, or the MLP's part, computed by the model; the next E tells whether it is so."""
        site = self.site
        if not site.to_mlp or site.after is None or site.next is None:
            raise HeadlightError(
                'This trace was made with keep="small", and this model\'s blocks cannot be computed again.'
            )
        after = self.taps[site.after] if site.after in self.taps else self.through(model, site.after.module, total)
        mlp = through_modules(model, site.to_mlp, after)
        if _differ(self.through(model, site.next.module, after + mlp), self.own(site.next), CHANGED):
            raise changed_weights()
        return after if name == "after" else mlp

    def own(self, tap: Tap) -> Tensor:
        """What the model computed there itself, whether or not it went on with it: [token, d_model]."""
        return self.computed[tap] if tap in self.computed else self.taps[tap]

    @property
    def d_model(self) -> int:
        """How many numbers W_O gives a token."""
        projected = self.taps[self.site.projected] if self.sample is None else self.sample[1]
        return projected.shape[-1]

    def put(self, tap: Tap | None) -> Tensor | None:
        """What a patch added there, [token, d_model]: what the model went on with minus what it had computed."""
        return None if tap is None or tap not in self.computed else self.taps[tap] - self.computed[tap]

    @without_autocast()
    def w_o(self, model: nn.Module) -> Tensor:
        """The output matrix W_O cut into heads: [head·d_head, d_model] → [head, d_head, d_model].

        Raises HeadlightError where it does not give what it gave in this pass: the weights were changed since.
        """
        weight = self._w_o(model)
        some = self._some_rows()
        rows, given = self.sample or (self.call.given_rows(some), self.own(self.site.projected)[some])
        self._require_given(model, rows @ weight, given)
        return weight.reshape(self.call.n_heads, -1, weight.shape[-1])

    @without_autocast()
    def heads_added(self, model: nn.Module, weighted: Tensor, query: int) -> Tensor:
        """What every head adds to one token, [head, d_model], of its values `weighted` [head, d_head].

        Its own sum tells whether W_O is that of this pass, so nothing more is multiplied to find out. Raises as `w_o`.
        """
        if self.sample is not None:  # what attention gave that token was not kept
            return torch.einsum("hd,hdm->hm", weighted, self.w_o(model))
        weight = self._w_o(model)
        added = torch.einsum("hd,hdm->hm", weighted, weight.reshape(self.call.n_heads, -1, weight.shape[-1]))
        self._require_given(model, added.sum(dim=0, keepdim=True), self.own(self.site.projected)[query][None])
        return added

    def _require_given(self, model: nn.Module, ours: Tensor, given: Tensor) -> None:
        """Raise HeadlightError where W_O gives other rows than it gave in this pass: the weights were changed since."""
        bias = self._bias(model)
        tolerance = max(CHANGED, 2 * TOLERANCES[self.precision])
        if _differ(ours if bias is None else ours + bias, given, tolerance):
            raise changed_weights()

    def _some_rows(self) -> slice:
        """A few queries: every row went through all of a matrix, so they tell whether it is another now."""
        return some_rows(self.call.n_query)

    def _w_o(self, model: nn.Module) -> Tensor:
        return self.site.output.weight(model).to(self.call.query)

    def _bias(self, model: nn.Module) -> Tensor | None:
        bias = self.site.output.bias(model)
        return None if bias is None else bias.to(self.call.query)

    @without_autocast()
    def attention_output(self, model: nn.Module, joined: Tensor | None = None) -> Tensor:
        """Σ over heads of ΔE plus the output bias, [query, d_model].

        `joined` [query, head·d_head] is what takes the place of the weighted values that the model gave.
        """
        joined = self.call.given_rows() if joined is None else joined
        total, bias = joined @ self._w_o(model), self._bias(model)
        return total if bias is None else total + bias

    def through(self, model: nn.Module, name: str, vectors: Tensor) -> Tensor:
        """What a module of the model makes of float32 vectors [..., d_model], on their device."""
        return through(model.get_submodule(name), vectors)

    def tensors(self) -> list[Tensor]:
        """Everything that it keeps in memory."""
        call, mask = self.call, self.call.mask
        kept = [call.query, call.key, call.value, call.weighted_values, mask.cells, mask.real, mask.asks]
        kept += [call.sink, call.bias.values if call.bias else None, *self.taps.values(), *self.computed.values()]
        kept += [*(each for put in call.replaced.values() for each in put), *call.forced.values(), *(self.sample or ())]
        return [t for t in [*kept, *call.computed.values()] if t is not None]


def some_rows(n_query: int) -> slice:
    """From four to seven of them, evenly."""
    return slice(None, None, max(1, n_query // 4))


def through_modules(model: nn.Module, names: Sequence[str], rows: Tensor) -> Tensor:
    """What modules make of rows, one after the other: [n, d_model] → [n, d_model]. They see [1, n, d_model]."""
    given = rows[None]
    for name in names:
        given = through(model.get_submodule(name), given)
    return given[0]


def _differ(ours: Tensor, given: Tensor, tolerance: float) -> bool:
    """Whether some row [n, features] is another than the model gave, beyond rounding; what is no number is as given."""
    error = torch.where(torch.isfinite(given), ours - given, 0.0).abs().amax(dim=-1)
    size = torch.where(torch.isfinite(given), given, 0.0).abs().amax(dim=-1)
    return bool((error > tolerance * size + SMALLEST).any())


class LazyLayers(Sequence[Layer]):
    """The layers of a stream; each is made of what the pass left when it is first read, and kept."""

    def __init__(self, makers: Sequence[Callable[[], Layer]]) -> None:
        self._made: list[Layer | Callable[[], Layer]] = list(makers)

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, at: int) -> Layer: ...
    @overload
    def __getitem__(self, at: slice) -> list[Layer]: ...
    def __getitem__(self, at: int | slice) -> Layer | list[Layer]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        made = self._made[at]
        if not isinstance(made, Layer):
            made = self._made[at] = made()
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is made of the layers themselves."""
        return tuple, (list(self),)


def frozen(mapping: dict[Any, Any]) -> Mapping[Any, Any]:
    """A read-only view, for what a trace holds."""
    return MappingProxyType(mapping)
