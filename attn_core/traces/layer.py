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
from attn_core.traces.call import Call
from attn_core.traces.wiring import Site, Tap, changed_weights


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of one stream: its attention call, its wiring, and the tensors around it [token, d_model].

    `taps` holds what the model went on with; `computed`, what it had computed itself where a patch put something else.
    All of it is float32; `precision` names the number type that the model had it in.
    """

    site: Site
    call: Call
    taps: Mapping[Tap, Tensor]
    computed: Mapping[Tap, Tensor] = field(default_factory=dict)
    precision: str = "float32"

    def tap(self, tap: Tap | None, what: str) -> Tensor:
        """A tensor that was kept; raises HeadlightError, which says `what` is missing, where it could not be found."""
        if tap is None:
            raise HeadlightError(f"In this model's layer {self.site.layer}, {what} could not be found.")
        return self.taps[tap]

    def own(self, tap: Tap) -> Tensor:
        """What the model computed there itself, whether or not it went on with it: [token, d_model]."""
        return self.computed.get(tap, self.taps[tap])

    def put(self, tap: Tap | None) -> Tensor | None:
        """What a patch added there, [token, d_model]: what the model went on with minus what it had computed."""
        return None if tap is None or tap not in self.computed else self.taps[tap] - self.computed[tap]

    @without_autocast()
    def w_o(self, model: nn.Module) -> Tensor:
        """The output matrix W_O cut into heads: [head·d_head, d_model] → [head, d_head, d_model].

        Raises HeadlightError where it does not give what it gave in this pass: the weights were changed since.
        """
        weight = self._w_o(model)
        some = slice(None, None, max(1, self.call.n_query // 4))  # every row went through all of W_O: a few will do
        given, bias = self.own(self.site.projected)[some], self._bias(model)
        ours = self.call.weighted_values[some] @ weight
        if _differ(ours if bias is None else ours + bias, given, max(CHANGED, 2 * TOLERANCES[self.precision])):
            raise changed_weights()
        return weight.reshape(self.call.n_heads, -1, weight.shape[-1])

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
        joined = self.call.weighted_values if joined is None else joined
        total, bias = joined @ self._w_o(model), self._bias(model)
        return total if bias is None else total + bias

    def through(self, model: nn.Module, name: str, vectors: Tensor) -> Tensor:
        """What a module of the model makes of float32 vectors [..., d_model], on their device."""
        return through(model.get_submodule(name), vectors)

    def tensors(self) -> list[Tensor]:
        """Everything that it keeps in memory."""
        call = self.call
        kept = [call.query, call.key, call.value, call.weighted_values, call.mask.cells, call.mask.real]
        kept += [call.sink, call.bias.values if call.bias else None, *self.taps.values(), *self.computed.values()]
        kept += [*(each for put in call.replaced.values() for each in put), *call.forced.values()]
        return [t for t in [*kept, *call.computed.values()] if t is not None]


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
