"""Passes in which something of another sentence is put, held against passes that nothing was put into."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from attn_core.errors import HeadlightError
from attn_core.traces.parity import CHANGED_PASS, worst_of
from attn_core.views.derived_checks import DerivedCheck, few_words, own_states, row_error, with_part

if TYPE_CHECKING:
    from torch import Tensor

    from attn_core.capture.model import Model
    from attn_core.views.derived_checks import Inputs


def patched_check(model: Model) -> DerivedCheck:
    """The last states of patched passes of a few words, B, into which some of other words, A, are put.

    Nothing put: the model's own states of B. The whole stream that enters the layer in the middle: those of A. One head
    of the last layer: those of B with A's part put before W_O by another module. With its family's own attention each.
    """
    given, last = few_words(model), model.wiring.sites[-1]
    several = [site.output.module for site in model.wiring.sites].count(last.output.module) > 1
    if "input_ids" not in given or last.stream != "self" or several or "self" not in model.wiring.final:
        return DerivedCheck("patched", None, CHANGED_PASS)
    try:
        errors = [row_error(*pair) for pair in _pairs(model, given)]
    except HeadlightError:  # a place that could not be found in this model
        return DerivedCheck("patched", None, CHANGED_PASS)
    return DerivedCheck("patched", worst_of(errors), CHANGED_PASS)


def _pairs(model: Model, given: Inputs) -> Iterable[tuple[Tensor, Tensor]]:
    """(last states of a patched pass, those that it must have) [query, d_model]."""
    from attn_core.capture.patched_batches import patched_rows
    from attn_core.capture.run import trace
    from attn_core.places import Place

    last = model.wiring.sites[-1]
    other = {**given, "input_ids": given["input_ids"].flip(-1)}
    a, b = (trace(model, each["input_ids"][0].tolist()) for each in (other, given))
    middle = Place("residual", "self", (last.layer + 1) // 2)
    head = Place("head", "self", last.layer, last.n_heads // 2)
    final = patched_rows(model, b, [{}, {middle: a}, {head: a}]).final  # [row, query, d_model]

    parts: list[Tensor] = []

    def keep(part: Tensor) -> Tensor:
        parts.append(part)
        return part

    of_a = own_states(model, other, {last.output.module: partial(with_part, last.n_heads, keep)})
    put = {last.output.module: partial(with_part, last.n_heads, lambda part: parts[0])}
    return zip(final, (own_states(model, given, {}), of_a, own_states(model, given, put)), strict=True)
