"""Forward passes for everybody: one a model at a time, a few on the machine, and each result made once and shared.

    passes.trace(model, "a sentence")        # one forward pass, or the one that somebody ran before
    passes.run_uncached(model, "a sentence") # a pass that nobody will ask for again

Who waits too long for a place gets `Busy`, a clear sentence instead of a page that hangs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ui.server import shared
from ui.server.cache import CROWDED, Busy, frozen, key_of
from ui.server.handles import ModelHandle, TraceHandle

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

log = logging.getLogger("headlight")


class Place(Protocol):
    """A lock, or a semaphore: what a thread waits for and gives back."""

    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...

    def release(self) -> None: ...


Text = str | list[int]


def trace(loaded: ModelHandle, text: Text, **options: Any) -> TraceHandle:
    """A handle of the trace of a text (or token ids) through a model; `options` go to `attn_core.trace`.

    Raises Busy when the queue is too long, and what `attn_core.trace` raises.
    """
    key = (key_of(loaded), frozen(text), frozen(options))
    return TraceHandle.of(shared.get_or_compute(key, partial(_run, loaded, text, options)))


def run_uncached(loaded: ModelHandle, text: Text, **options: Any) -> Trace:
    """As `trace`, for a pass that nobody will ask for again: it takes its turn, and is not kept."""
    return _run(loaded, text, options)


def _run(loaded: ModelHandle, text: Text, options: dict[str, Any]) -> Trace:
    import attn_core as ac  # it takes a second or two, and the first screen needs no model

    came = time.perf_counter()
    with _my_turn(key_of(loaded)):
        began = time.perf_counter()
        result = ac.trace(loaded.value(), text, **options)
    ended = time.perf_counter()
    numbers = {"model": loaded.name, "waited_s": round(began - came, 4), "pass_s": round(ended - began, 4)}
    log.info(
        "forward pass", extra={"numbers": numbers | {"traces_kept": len(shared.STATE.traces), "bytes": result.n_bytes}}
    )
    return result


def in_turn(loaded: ModelHandle) -> AbstractContextManager[None]:
    """Hold a place of the queue for work of a model that is no trace, such as one word of those that it writes."""
    return _my_turn(key_of(loaded))


@contextmanager
def _my_turn(key: Hashable) -> Iterator[None]:
    """Wait for the model and for one of the machine's few places, but not for ever, and not behind too many others."""
    state = shared.STATE
    with place(state.queue, 0), place(state.turn(key), state.longest_wait), place(state.passes, state.longest_wait):
        yield


@contextmanager
def place(lock: Place, longest_wait: float, said: str = CROWDED) -> Iterator[None]:
    """Hold a lock, or a place of a semaphore, after at most so many seconds; Busy says `said` where none came free."""
    if not lock.acquire(timeout=longest_wait) if longest_wait else not lock.acquire(blocking=False):
        log.info("busy", extra={"numbers": {"traces_kept": len(shared.STATE.traces)}})
        raise Busy(said)
    try:
        yield
    finally:
        lock.release()
