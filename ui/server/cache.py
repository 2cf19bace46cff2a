"""Values kept within a number of bytes and computed once however many ask; and handles, which keep nothing alive.

A page's callbacks and downloads outlive it by hours, so pages get a `Handle` of a model or a trace: the caches alone
own the values, and their budgets are what the app really uses. `begin_page` starts the list of what the page that
this thread draws is reading (its page references), so that nothing leaves while it is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from enum import Enum
from typing import Any, Generic, TypeVar, cast

import numpy as np
from cachetools import LRUCache

from attn_core.errors import HeadlightError
from ui import words

T = TypeVar("T")
V = TypeVar("V")
PATIENCE = 120.0  # seconds that a visitor waits for what another visitor is computing
OVERHEAD = 500  # bytes that an entry costs beside its value
LARGE_KEY = 10_000  # bytes from which on a key counts, too
WORDS = words.beside(__file__)
CROWDED = WORDS.text("crowded")
_KEYS = (str, bytes, bool, int, float, range, np.generic, frozenset, Enum)  # values that are their own key

_page = threading.local()  # .references: what the page that this thread draws has read, kept until its end


class Busy(HeadlightError):
    """Too many visitors compute at this moment."""


class ByteCache(Generic[V]):
    """The values used last, as many as fit into a number of bytes; each is computed once, however many ask at once.

    A value above the budget is returned and not kept. Values under a `pinned` key are never evicted and not counted.
    What has left the budget while a page still reads it is found again, not computed a second time.
    """

    def __init__(self, budget: int, pinned: tuple[Hashable, ...] = ()) -> None:
        self.budget, self._pinned_keys = budget, pinned
        self._sized: LRUCache[Hashable, tuple[V, int]] = LRUCache(budget, getsizeof=lambda entry: entry[1])
        self._pinned: dict[Hashable, V] = {}
        self._alive: weakref.WeakValueDictionary[Hashable, V] = weakref.WeakValueDictionary()
        self._on_their_way: dict[Hashable, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            return self._found(key)

    def put(self, key: Hashable, value: V, size: int) -> None:
        with self._lock:
            with suppress(TypeError):  # tuples and strings are no such values
                self._alive[key] = value
            if key in self._pinned_keys:
                self._pinned[key] = value
            elif size <= self.budget:  # LRUCache raises ValueError for a larger one
                self._sized[key] = (value, size)

    def get_or_compute(self, key: Hashable, compute: Callable[[], V], size: Callable[[V], int]) -> V:
        """The kept value, or the one that somebody is computing now, or a new one.

        Raises what `compute` raised, for all who waited, and Busy after `PATIENCE`. Where the visitor who computed
        was called away (Streamlit ends a page's run by an exception of its own), another one takes over.
        """
        while True:
            with self._lock:
                kept = self._found(key)
                if kept is not None:
                    return kept
                awaited = self._on_their_way.get(key)
                if awaited is None:
                    mine: Future[V] = Future()
                    self._on_their_way[key] = mine
            if awaited is None:
                return self._compute(key, compute, size, mine)
            try:
                return awaited.result(PATIENCE)
            except TooLate:
                raise Busy(CROWDED) from None
            except Exception:
                raise
            except BaseException:
                continue

    def _compute(self, key: Hashable, compute: Callable[[], V], size: Callable[[V], int], mine: Future[V]) -> V:
        try:
            value = compute()
            of_key = _size(key)  # it may hold a sentence of a megabyte; ordinary ones are nothing beside a trace
            self.put(key, value, size(value) + (of_key if of_key > LARGE_KEY else 0))
        except BaseException as error:
            self._landed(key)
            mine.set_exception(error)
            raise
        self._landed(key)
        mine.set_result(value)
        return value

    def _landed(self, key: Hashable) -> None:
        with self._lock:
            del self._on_their_way[key]

    def _found(self, key: Hashable) -> V | None:
        if key in self._pinned:
            return self._pinned[key]
        entry = self._sized.get(key)
        return self._alive.get(key) if entry is None else entry[0]

    def __len__(self) -> int:
        return len(self._sized) + len(self._pinned)


def size_of(value: object) -> int:
    """How many bytes a value takes, arrays counted through lists, mappings, tables and dataclasses."""
    return OVERHEAD + _size(value)


def _size(value: object) -> int:
    known = getattr(value, "n_bytes", None) or getattr(value, "nbytes", None)  # ours; numpy's and torch's
    if isinstance(known, int):
        return known
    if hasattr(value, "memory_usage"):  # a table of pandas
        return int(cast(Any, value).memory_usage(deep=True).sum())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(_size(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return sum(_size(key) + _size(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return sys.getsizeof(value) + sum(map(_size, value))
    return sys.getsizeof(value)


class Handle(Generic[T]):
    """Something shared as a page holds it: it keeps nothing in memory, and equals another one of the same key.

    Whoever reads it when the value has left its cache computes or loads that again first, so it may take a moment.
    `handles` has those of models and traces, which read like the real ones.
    """

    __slots__ = ("_bring", "_key", "_there")

    def __init__(self, key: Hashable, value: T, bring: Callable[[], T]) -> None:
        self._key, self._bring, self._there = key, bring, weakref.ref(value)
        _refer_to(value)

    def value(self) -> T:
        """The thing itself, brought back where it has gone; the page that asks for it keeps it to its end."""
        value = self._there()
        if value is None:
            value = self._bring()
            self._there = weakref.ref(value)
        _refer_to(value)
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def frozen(value: object) -> Hashable:
    """A value as a key, equal for equal ones: a handle by what it is of, a dataclass by its compared fields.

    TypeError where a value cannot be told from another, such as a model or a trace that is not shared.
    """
    if isinstance(value, Handle):
        return value._key
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        compared = (getattr(value, each.name) for each in dataclasses.fields(value) if each.compare)
        return (type(value).__qualname__, *map(frozen, compared))
    if isinstance(value, Mapping):
        return tuple(sorted((frozen(k), frozen(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, hashlib.blake2b(value.tobytes()).digest())
    if isinstance(value, _KEYS) or value is None:
        return value
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def key_of(handle: Handle[T]) -> Hashable:
    """What says which model or trace it is; equal for equal ones."""
    return handle._key


def begin_page(address: str = "") -> None:
    """A page begins to be drawn, for a visitor's address: forget what this thread's last one read, and keep what this
    one reads.
    """
    _page.references, _page.values, _page.address = {}, {}, address


def address_of_page() -> str:
    """The address that this thread draws a page for, "" where it draws none."""
    return getattr(_page, "address", "")


class while_drawn(Generic[V]):  # a decorator, used and read like `cached_property`
    """As `functools.cached_property`, for large values: kept to the end of the page that reads them, not in the object.

    Callbacks and folds keep the object for hours, and a session its last page: eighty of them would fill the memory.
    Read later, by a callback, the value is computed again.
    """

    def __init__(self, compute: Callable[[Any], V]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, owner: object, _: type | None = None) -> V:
        kept: dict[tuple[int, int], tuple[object, V]] | None = getattr(_page, "values", None)
        if kept is None:  # a download's thread draws no page
            return self.compute(owner)
        key = (id(owner), id(self))
        if key not in kept:
            kept[key] = (owner, self.compute(owner))  # with its owner, whose id then stays its own
        return kept[key][1]


def _refer_to(value: object) -> None:
    if hasattr(_page, "references"):  # a download's thread draws no page
        _page.references[id(value)] = value
