"""What Streamlit does anew at each run of a page though it stays the same, done once; messages handed over together.

* A script hands over each element by waking the network's thread, which takes the interpreter from it forty times a
  page. Here what is handed over within `WAITS` goes together; what begins or ends a run takes along what waits.
* What a run leaves free in the heap goes back to the system at its end (`Heap` in `hosting/memory.py`).
* The folder of pages is looked through for each run, and the settings of the theme are read one by one.

None of this changes what is sent or in what order. Streamlit has no setting for it, so four of its functions are
replaced; `tests/hosting/test_runs.py` fails when a later version calls them no more.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from streamlit.navigation import page as pages
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner.script_runner import ScriptRunnerEvent

from hosting import memory

WAITS = 0.005  # seconds at most that a message waits for others; Streamlit itself sends every 0.01

_event, _hand_over = AppSession._on_scriptrunner_event, AppSession._call_soon_on_event_loop
_heap = memory.Heap()
_ENDS = ScriptRunnerEvent.SCRIPT_STOPPED_WITH_SUCCESS, ScriptRunnerEvent.FRAGMENT_STOPPED_WITH_SUCCESS
_read_theme, _find_page = app_session._populate_theme_msg, pages._create_page


def lighten() -> None:
    """From now on, in every session of this process."""
    AppSession._on_scriptrunner_event = _from_script  # type: ignore[assignment, method-assign]
    AppSession._call_soon_on_event_loop = _soon  # type: ignore[method-assign]
    app_session._populate_theme_msg = _theme
    pages._create_page = _page


class Together:
    """What the threads of a session have for the network's thread, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._is_awaited = False

    def add(self, callback: Callable[[], None]) -> bool:
        """Whether nobody has told the network's thread yet that something waits."""
        with self._lock:
            self._waiting.append(callback)
            first, self._is_awaited = not self._is_awaited, True
            return first

    def do(self) -> None:
        """Do all that waits; what fails is the loop's to report, as it is without us, and the rest goes on."""
        with self._lock:
            self._is_awaited = False
        while self._waiting:
            try:
                self._waiting.popleft()()
            except BaseException:
                asyncio.get_running_loop().call_soon(self.do)
                raise


def _of(session: AppSession) -> Together:
    together: Together = vars(session).setdefault("_headlight_together", Together())
    return together


def _from_script(self: AppSession, sender: Any, event: ScriptRunnerEvent, **told: Any) -> None:
    if event is not ScriptRunnerEvent.ENQUEUE_FORWARD_MSG:
        if event in _ENDS:
            _heap.trim()
        _event(self, sender, event, **told)  # goes through `_soon`, and takes along what waits
        return
    together, loop = _of(self), self._event_loop
    if together.add(lambda: self._handle_scriptrunner_event_on_event_loop(sender, event, **told)):
        _hand_over(self, lambda: loop.call_later(WAITS, together.do))  # type: ignore[arg-type, return-value]


def _soon(self: AppSession, callback: Callable[[], None]) -> None:
    together = _of(self)
    together.add(callback)
    _hand_over(self, together.do)


def _theme(msg: CustomThemeConfig, section: str = "theme") -> None:
    msg.CopyFrom(_theme_of(section))


@cache
def _theme_of(section: str) -> CustomThemeConfig:
    message = CustomThemeConfig()
    _read_theme(message, section)
    return message


def _page(page: str | Path, *, default: bool = False) -> pages.Page:
    return copy.copy(_page_of(page, default))  # a run says of its own that it may be called


@cache
def _page_of(page: str | Path, default: bool) -> pages.Page:
    return _find_page(page, default=default)
