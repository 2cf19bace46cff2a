"""Headlight as a hosted app: `streamlit run serve.py`. The same pages as app.py, and what a public server needs.

* `/ready` says 200 once the bundled model is loaded and 503 until then; `/_stcore/health` says that the process lives.
* Security headers on every answer, with a Content-Security-Policy that lets the page speak to this host alone.
* The bundled model is loaded at the start, not at the first visitor.
* A page that fails says so in one sentence, and the log says how.
* Freed memory goes back to the system (see `give_memory_back`).
* One JSON line a forward pass on stderr: times, queue, cache; never a sentence.
"""

from __future__ import annotations

import ctypes
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server import cache as caches
from ui.shell.progress import show_failure

BUNDLED = "minilm"
HEADERS = {
    # Streamlit's own bundle needs inline styles, blob workers and `eval` (its charts compile their drawing code).
    # Pages may be framed: an embedded view is one of the ways to share.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' ws: wss: data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    ),
    "Referrer-Policy": "no-referrer",  # the address holds the visitor's sentence
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SecurityHeaders:
    """Put `HEADERS` on every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, what happened, and its numbers."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"time": self.formatTime(record), "level": record.levelname.lower(), "event": record.getMessage()}
        said |= getattr(record, "numbers", {})
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)


async def ready(request: Request) -> JSONResponse:
    """Whether a visitor would be served at once."""
    loaded = caches.model(BUNDLED) is not None
    return JSONResponse({"ready": loaded}, status_code=200 if loaded else 503)


def give_memory_back() -> None:
    """Have glibc return large arrays to the system when they are freed; elsewhere this does nothing.

    It would keep them for later: with long sentences from many visitors that was a third of the process. The names are
    mallopt(3)'s M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-3, 256 * 1024), (-1, 1024 * 1024), (-8, 2)):
            mallopt(option, value)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    log = logging.getLogger("headlight")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    caches.open_model(BUNDLED)
    yield


give_memory_back()
app = st.App(
    Path(__file__).with_name("app.py"),
    routes=[Route("/ready", ready)],
    middleware=[Middleware(SecurityHeaders)],
    lifespan=lifespan,
    on_script_error=show_failure,
)
