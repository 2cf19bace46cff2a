"""What visitors share: bounded by bytes, computed once, and never left waiting without a word."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from attn_core.errors import NoNetwork
from attn_core.heads import baselines
from attn_core.traces.reader import OneStreamReader
from ui.link import LinkState
from ui.server import cache, loading, passes, shared
from ui.server.cache import ByteCache, size_of
from ui.server.handles import ModelHandle, RecordedHandle, TraceHandle
from ui.server.shared import SharedState


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> SharedState:
    own = SharedState()
    monkeypatch.setattr(shared, "STATE", own)
    monkeypatch.setattr(cache, "_page", type(cache._page)())  # no page drawn here keeps what it read
    return own


class Result:
    """Stands for a trace or a model: something that is counted by its bytes."""

    side_by_side = False

    name = "a model"
    n_bytes = 40

    def describe(self, owner: object) -> str:
        return self.name


COUNT = itertools.count()


def numbered(
    owner: object, *what: object, cells: object = None, progress: object = None, example: object = None
) -> int:
    """Another number each time that it is really computed."""
    return next(COUNT)


def nothing(owner: object) -> None:
    next(COUNT)


def chosen(owner: object) -> object:
    return st.session_state["tiles"]


def tiles_of(owner: Holder) -> object:
    return owner.state["tiles"]


class Holder:
    """Something shared that leads to a page's parameters."""

    n_bytes = 40

    def __init__(self, state: LinkState) -> None:
        self.state = state


def said_of_handle(state: LinkState) -> Holder:
    return shared.get_or_compute("holder", lambda: Holder(state))


def handle(name: str = "a model") -> ModelHandle:
    return ModelHandle.of(shared.get_or_compute(name, Result))


def test_a_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    kept = ByteCache(100)
    for name in "abc":
        kept.put(name, name.upper(), 40)  # the third is one too many
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, "B", "C")
    kept.get("b")
    kept.put("d", "D", 40)
    assert (kept.get("b"), kept.get("c"), kept.get("d")) == ("B", None, "D")


def test_what_is_larger_than_the_budget_is_returned_and_not_kept() -> None:
    kept = ByteCache(100)
    kept.put("a", "A", 10)
    assert kept.get_or_compute("b", lambda: "B", lambda value: 1000) == "B"
    assert (kept.get("a"), kept.get("b")) == ("A", None)


def test_a_sentence_that_is_a_key_counts_like_what_is_kept_under_it() -> None:
    """Two words and a megabyte of blanks are a small trace under a large key."""
    cache: ByteCache[tuple[int]] = ByteCache(3_500_000)
    for i in range(20):
        cache.get_or_compute((f"a fox{' ' * 1_000_000}{i}", "options"), lambda: (1,), size_of)
    assert len(cache) == 3


def test_a_pinned_value_is_never_evicted() -> None:
    kept = ByteCache(100, pinned=("bundled",))
    kept.put("bundled", "ours", 90)
    for name in "abc":
        kept.put(name, name.upper(), 60)
    assert (kept.get("bundled"), kept.get("a"), kept.get("c")) == ("ours", None, "C")


def ask_at_once(n: int, ask: Callable[[], object]) -> list[object]:
    """What n threads that start together get, an error in its place."""
    start, got = threading.Barrier(n), []

    def visit() -> None:
        start.wait(30)
        try:
            got.append(ask())
        except Exception as error:
            got.append(error)

    threads = [threading.Thread(target=visit) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return got


def test_a_class_that_opens_one_link_makes_one_pass_and_nobody_is_turned_away(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes_made = itertools.count()

    def trace(*asked: object, **options: object) -> Result:
        next(passes_made)
        time.sleep(0.3)
        return Result()

    monkeypatch.setattr("attn_core.trace", trace)
    model = handle()
    got = ask_at_once(40, lambda: passes.trace(model, "one link").value())
    assert len(got) == 40 and len({id(each) for each in got}) == 1 and isinstance(got[0], Result)
    assert next(passes_made) == 1


def test_whoever_waits_for_another_hears_its_error_and_the_next_one_tries_again() -> None:
    kept, tries = ByteCache(100), itertools.count()

    def fail() -> str:
        next(tries)
        end = time.monotonic() + 60
        while len(kept._on_their_way["a"]._condition._waiters) < 4 and time.monotonic() < end:  # type: ignore[attr-defined]
            time.sleep(0.01)
        raise NoNetwork("the cable is out")

    got = ask_at_once(5, lambda: kept.get_or_compute("a", fail, len))
    assert [str(error) for error in got] == ["the cable is out"] * 5 and next(tries) == 1
    assert kept.get_or_compute("a", lambda: "A", len) == "A"


def test_where_the_one_who_computed_was_called_away_another_takes_over() -> None:
    kept, begun, leave = ByteCache(100), threading.Event(), threading.Event()

    def called_away() -> str:
        begun.set()
        leave.wait(30)
        raise StopException

    def first() -> None:
        with pytest.raises(StopException):
            kept.get_or_compute("a", called_away, len)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(30)
    threading.Timer(0.2, leave.set).start()
    assert kept.get_or_compute("a", lambda: "A", len) == "A"
    thread.join(30)


def test_what_is_derived_counts_its_arrays_wherever_they_are() -> None:
    @dataclass
    class Found:
        sizes: list[np.ndarray]

    assert cache.size_of(Found([np.zeros(1000), np.zeros(500)])) >= 12_000
    assert cache.size_of({"table": pd.DataFrame({"a": np.zeros(1000)})}) >= 8_000
    assert cache.size_of((b"x" * 5000, "word")) >= 5000


def test_the_message_that_clears_streamlits_caches_clears_nothing_of_ours(state: SharedState) -> None:
    state.models.put("a model", "here", 10)
    st.cache_resource.clear()
    st.cache_data.clear()
    assert shared.STATE is state and state.models.get("a model") == "here"
    code = "".join(file.read_text() for file in Path(shared.__file__).parent.glob("*.py"))
    assert "@st.cache" not in code and "import streamlit" not in code


def test_putting_the_same_key_again_counts_it_once() -> None:
    kept = ByteCache(100)
    for _ in range(5):
        kept.put("a", "A", 60)
    kept.put("b", "B", 40)
    assert len(kept) == 2


def test_a_sentence_is_run_once_and_other_options_are_another_run(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[object, ...]] = []

    def run(loaded: object, text: object, options: dict[str, object]) -> Result:
        runs.append((text, *options))
        return Result()

    monkeypatch.setattr(passes, "_run", run)
    loaded = handle()
    first = passes.trace(loaded, "hello")
    assert passes.trace(loaded, "hello").value() is first.value()
    assert passes.trace(loaded, "hello", without=[(0, 1)]) != first
    assert passes.trace(loaded, [1, 2]) == passes.trace(loaded, [1, 2]) != passes.trace(loaded, [1, 3])
    assert passes.trace(handle("another"), "hello") != first
    assert len(runs) == 5


def test_something_beside_a_trace_belongs_to_that_trace_alone(state: SharedState) -> None:
    a, b = handle("a"), handle("b")
    first = shared.memoize(a, numbered, "what")
    assert shared.memoize(b, numbered, "what") != first
    assert shared.memoize(a, numbered, "what") == first


def test_what_is_kept_goes_by_every_argument_of_the_function_that_computes_it(state: SharedState) -> None:
    a, told = handle("a"), []
    first = shared.memoize(a, numbered, "what", cells=np.zeros(3))
    assert shared.memoize(a, numbered, "what", cells=np.zeros(3)) == first
    assert shared.memoize(a, numbered, "what", cells=np.ones(3)) != first
    assert shared.memoize(a, numbered, "else", cells=np.zeros(3)) != first
    assert shared.memoize(a, numbered, "what", handle("b")) != shared.memoize(a, numbered, "what", handle("c"))
    assert shared.memoize(a, numbered, "what", cells=np.zeros(3), progress=told.append, example=Result()) == first
    assert shared.memoize(a, nothing) is None and shared.memoize(a, nothing) is None
    assert next(COUNT) == first + 6, "None is kept, too"
    with pytest.raises(TypeError, match="Result cannot be part of a key"):
        shared.memoize(a, numbered, Result())


def test_what_belongs_to_no_trace_is_kept_under_its_function_and_arguments(state: SharedState) -> None:
    first = shared.compute_once(numbered, None, "what")
    assert shared.compute_once(numbered, None, "what") == first
    assert shared.compute_once(numbered, None, "else") != first
    with pytest.raises(TypeError, match="Result cannot be part of a key"):
        shared.compute_once(numbered, Result())
    with pytest.raises(TypeError, match="may read more than its arguments"):
        shared.compute_once(lambda: "anything")


def test_a_function_that_may_read_more_than_its_arguments_is_not_kept(state: SharedState) -> None:
    tiles = "pattern"

    def reads_what_is_around_it(owner: object) -> str:
        return tiles

    for function in (reads_what_is_around_it, lambda owner: "anything", Result().describe, chosen):
        with pytest.raises(TypeError, match="may read more than its arguments"):
            shared.memoize(handle(), function)


def test_a_parameter_of_the_page_is_not_read_while_something_is_computed_for_everybody(state: SharedState) -> None:
    said = LinkState("page", chosen={"tiles": "delta"})
    assert said["tiles"] == "delta"
    with pytest.raises(RuntimeError, match="reads 'tiles': make it an argument"):
        shared.memoize(said_of_handle(said), tiles_of)
    assert said["tiles"] == "delta"


def test_what_a_session_remembers_keeps_nothing_alive_and_comes_back_when_it_is_read(state: SharedState) -> None:
    state.traces = ByteCache(100)
    remembered = [shared.get_or_compute(i, Result) for i in range(10)]  # as callbacks of ten views that are long past
    gc.collect()
    assert sum(type(thing) is Result for thing in gc.get_objects()) == len(state.traces) == 2
    assert remembered[0].value().n_bytes == 40 and state.traces.get(0) is remembered[0].value()


def test_a_page_keeps_what_it_has_borrowed_until_the_next_one_begins(state: SharedState) -> None:
    state.traces = ByteCache(1)
    counted = itertools.count()

    class Costly(Result):
        def __init__(self) -> None:
            self.turn = next(counted)

    def visit() -> None:
        cache.begin_page()
        first, second = shared.get_or_compute("first", Costly), shared.get_or_compute("second", Costly)
        turns.append((first.value().turn, second.value().turn, first.value().turn))

    turns: list[tuple[int, ...]] = []
    for _ in range(2):
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join(30)
    assert turns == [(0, 1, 0), (2, 3, 2)]


def named(name: str) -> Any:
    """As much of a model as standing in line for it asks for."""
    return SimpleNamespace(name=name, side_by_side=False)


def test_a_full_queue_ends_in_a_clear_word_and_frees_its_place(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "longest_wait", 0.01)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with passes.in_turn(named("model")):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(cache.Busy, match="try again"), passes.in_turn(named("model")):
        pass
    leave.set()
    thread.join(30)
    with passes.in_turn(named("model")):
        pass


def test_a_model_is_loaded_once_for_everybody_and_tells_how_far_it_is(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attn_core.models import loading as model_loading

    go_on, calls = threading.Event(), []

    def load(name: str, progress: object, limit: int) -> Result:
        calls.append(name)
        progress("half of it is here", 0.5)  # type: ignore[operator]
        go_on.wait(30)
        return Result()

    monkeypatch.setattr(model_loading, "load", load)
    jobs = [loading.open_model("big") for _ in range(5)]
    assert all(job is jobs[0] for job in jobs) and loading.model("big") is None
    go_on.set()
    assert jobs[0].done.wait(30) and jobs[0].error is None
    assert (jobs[0].message, jobs[0].fraction) == ("half of it is here", 0.5)
    assert isinstance(loading.model("big").value(), Result)
    assert loading.open_model("big") is jobs[0] and calls == ["big"]


def test_random_weights_are_made_once_for_all_who_ask_and_push_out_no_trace(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Large(Result):
        n_bytes = 90

    made: list[int] = []

    def random_weights(model: object, seed: int = 0) -> Large:
        made.append(seed)
        time.sleep(0.2)
        return Large()

    monkeypatch.setattr(baselines, "random_weights", random_weights)
    state.models, state.traces = ByteCache(100), ByteCache(100)
    model, trace = handle("a model"), handle("a trace")
    both = [model.value(), trace.value()]
    got = ask_at_once(2, lambda: loading.random_weights(model).value())
    assert made == [0] and got[0] is got[1]
    assert [state.traces.get(key) for key in ("a model", "a trace")] == both
    assert loading.random_weights(model) != loading.random_weights(model, seed=1) and made == [0, 1]
    del got
    gc.collect()
    assert len(state.models) == 1, "two of them are more than the budget"
    loading.random_weights(model)
    assert made == [0, 1, 0]


def test_what_a_page_still_reads_is_found_again_though_the_budget_is_too_small_for_it(state: SharedState) -> None:
    state.traces, counted = ByteCache(1), itertools.count()

    def costly() -> Result:
        next(counted)
        return Result()

    def visit() -> None:
        cache.begin_page()
        first = shared.get_or_compute("first", costly)
        assert shared.get_or_compute("first", costly).value() is first.value()

    ask_at_once(1, visit)
    assert next(counted) == 1 and state.traces.get("first") is None


def test_a_model_that_failed_says_why_and_can_be_tried_again(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attn_core.models import loading as model_loading

    errors = [NoNetwork("the cable is out"), OSError("a path that nobody should see"), None]

    def load(name: str, progress: object, limit: int) -> Result:
        error = errors.pop(0)
        if error is not None:
            raise error
        return Result()

    monkeypatch.setattr(model_loading, "load", load)
    said = []
    for _ in range(3):
        job = loading.open_model("far")
        assert job.done.wait(30)
        said.append(str(job.error))
    assert said[0] == "the cable is out"
    assert "nobody should see" not in said[1]
    assert said[2] == "None" and loading.model("far") is not None


def test_a_queue_that_is_full_turns_people_away_at_once(state: SharedState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "queue", threading.BoundedSemaphore(1))
    monkeypatch.setattr(state, "longest_wait", 3600)
    with passes.in_turn(named("model")), pytest.raises(cache.Busy, match="try again"), passes.in_turn(named("another")):
        pass
    with passes.in_turn(named("another")):
        pass


def test_a_pass_is_logged_with_its_times_and_without_its_text(
    state: SharedState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import attn_core as ac

    monkeypatch.setattr(ac, "trace", lambda *a, **k: Result())
    with caplog.at_level("INFO", logger="headlight"):
        passes.trace(handle(), "a secret sentence")
    (record,) = [r for r in caplog.records if r.getMessage() == "forward pass"]
    assert set(record.numbers) == {"model", "waited_s", "pass_s", "traces_kept", "bytes"}  # type: ignore[attr-defined]
    assert "secret" not in str(record.__dict__)


@pytest.mark.parametrize("handle_of", [TraceHandle, RecordedHandle])
def test_a_handle_has_every_reader_of_the_protocol(handle_of: type) -> None:
    """What takes a trace or its recording takes a handle of it: none is missing at the last moment."""
    readers = {name for each in OneStreamReader.__mro__ for name in vars(each) if not name.startswith("_")}
    assert {"pattern", "may_look", "stream", "tokens"} <= readers
    own = {name for each in handle_of.__mro__ for name in vars(each)}
    assert readers - own == set() and "__getattr__" not in own
