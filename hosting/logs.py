"""Every line of the log is one JSON object; none holds what a visitor typed.

{"time": …, "level": "info", "event": "forward pass", "session": "3f2a9c01", "request": "…", "pass_s": 0.0312}

A session's id is the key to it, so a line shows a hash. An error is told by its type and its place in the code: its
own words may quote a sentence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import traceback
import uuid
from contextvars import ContextVar
from typing import Any

import streamlit as st
import streamlit.logger
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.scriptrunner import get_script_run_ctx

from hosting import metrics
from hosting.limits import TokenBucket

LINES_PER_SECOND, LINES_AT_ONCE = 20.0, 400.0
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
            "event": record.getMessage(),
        }
        if record.name != "headlight":
            told["from"] = record.name
        told |= whose()
        told |= getattr(record, "numbers", {})
        if record.exc_info and record.exc_info[1] is not None:
            told |= error_of(record.exc_info[1])
        return json.dumps(told, default=str)


class Bounded(logging.Filter):
    """At most so many lines a second, and each failure once: Streamlit tells again what a page has told."""

    def __init__(self) -> None:
        super().__init__()
        self._bucket = TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE)
        self._last_error: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            if id(error) == self._last_error:
                return False
            self._last_error = id(error)
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
    logging.getLogger("headlight").setLevel(logging.INFO)

    def use_ours(logger: logging.Logger) -> None:
        # uvicorn's list of requests stays off: their addresses hold sentences.
        logger.handlers, logger.propagate = [] if logger.name == "uvicorn.access" else [handler], False

    # Streamlit gives each of its loggers, and each of uvicorn's, a handler of its own by this function.
    streamlit.logger.setup_formatter = use_ours
    streamlit.logger.update_formatter()
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        use_ours(logging.getLogger(name))


def without_progress_bars() -> None:
    """Keep the bars that transformers draws while it loads a model out of the log."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
