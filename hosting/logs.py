"""Every line of the log is one JSON object; none holds what a visitor typed.

{"time": …, "level": "info", "event": "forward pass", "session": "3f2a9c01", "request": "…", "pass_s": 0.0312}

A session's id is the key to it, so a line shows a hash. An error is told by its type and its place in the code: its
own words may quote a sentence. So may what other libraries fill into their lines: of those the bare line stands here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import threading
import traceback
import uuid
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import streamlit as st
import streamlit.logger
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.scriptrunner import get_script_run_ctx

from hosting import metrics
from hosting.limits import TokenBucket

LINES_PER_SECOND, LINES_AT_ONCE = 20.0, 400.0
LONGEST = 300  # characters of another library's line
_TOLD = "_headlight_told"
_request: ContextVar[str] = ContextVar("request", default="")


class RequestId:
    """ASGI middleware: lines that are logged while a request is answered carry its `X-Request-ID`, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
            known = sent.decode("ascii", "replace")[:64]
            own = known if known.replace("-", "").isalnum() else uuid.uuid4().hex
            _request.set(own)
            # A script reads the headers of its session's socket, in a thread of its own.
            others = [pair for pair in scope["headers"] if pair[0] != b"x-request-id"]
            scope = {**scope, "headers": [*others, (b"x-request-id", own.encode())]}
        await self.app(scope, receive, send)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, what happened, for whom, and its numbers."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == "headlight" else bare(record),
        }
        if record.name != "headlight":
            told |= {"from": record.name, "line": f"{record.module}:{record.lineno}"}
        told |= whose()
        told |= getattr(record, "numbers", {})
        if record.exc_info and record.exc_info[1] is not None:
            told |= error_of(record.exc_info[1])
        return json.dumps(told, default=str)


def bare(record: logging.LogRecord) -> str:
    """The first line of what another library says, its slots filled with numbers alone: a visitor may have named the
    file that is missing, and a task that failed is told with its error's words. Of a warning, its place and kind.
    """
    said, filled = str(record.msg), record.args
    if record.name == "py.warnings":
        said = ": ".join(record.getMessage().split(": ")[:2])
    elif isinstance(filled, tuple) and filled and all(isinstance(each, int | float) for each in filled):
        said = record.getMessage()
    return said.partition("\n")[0][:LONGEST]


class Bounded(logging.Filter):
    """At most so many lines a second, and each failure once: Streamlit tells again what a page has told."""

    def __init__(self) -> None:
        super().__init__()
        self._bucket = TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE)

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, _TOLD, False):  # once by a library's own logger, and again by the root
            return False
        setattr(record, _TOLD, True)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            if getattr(error, _TOLD, False):
                return False
            with suppress(AttributeError):  # some of C's take no mark
                setattr(error, _TOLD, True)
        metrics.note(record)
        if not self._bucket.take_ready():
            metrics.LOG_LINES_DROPPED.inc()
            return False
        return True


def whose() -> dict[str, str]:
    """The session and the request that this thread works for, where there is one."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return {"request": _request.get()} if _request.get() else {}
    session = hashlib.sha256(context.session_id.encode()).hexdigest()[:8]
    return {"session": session, "request": st.context.headers.get("x-request-id") or ""}


def error_of(error: BaseException) -> dict[str, Any]:
    """What an operator needs to find an error in the code, without its own words."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return {
        "error": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def to_stderr() -> None:
    """Send every logger's lines to stderr as JSON, those of Streamlit and uvicorn too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Bounded())
    logging.captureWarnings(True)
    logging.getLogger().addHandler(handler)
    _instead_of_others(handler)
    logging.getLogger("headlight").setLevel(logging.INFO)

    threading.excepthook = lambda failed: _died(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.unraisablehook = lambda failed: _died(failed.exc_type, failed.exc_value, failed.exc_traceback)

    def use_ours(logger: logging.Logger) -> None:
        # uvicorn's list of requests stays off: their addresses hold sentences.
        logger.handlers, logger.propagate = [] if logger.name == "uvicorn.access" else [handler], False

    # Streamlit gives each of its loggers, and each of uvicorn's, a handler of its own by this function.
    streamlit.logger.setup_formatter = use_ours
    streamlit.logger.update_formatter()
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        use_ours(logging.getLogger(name))


def _instead_of_others(ours: logging.Handler) -> None:
    """Have libraries that bring a handler of their own (transformers, torch, huggingface_hub) write by ours."""
    add = logging.Logger.addHandler

    def add_ours(logger: logging.Logger, other: logging.Handler) -> None:
        to_console = getattr(other, "stream", None) in (sys.stderr, sys.stdout)
        add(logger, ours if to_console else other)
        if to_console and logger.parent is not None:
            logger.propagate = False  # or the root would tell it once more

    logging.Logger.addHandler = add_ours  # type: ignore[method-assign]


def _died(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log an error that nobody caught as a JSON line; Python would print it with its own words, which may be typed."""
    about = (kind, error or kind(), trace)
    logging.getLogger("headlight").error("a thread or a clean-up failed", exc_info=about)


def without_progress_bars() -> None:
    """Keep the bars that transformers draws while it loads a model out of the log."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
