"""Addresses take turns at the machine's few places; of each address the first who asked is the first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import streamlit as st
from page_driver import load, open_page

from ui.server import shared
from ui.server.cache import Busy
from ui.server.line import Line, network_of


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def standing(line: Line) -> int:
    return sum(map(len, line._waiting.values()))


def test_who_asks_in_many_windows_does_not_stand_before_all_others() -> None:
    line, served, leave = Line(1, 8), [], threading.Event()

    def ask(who: str) -> None:
        with line.place(who.rstrip("0123456789"), 20):
            served.append(who)
            leave.wait(20)

    threads = []
    for who in ("a0", "a1", "a2", "a3", "a4", "b0", "b1", "c0"):
        threads.append(threading.Thread(target=ask, args=(who,)))
        threads[-1].start()
        until(lambda: len(served) + standing(line) == len(threads))
    assert served == ["a0"]
    leave.set()
    for thread in threads:
        thread.join(20)
    assert served == ["a0", "a1", "b0", "c0", "a2", "b1", "a3", "a4"]
    assert (line._free, standing(line)) == (1, 0)


def test_an_address_has_so_many_in_line_and_whoever_waits_too_long_steps_out() -> None:
    line, inside, leave = Line(1, 1), threading.Event(), threading.Event()

    def stay() -> None:
        with line.place("a", 20):
            inside.set()
            leave.wait(20)

    first = threading.Thread(target=stay)
    first.start()
    assert inside.wait(20)
    second = threading.Thread(target=_wait, args=(line, "a", 2.0))
    second.start()
    until(lambda: standing(line) == 1)
    with pytest.raises(Busy), line.place("a", 20):
        pass  # a third one of the same address, at once
    with pytest.raises(Busy), line.place("b", 0.05):
        pass
    second.join(20)
    assert standing(line) == 0
    leave.set()
    first.join(20)
    with line.place("b", 0.05):
        assert line._free == 0
    assert line._free == 1


def _wait(line: Line, address: str, longest: float) -> None:
    with suppress(Busy), line.place(address, longest):
        pass


def test_a_page_stands_in_the_line_of_its_visitors_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    place = Line.place
    monkeypatch.setattr(Line, "place", lambda line, who, wait: asked.append(who) or place(line, who, wait))
    monkeypatch.setattr(type(st.context), "ip_address", property(lambda _: "2001:db8:1:2:3::4"))
    open_page("all_heads", text="a fox that stands in line")
    assert set(asked) == {"2001:db8:1:2::/64"}
    assert [network_of(said) for said in ("192.0.2.7", "nonsense", "")] == ["192.0.2.7", "", ""]


def test_passes_stand_side_by_side_where_a_model_keeps_nothing_of_them() -> None:
    """Some families keep a length, or the kind of their attention, in a module while they compute."""
    state = shared.SharedState()
    free = [state.line(name, side_by_side=name == "minilm")._free for name in ("minilm", "owner/a-model")]
    assert free == [2, 1] and state.line("minilm", side_by_side=True) is state.line("minilm", side_by_side=True)
    assert load("minilm").side_by_side and load("tiny-decoder").side_by_side
