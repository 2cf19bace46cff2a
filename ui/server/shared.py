"""What all visitors share, in one value of this module: models, traces, what is derived from them, and who may compute.

    get_or_compute("recorded", load)                  # a Handle of something large that knows its bytes
    memoize(trace, decomposition, layer)              # decomposition(trace, layer), computed once for everybody
    compute_once(reconcile, table)                    # the same of what belongs to no trace and no model

What is kept is kept under the function that computes it and its arguments, so a key never forgets what was read: such
a function is a function of a module, and reads its arguments alone. A page's parameter that it reads is an error.

A plain module holds it, not `st.cache_resource`: any browser may send Streamlit the message that clears those caches,
and models, queue and budgets would be gone for everybody.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar, cast

from attn_core.errors import Cancelled, HeadlightError
from attn_core.models.catalogue import CATALOGUE
from attn_core.settings import settings
from ui import words
from ui.server.cache import ByteCache, Handle, frozen, key_of, size_of
from ui.server.line import Line

if TYPE_CHECKING:
    from attn_core import Model

WORDS = words.beside(__file__)
T = TypeVar("T")
O = TypeVar("O")  # noqa: E741  # the owner of what is kept: a trace or a model
P = ParamSpec("P")
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
    cancelled: threading.Event = field(default_factory=threading.Event)

    def report(self, message: str, fraction: float | None = None) -> None:
        """Keep what happens for whoever waits; raises Cancelled, which ends the fetching, where somebody wants that."""
        if self.cancelled.is_set():
            raise Cancelled(WORDS.text("loading.cancelled"))
        self.message, self.fraction = message, fraction


class SharedState:
    """Everything that visitors share; there is one, `STATE`."""

    def __init__(self, trace_bytes: int = 0) -> None:
        self.models: ByteCache[Model] = ByteCache(settings().model_mb * 1_000_000, pinned=(BUNDLED,))
        self.traces: ByteCache[object] = ByteCache(trace_bytes or settings().trace_mb * 1_000_000)
        self.jobs: dict[str, Job] = {}
        self.passes = threading.BoundedSemaphore(settings().passes)
        self.queue = threading.BoundedSemaphore(settings().passes + 2 * settings().queue)
        self.longest_wait: float = settings().wait  # seconds
        self.lines: dict[str, Line] = {}
        self.lock = threading.Lock()

    def line(self, name: str, *, side_by_side: bool) -> Line:
        """Who waits for a pass of one model. Only some may have several at once: see `attn_core.Model`."""
        with self.lock:
            return self.lines.setdefault(name, Line(settings().passes if side_by_side else 1, settings().queue))


STATE = SharedState()
_computing = threading.local()  # .depth: how many results this thread is computing, one inside the other


def get_or_compute(key: Hashable, compute: Callable[[], S]) -> Handle[S]:
    """Something large, made once for everybody, as a handle of it; `compute` must hold nothing large."""
    bring = partial(_kept, key, compute, _own_bytes)
    return Handle(key, bring(), bring)


def memoize(owner: Handle[O], function: Callable[Concatenate[O, P], T], *arguments: P.args, **named: P.kwargs) -> T:
    """`function(value, *arguments)`, `value` being what `owner` is a handle of: computed once, kept within the budget.

    The key is the function and its arguments. `progress=`, given how far the first computation is, is no part of it,
    nor is `example=`, one of many from which the same is found.
    Raises TypeError for a function that may read more than its arguments: a lambda, a closure, a method of an object.
    """
    said = {name: value for name, value in named.items() if name not in ("progress", "example")}
    key = (key_of(owner), _name_of(function), frozen(arguments), frozen(said))
    return _result(key, lambda: function(owner.value(), *arguments, **named))


def compute_once(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """`memoize` of what belongs to no trace and no model: `function(*arguments)`, kept under both."""
    key = (_name_of(function), frozen(arguments), frozen(named))
    return _result(key, partial(function, *arguments, **named))


def share(function: Callable[P, S], *arguments: P.args, **named: P.kwargs) -> Handle[S]:
    """`get_or_compute` of `function(*arguments)`, under the function and its arguments, as in `memoize`."""
    key = (_name_of(function), frozen(arguments), frozen(named))
    return get_or_compute(key, partial(_on_arguments_alone, partial(function, *arguments, **named)))


def reads_arguments_alone() -> bool:
    """Whether this thread computes something to be kept, which must not look at what a visitor has chosen."""
    return getattr(_computing, "depth", 0) > 0


def _on_arguments_alone(compute: Callable[[], T]) -> T:
    _computing.depth = getattr(_computing, "depth", 0) + 1
    try:
        return compute()
    finally:
        _computing.depth -= 1


def _result(key: Hashable, compute: Callable[[], T]) -> T:
    return _kept(key, lambda: (_on_arguments_alone(compute),), size_of)[0]  # in a tuple, so that None is kept, too


def _name_of(function: Callable[..., object]) -> str:
    """A function's full name; TypeError where it may read what is no argument of it."""
    plain = inspect.isfunction(function) and not function.__closure__ and "<" not in function.__qualname__
    if not plain or "session_state" in function.__code__.co_names:
        raise TypeError(f"{function!r} may read more than its arguments: keep the result of a module's function")
    return f"{function.__module__}.{function.__qualname__}"


def _kept(key: Hashable, compute: Callable[[], T], size: Callable[[T], int]) -> T:
    return cast(ByteCache[T], STATE.traces).get_or_compute(key, compute, size)  # each key has values of one type


def _own_bytes(value: Sized) -> int:
    return value.n_bytes
