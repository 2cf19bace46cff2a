"""What all visitors share, in one value of this module: models, traces, what is derived from them, and who may compute.

    get_or_compute("recorded", load)                  # a Handle of something large that knows its bytes
    memoize(trace, "parity", trace.check)             # something derived from a trace or a model, computed once

A plain module holds it, not `st.cache_resource`: any browser may send Streamlit the message that clears those caches,
and models, queue and budgets would be gone for everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar, cast

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE
from attn_core.settings import settings
from ui.server.cache import ByteCache, Handle, key_of, size_of

T = TypeVar("T")
BUNDLED = next(iter(CATALOGUE))


class Sized(Protocol):
    """A value that knows its bytes."""

    @property
    def n_bytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


@dataclass
class Job:
    """A model on its way: what is happening now, for whoever waits, and how it ended."""

    name: str
    message: str = "Waking up"
    fraction: float | None = None
    error: HeadlightError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def report(self, message: str, fraction: float | None = None) -> None:
        self.message, self.fraction = message, fraction


class SharedState:
    """Everything that visitors share; there is one, `STATE`."""

    def __init__(self, trace_bytes: int = 0) -> None:
        self.models = ByteCache(settings().model_mb * 1_000_000, pinned=(BUNDLED,))
        self.traces = ByteCache(trace_bytes or settings().trace_mb * 1_000_000)
        self.jobs: dict[str, Job] = {}
        self.passes = threading.BoundedSemaphore(settings().passes)
        self.queue = threading.BoundedSemaphore(settings().passes + settings().queue)
        self.longest_wait: float = settings().wait  # seconds
        self.turns: dict[Hashable, threading.Lock] = {}
        self.lock = threading.Lock()

    def turn(self, key: Hashable) -> threading.Lock:
        """The lock of one model: it has one pass at a time."""
        with self.lock:
            return self.turns.setdefault(key, threading.Lock())


STATE = SharedState()


def get_or_compute(key: Hashable, compute: Callable[[], S]) -> S:
    """Something large, made once for everybody, as a handle that reads like it; `compute` must hold nothing large."""
    bring = partial(_kept, key, compute, _own_bytes)
    return cast(S, Handle(key, bring(), bring))


def memoize(handle: object, what: Hashable, compute: Callable[[], T], size: Callable[[T], int] = size_of) -> T:
    """Something derived from a shared trace or model, computed once and kept while it is used, within the budget."""
    return _kept((key_of(handle), what), compute, size)


def _kept(key: Hashable, compute: Callable[[], T], size: Callable[[T], int]) -> T:
    return STATE.traces.get_or_compute(key, compute, size)


def _own_bytes(value: Sized) -> int:
    return value.n_bytes
