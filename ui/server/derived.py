"""What a page computes from its traces, each checked another way, for the badge: see `attn_core.views.derived_checks`.

A model's own checks are found out once for everybody, when a page first shows such a thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attn_core.traces.parity import worst_of
from attn_core.views.compared_checks import near_words_check
from attn_core.views.derived_checks import DerivedCheck, lens_check, switched_off_check
from attn_core.views.patched_check import patched_check
from ui.server import passes, shared

if TYPE_CHECKING:
    from attn_core import Model
    from ui.server.handles import ModelHandle, TraceHandle


def lens(model: ModelHandle) -> DerivedCheck:
    """Words that are read off every layer."""
    return shared.memoize(model, _lens, model)


def near_words(model: ModelHandle) -> DerivedCheck:
    """The search of a vocabulary for the words near a vector."""
    return shared.memoize(model, _near_words, model)


def patched(model: ModelHandle) -> DerivedCheck:
    """Passes into which something of another sentence is put."""
    return shared.memoize(model, _patched, model)


def switched_off(*models: ModelHandle) -> list[DerivedCheck]:
    """Passes in which heads are switched off: the worst of these models; nothing without one."""
    checks = [shared.memoize(model, _switched_off, model) for model in dict.fromkeys(models)]
    known = [one.error for one in checks if one.error is not None]
    error = worst_of(known) if len(known) == len(checks) else None
    return [one._replace(error=error) for one in checks[:1]]


def of_changes(model: ModelHandle, trace: TraceHandle) -> list[DerivedCheck]:
    """The same of a pass in which something is switched off; nothing for a plain one."""
    return switched_off(model) if trace.changes else []


def _lens(value: Model, model: ModelHandle) -> DerivedCheck:
    with passes.in_turn(model):
        return lens_check(value)


def _near_words(value: Model, model: ModelHandle) -> DerivedCheck:
    with passes.in_turn(model):
        return near_words_check(value)


def _patched(value: Model, model: ModelHandle) -> DerivedCheck:
    with passes.in_turn(model):
        return patched_check(value)


def _switched_off(value: Model, model: ModelHandle) -> DerivedCheck:
    with passes.in_turn(model):
        return switched_off_check(value)
