"""A run of a page is lighter on the server, and nothing of what is sent or of its order changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from streamlit.navigation import page as pages
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import script_runner
from streamlit.runtime.scriptrunner.script_runner import ScriptRunnerEvent

from hosting import runs
from hosting.limits import Limits
from hosting.sockets import GATHERS, TOGETHER, AllSockets, GuardedSocket

MESSAGE, STARTED, STOPPED = (
    ScriptRunnerEvent.ENQUEUE_FORWARD_MSG,
    ScriptRunnerEvent.SCRIPT_STARTED,
    ScriptRunnerEvent.SCRIPT_STOPPED_WITH_SUCCESS,
)


class Session:
    """A session whose events are written down on the network's thread."""

    _call_soon_on_event_loop: Any = runs._soon
    _on_scriptrunner_event: Any = runs._from_script

    def __init__(self, fails: object = None) -> None:
        self._event_loop, self.told, self.fails = asyncio.get_running_loop(), list[Any](), fails

    def _handle_scriptrunner_event_on_event_loop(self, _: Any, event: Any, forward_msg: Any = None, *__: Any) -> None:
        self.told.append(forward_msg or event)
        if forward_msg is not None and forward_msg == self.fails:
            raise ValueError(forward_msg)

    def sends(self, *messages: object) -> None:
        for message in messages:
            self._on_scriptrunner_event(None, MESSAGE, forward_msg=message)


def wakes(monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop) -> list[object]:
    """How often another thread wakes the network's."""
    woken: list[object] = []
    wake = loop.call_soon_threadsafe

    def noted(*how: Any, **more: Any) -> object:
        woken.append(how)
        return wake(*how, **more)

    monkeypatch.setattr(loop, "call_soon_threadsafe", noted)
    return woken


def test_what_a_script_hands_over_goes_together_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[list[Any], list[Any], int]:
        session = Session()
        session._on_scriptrunner_event(None, STARTED)
        await asyncio.to_thread(session.sends, *"abc")
        while len(session.told) < 4:  # nothing else comes, and they go nevertheless
            await asyncio.sleep(runs.WAITS)
        before, woken = list(session.told), wakes(monkeypatch, session._event_loop)
        session.sends(*"defgh")
        session._on_scriptrunner_event(None, STOPPED)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what ends a run waits for nothing
        return before, session.told[4:], len(woken)

    before, after, woken = asyncio.run(asyncio.wait_for(run(), 10))
    assert before == [STARTED, *"abc"]
    assert after == [*"defgh", STOPPED]
    assert woken == 2, "the first of those that go together, and the end"


def test_what_fails_is_said_and_keeps_nothing_back() -> None:
    async def run() -> tuple[list[Any], list[Any]]:
        session, said = Session(fails="b"), list[Any]()
        session._event_loop.set_exception_handler(lambda _, about: said.append(str(about["exception"])))
        session.sends(*"abc")
        while len(session.told) < 3:
            await asyncio.sleep(runs.WAITS)
        return session.told, said

    assert asyncio.run(asyncio.wait_for(run(), 10)) == ([*"abc"], ["b"])


def test_a_run_takes_a_page_of_its_own_from_pages_that_were_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []

    def found(page: str, *, default: bool) -> pages.Page:
        looked.append((page, default))
        page_object = pages.Page.__new__(pages.Page)
        page_object._can_be_called = False
        return page_object

    monkeypatch.setattr(runs, "_find_page", found)
    runs._page_of.cache_clear()
    first, second = runs._page("a.py"), runs._page("a.py")
    runs._page("a.py", default=True)
    first._can_be_called = True
    assert not second._can_be_called and looked == [("a.py", False), ("a.py", True)]
    runs._page_of.cache_clear()


def test_the_theme_is_what_the_settings_say() -> None:
    for section in ("theme", "theme.dark", "theme.light", "theme.sidebar"):
        theirs, ours = CustomThemeConfig(), CustomThemeConfig()
        runs._read_theme(theirs, section)
        for _ in range(2):
            runs._theme(ours, section)
            assert ours == theirs


def test_streamlit_still_asks_where_it_is_answered() -> None:
    """A later version may call other functions than those that `lighten` replaces."""
    assert "_call_soon_on_event_loop" in AppSession._on_scriptrunner_event.__code__.co_names
    assert "_on_scriptrunner_event" in AppSession._create_scriptrunner.__code__.co_names
    assert "_populate_theme_msg" in AppSession._create_new_session_message.__code__.co_names
    assert "_create_page" in script_runner._mpa_v1.__code__.co_names
    assert {"_populate_theme_msg"} <= set(vars(app_session))


class Protocol:
    """As uvicorn's: a frame for each message, written to its transport."""

    def __init__(self) -> None:
        self.transport, self.written = self, list[bytes]()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    async def send(self, message: Any) -> None:
        self.transport.write(b"<" + message["bytes"] + b">")


def test_short_messages_go_to_the_system_in_one_piece_and_long_ones_do_not_wait() -> None:
    async def run() -> list[bytes]:
        protocol = Protocol()
        sends: Any = protocol.send
        socket = GuardedSocket(AllSockets(Limits()), "", sends, sends)
        for said in (b"a", b"b", b"c" * TOGETHER, b"d", b"e"):
            await socket.send({"type": "websocket.send", "bytes": said})
        while len(protocol.written) < 2:
            await asyncio.sleep(GATHERS)
        await socket.send({"type": "websocket.send", "bytes": b"f"})
        await socket.send({"type": "websocket.close", "bytes": b"end"})
        assert protocol.transport is protocol
        return protocol.written

    written = asyncio.run(asyncio.wait_for(run(), 10))
    assert written == [b"<a><b><" + b"c" * TOGETHER + b">", b"<d><e>", b"<f>", b"<end>"]


def test_what_a_run_leaves_free_goes_back_at_its_end_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[object]:
        session, trimmed = Session(), list[object]()
        monkeypatch.setattr(runs._heap, "trim", lambda: trimmed.append(len(sent)))
        sent: list[object] = []
        for event in (STARTED, MESSAGE, MESSAGE, STOPPED):
            sent.append(event)
            session._on_scriptrunner_event(None, event, **({"forward_msg": "one"} if event is MESSAGE else {}))
        return trimmed

    assert asyncio.run(run()) == [4]
