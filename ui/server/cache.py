"""Models and traces that all visitors share, each within a budget of bytes.

    job = caches.open_model("minilm")        # starts loading in the background, once for all visitors
    job.done.is_set(), job.message, job.fraction, job.error
    caches.model("minilm")                   # the model, if it is there now
    caches.trace(model, "a sentence")        # one forward pass, or the one that somebody ran before

A loaded model is never changed, so it is safe to share. Forward passes take turns: a model has one at a time, the
machine a few; who waits too long gets `Busy`, a clear sentence instead of a page that hangs.

Models and traces are lent out (`Lent`). A session remembers callbacks and downloads of views that are long past, and
what they hold must not count: only the shelves own anything, so their budgets are what the app really uses.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.settings import number

log = logging.getLogger("headlight")
_hands = threading.local()  # .hold: what the page that this thread draws has borrowed, so that it stays until the end


CROWDED = "Many people are looking at this moment. Your sentence is kept: please try again in a few seconds."


class Busy(HeadlightError):
    """Too many visitors compute at this moment."""


class Shelf:
    """Keeps the values used last, as many as fit into a number of bytes; the newest always stays."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        with self._lock:
            self._items[key] = (value, size)
            self._items.move_to_end(key)
            while len(self._items) > 1 and sum(size for _, size in self._items.values()) > self.budget:
                self._items.popitem(last=False)

    def __len__(self) -> int:
        return len(self._items)


class Lent:
    """A model or a trace in a page's hands: it reads like the real one, and keeps nothing in memory.

    Whoever reads it when the real one has left the shelf brings that back first, so it may take a moment.
    """

    __slots__ = ("_bring", "_key", "_shelf", "_there")

    def __init__(self, shelf: Shelf, key: Hashable, value: Any, bring: Callable[[], Any]) -> None:
        self._key, self._shelf, self._bring, self._there = key, shelf, bring, weakref.ref(value)
        _hold(value)

    def real(self) -> Any:
        """The model or trace itself, brought back where it has gone; the page that asks for it keeps it to its end."""
        value = self._there()
        if value is None:
            value = self._shelf.get(self._key)
        if value is None:
            value = self._bring()
        self._there = weakref.ref(value)
        _hold(value)
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lent) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def begin_page() -> None:
    """A page begins to be drawn: let go of what this thread's last one borrowed, and hold what this one borrows."""
    _hands.hold = {}


def _hold(value: Any) -> None:
    if hasattr(_hands, "hold"):  # a download's thread draws no page
        _hands.hold[id(value)] = value


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


class House:
    """Everything that visitors share; there is one."""

    def __init__(self) -> None:
        self.models = Shelf(number("HEADLIGHT_MODEL_MB", 2000) * 1_000_000)
        self.traces = Shelf(number("HEADLIGHT_TRACE_MB", 200) * 1_000_000)
        self.jobs: dict[str, Job] = {}
        self.passes = threading.BoundedSemaphore(number("HEADLIGHT_PASSES", 2))
        self.queue = threading.BoundedSemaphore(number("HEADLIGHT_PASSES", 2) + number("HEADLIGHT_QUEUE", 32))
        self.longest_wait = number("HEADLIGHT_WAIT", 20)  # seconds
        self.turns: dict[Hashable, threading.Lock] = {}
        self.lock = threading.Lock()

    def turn(self, key: Hashable) -> threading.Lock:
        with self.lock:
            return self.turns.setdefault(key, threading.Lock())


@st.cache_resource(show_spinner=False)
def _house() -> House:
    return House()


def model(name: str) -> Lent | None:
    """The loaded model, or None while it is not here."""
    house = _house()
    loaded = house.models.get(name)
    return None if loaded is None else Lent(house.models, name, loaded, partial(_fetch, name))


def _fetch(name: str) -> Any:
    """A model that has left the shelf, loaded again."""
    job = open_model(name)
    job.done.wait()
    loaded = _house().models.get(name)
    if loaded is None:
        raise job.error or HeadlightError(f"{name} is not loaded any more: open the page again.")
    return loaded


def job(name: str) -> Job | None:
    """The last attempt to load a model, going on or ended, or None."""
    return _house().jobs.get(name)


def open_model(name: str) -> Job:
    """Start loading a model in the background, unless it is here or on its way; a failed one is tried again."""
    house = _house()
    with house.lock:
        job = house.jobs.get(name)
        if job is None or (job.done.is_set() and house.models.get(name) is None):
            job = house.jobs[name] = Job(name)
            threading.Thread(target=_load, args=(house, job), name=f"load {name}", daemon=True).start()
    return job


def _load(house: House, job: Job) -> None:
    try:
        from attn_core.models import loading as models

        loaded = models.load(job.name, progress=job.report)
        house.models.put(job.name, loaded, loaded.n_bytes)
    except HeadlightError as error:
        job.error = error
    except Exception:
        log.exception("loading %s failed", job.name)
        job.error = HeadlightError("Something unforeseen happened while it was opened; the server's log says what.")
    finally:
        job.done.set()


def trace(loaded: Lent, text: Any, **options: Any) -> Any:
    """The trace of a text (or token ids) through a model, lent; `options` go to `attn_core.trace`.

    Raises Busy when the queue is too long, and what `attn_core.trace` raises.
    """
    key = (loaded._key, _frozen(text), _frozen(options))
    return lend(key, partial(_run, loaded, text, options))


def once(loaded: Lent, text: Any, **options: Any) -> Any:
    """As `trace`, for a pass that nobody will ask for again: it takes its turn, and is not kept."""
    return _run(loaded, text, options)


def lend(key: Hashable, make: Callable[[], Any]) -> Lent:
    """Something large that knows its bytes (`n_bytes`), made once for everybody; `make` must hold nothing large."""
    bring = partial(_remembered, key, make, size=lambda made: made.n_bytes)
    return Lent(_house().traces, key, bring(), bring)


def _at_least(value: Any) -> int:
    return max(4_000, sys.getsizeof(value))


def beside(lent: Lent, what: Hashable, compute: Callable[[], Any], size: Callable[[Any], int] = _at_least) -> Any:
    """Something small computed from a trace or a model, kept as long as it is used: `beside(trace, "parity", …)`."""
    return _remembered((lent._key, what), compute, size)


def _remembered(key: Hashable, compute: Callable[[], Any], size: Callable[[Any], int]) -> Any:
    house = _house()
    found = house.traces.get(key)
    if found is None:
        found = compute()
        house.traces.put(key, found, size(found))
    return found


def _run(loaded: Lent, text: Any, options: dict[str, Any]) -> Any:
    import attn_core as ac

    came = time.perf_counter()
    with _my_turn(loaded._key):
        began = time.perf_counter()
        result = ac.trace(loaded.real(), text, **options)
    ended, shelf = time.perf_counter(), _house().traces
    numbers = {"model": loaded.name, "waited_s": round(began - came, 4), "pass_s": round(ended - began, 4)}
    log.info("forward pass", extra={"numbers": numbers | {"traces_kept": len(shelf), "bytes": result.n_bytes}})
    return result


@contextmanager
def _my_turn(key: Hashable) -> Iterator[None]:
    """Wait for the model and for one of the machine's few places, but not for ever, and not behind too many others."""
    house = _house()
    with place(house.queue, 0), place(house.turn(key), house.longest_wait), place(house.passes, house.longest_wait):
        yield


@contextmanager
def place(lock: Any, longest_wait: float, said: str = CROWDED) -> Iterator[None]:
    """Hold a lock, or a place of a semaphore, after at most so many seconds; Busy says `said` where none came free."""
    if not lock.acquire(timeout=longest_wait) if longest_wait else not lock.acquire(blocking=False):
        log.info("busy", extra={"numbers": {"traces_kept": len(_house().traces)}})
        raise Busy(said)
    try:
        yield
    finally:
        lock.release()


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return tuple(sorted((_frozen(k), _frozen(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if hasattr(value, "tobytes"):
        return (value.shape, value.tobytes())
    return value
