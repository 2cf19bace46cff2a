"""What a pass puts in the place of a model's own tensors: heads switched off, patterns forced, everything patched.

`Changes` says what is put where; `Patches` finds where that is in this model and does it, in the tensors of one pass.
No module, no weight and no hook is touched, so nobody else's pass is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attn_core.attention import repeat_groups
from attn_core.errors import HeadlightError, check_index
from attn_core.places import OF_A_HEAD, Place
from attn_core.text.tokens import Tokens
from attn_core.traces import parity
from attn_core.traces.call import Replaced
from attn_core.traces.changes import Changes, Donor, Patch
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import ModuleSide, Site, Tap, Wiring

_READERS = {"head": "weighted_values", "attention": "attention_added", "mlp": "mlp_added", "residual": "embedding"}


def patch_of(place: Place, put: Any, wiring: Wiring) -> Patch:
    """What somebody asked to put at a place: a trace, numbers, "zero" or "mean".

    Raises ValueError for what is no place or of no stream of the model, IndexError for a layer, head or position that
    is not there.
    """
    check_place(place, wiring)
    if not isinstance(put, Trace):
        return Patch.of(place, put.detach().float().cpu() if isinstance(put, Tensor) else put)
    numbers = own_rows(put, place)
    numbers = numbers.detach().float().cpu() if isinstance(numbers, Tensor) else numbers  # of a trace with gradients
    if place.position is not None:
        check_index("position", place.position, len(numbers), "the trace that is patched from")
        numbers = numbers[place.position]
    return Patch.of(place, numbers, donor_of(put))


def own_rows(trace: Trace, place: Place) -> Any:
    """What a trace has at a place, at all positions: [position, feature]."""
    if place.kind == "memory":
        return trace.final_embedding(stream=place.stream)
    named = (place.layer,) if place.head is None else (place.layer, place.head)
    rows = getattr(trace, _READERS.get(place.kind, place.kind))(*named, stream=place.stream)
    own = trace.stream(place.stream)
    if place.kind in ("key", "value") and place.stream != "cross":
        rows = rows[: len(own.tokens)]  # of words: what stands beside them is the model's own
    return rows


def donor_of(trace: Trace) -> Donor:
    """Which pass a trace is of."""
    first = trace.stream(trace.streams[0])
    source = first.tokens
    target = trace.stream("decoder").tokens if trace.kind == "encoder-decoder" else None
    return Donor(
        trace.model_name,
        source.text,
        None if target is None else target.text,
        trace.changes,
        _ids(source),
        None if target is None else _ids(target),
        trace.wrapped,
        source.second,
        source.second_text,
        first.precision,
    )


def _ids(read: Tokens) -> tuple[int, ...] | None:
    return tuple(read.ids) if read.from_ids or read.frame != "own" else None


def check_place(place: Any, wiring: Wiring) -> None:
    """Raise ValueError or IndexError, with a sentence, for a place that a model does not have."""
    if not isinstance(place, Place):
        raise ValueError(f"{place!r} names no place of a pass: name each one by ac.at, as in ac.at.head(0, 3)")
    sites = [site for site in wiring.sites if site.stream == place.stream]
    if not sites:
        streams = sorted({site.stream for site in wiring.sites})
        raise ValueError(f"{place.as_python()} names no stream of this model; name it with stream= one of {streams}")
    if place.kind == "memory" and place.stream != "encoder":
        raise ValueError(f"{place.as_python()} names no encoder; of other streams, name residual(n_layers)")
    ends = place.kind == "residual"  # which may name what leaves the last layer
    check_index("layer", place.layer, len(sites) + ends, "this model")
    if place.head is not None:
        check_index("head", place.head, sites[place.layer].n_heads, "this layer")


class _Put(NamedTuple):
    """One thing to put, into the rows of a tensor [position, feature]."""

    place: Place
    rule: str | None
    numbers: Tensor | None

    def made(self, own: Tensor) -> Tensor:
        """What stands at the place afterwards, of what the model computed there, `own` [position, feature]."""
        at = self.place.position
        if at is not None:
            check_index("position", at, len(own), "this sentence")
        there = own if at is None else own[at]
        if self.rule is not None:
            return torch.zeros_like(there) if self.rule == "zero" else own.mean(dim=0).expand_as(there).clone()
        numbers = self.numbers if self.numbers is not None else torch.empty(0)
        if numbers.shape != there.shape:
            hint = "; sentences of other lengths are patched at a position" if at is None else ""
            raise ValueError(
                f"what is put at {self.place.as_python()} must be {list(there.shape)}, got {list(numbers.shape)}{hint}"
            )
        return numbers.to(there)

    @property
    def rows(self) -> slice | int:
        return slice(None) if self.place.position is None else self.place.position


def put_all(puts: Iterable[_Put], own: Tensor) -> Tensor:
    """Put everything into `own` [position, feature], in place; gives the rows that changed, bool [position]."""
    made = [(put.rows, put.made(own)) for put in puts]  # all of them before any is put: a mean is of the model's own
    changed = torch.zeros(len(own), dtype=torch.bool)
    for rows, numbers in made:
        own[rows] = numbers
        changed[rows] = True
    return changed


class Patches:
    """What is put where in one pass of one model."""

    def __init__(self, changes: Changes, wiring: Wiring) -> None:
        self._of_heads: dict[tuple[str, str, int], dict[int, list[_Put]]] = {}  # kind, stream, layer → head → what
        self._of_tensors: dict[tuple[str, str], dict[int, dict[Tap, list[_Put]]]] = {}  # module, side → call → tap
        for patch in all_patches(changes):
            numbers = None if patch.rule else torch.from_numpy(patch.array) / _factor(patch.place, wiring)
            self._add(_Put(patch.place, patch.rule, numbers), wiring)
        self.tensors_left = sum(len(taps) for calls in self._of_tensors.values() for taps in calls.values())

    def __bool__(self) -> bool:
        return bool(self._of_heads or self._of_tensors)

    def _add(self, put: _Put, wiring: Wiring) -> None:
        place = put.place
        if place.kind in OF_A_HEAD and place.head is not None:
            heads = self._of_heads.setdefault((place.kind, place.stream, place.layer), {})
            heads.setdefault(place.head, []).append(put)
            return
        tap = wiring.first_of(tap_of(place, wiring))
        calls = self._of_tensors.setdefault((tap.module, tap.side), {})
        calls.setdefault(tap.call, {}).setdefault(tap, []).append(put)

    # --- In the attention function -------------------------------------------------------------------------------

    def change_inputs(
        self, site: Site, parts: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], dict[str, Tensor]]:
        """(query, key, value) as attention gets them, [1, head, token, d_head], and by name what the model computed.

        A group's key or value that is patched for one head is repeated for all heads.
        """
        computed: dict[str, Tensor] = {}
        changed = list(parts)
        for i, name in enumerate(("query", "key", "value")):
            heads = self._of_heads.get((name, site.stream, site.layer), {})
            if heads:
                own = repeat_groups(parts[i][0], site.n_heads)
                computed[name] = own.detach().clone()
                changed[i] = own[None].clone()
                for head, puts in heads.items():
                    put_all(puts, changed[i][0, head])
        if changed[1].shape[1] != changed[2].shape[1]:  # the function wants as many keys as values
            changed[1:] = [repeat_groups(part[0], site.n_heads)[None] for part in changed[1:]]
        return (changed[0], changed[1], changed[2]), computed

    def patterns(self, site: Site) -> Mapping[int, list[_Put]]:
        """What is put into the patterns of a layer, by head."""
        return self._of_heads.get(("pattern", site.stream, site.layer), {})

    def heads(self, site: Site) -> Mapping[int, list[_Put]]:
        """What is put in the place of heads of a layer, by head."""
        return self._of_heads.get(("head", site.stream, site.layer), {})

    def change_heads(self, site: Site, output: Tensor) -> dict[int, Replaced]:
        """Put what is put in the place of heads, before W_O mixes them: `output` [query, head, d_head], in place."""
        replaced = {}
        for head, puts in self.heads(site).items():
            own = output[:, head]
            rows = put_all(puts, own)
            replaced[head] = Replaced(own.clone(), rows)
        return replaced

    # --- Around it -----------------------------------------------------------------------------------------------

    def at(self, place: ModuleSide) -> Mapping[int, Mapping[Tap, list[_Put]]]:
        """What is put into the tensors that enter or leave a module: call → tap → what."""
        return self._of_tensors.get(place, {})

    def change_tensor(self, puts: list[_Put], tensor: Tensor) -> Tensor:
        """Put it into a tensor [1, token, feature] or [token, feature], in place: whoever has it already sees it, too.

        Gives what the model had computed, [token, feature].
        """
        own = tensor.view(-1, tensor.shape[-1])  # [token, feature], of the same numbers
        computed = own.detach().clone()
        put_all(puts, own)
        self.tensors_left -= 1
        return computed


def put_into_pattern(puts: list[_Put], own: Tensor, may_look: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """(the pattern [query, key] of a head with what is put into it, its rows that changed, bool [query])."""
    pattern = own.clone()
    rows = put_all(puts, pattern)
    # so that NaN is refused too
    if not bool((pattern >= 0).all() and ((pattern.sum(dim=-1) - 1).abs() <= parity.ROW_SUM).all()):
        raise ValueError(f"every row of the pattern for head {name} must be positive and sum to 1")
    if bool((pattern[~may_look] > 0).any()):
        raise ValueError(f"the pattern for head {name} looks where the model's mask forbids it")
    return pattern, rows


def tap_of(place: Place, wiring: Wiring) -> Tap:
    """Where a whole layer's tensor can be had; raises HeadlightError where that could not be found in this model."""
    sites = [site for site in wiring.sites if site.stream == place.stream]
    if place.kind == "residual":
        what = "the residual stream"
        found = sites[place.layer].embedding if place.layer < len(sites) else _last_half(sites[-1], wiring).next
    elif place.kind == "mlp":
        what, found = "the MLP's part", _last_half(sites[place.layer], wiring).mlp
    elif place.kind == "after_attention":
        what, found = "the stream after attention", sites[place.layer].after
    elif place.kind == "memory":
        what, found = "what leaves the encoder", wiring.final.get(place.stream)
    else:
        what, found = "what attention adds", sites[place.layer].added
    if found is None:
        raise HeadlightError(f"In this model's layer {place.layer}, {what} could not be found.")
    return found


def _factor(place: Place, wiring: Wiring) -> float:
    """What the model multiplies what stands at a place by before it is added to the stream."""
    sites = [site for site in wiring.sites if site.stream == place.stream]
    if place.kind not in ("attention", "mlp"):
        return 1.0
    return (sites[place.layer] if place.kind == "attention" else _last_half(sites[place.layer], wiring)).scale


def _last_half(site: Site, wiring: Wiring) -> Site:
    """The site whose MLP ends the block: a decoder's block goes on through its cross-attention."""
    if site.stream != "decoder" or site.next is not None:
        return site
    cross = [other for other in wiring.sites if other.stream == "cross"]
    return cross[site.layer] if site.layer < len(cross) else site


def all_patches(changes: Changes) -> list[Patch]:
    """Everything that is changed in a pass, as patches."""
    off = [Patch(Place("head", *head), rule=changes.replacement) for head in changes.without]
    forced = [Patch(Place("pattern", *one.head), one.shape, one.numbers) for one in changes.forced]
    return [*off, *forced, *changes.patches]
