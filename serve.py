"""Headlight as a hosted app: `streamlit run serve.py`. The same pages as app.py, and what a public server needs.

* Strangers use it: `HEADLIGHT_MODE` is `public` unless the operator says `local`.
* `/ready` says 200 once the bundled model is loaded and 503 until then; `/_stcore/health` says that the process lives.
* `hosting/guard.py` bounds what one visitor may send, `hosting/connections.py` for how long one may send nothing.
* `hosting/headers.py` lets a page speak to this host alone.
* `hosting/logs.py`: one JSON line an event on stderr, never a sentence. `hosting/metrics.py`: figures, on another port.
* The bundled model is loaded at the start, not at the first visitor. A page that fails says so in one sentence.
* Freed memory goes back to the system, and a process that stands still is ended (`hosting/memory.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attn_core.settings import read_again
from hosting import connections, logs, memory, metrics, runs
from hosting.guard import Guard
from hosting.headers import SecurityHeaders
from hosting.limits import Limits, TokenBucket
from ui.server import loading, shared
from ui.shell.progress import show_failure

BUNDLED = "minilm"
os.environ.setdefault("HEADLIGHT_MODE", "public")
read_again()  # the settings: what was imported above may have read them
RETRIES = TokenBucket(rate=1 / 30, burst=1.0)  # of a load that failed; reading the weights takes a second
log = logging.getLogger("headlight")


async def ready(request: Request) -> JSONResponse:
    """Whether a visitor would be served at once, and why not.

    Whoever asks also starts a load that has not begun, and now and then one that has failed.
    """
    if loading.model(BUNDLED) is not None:
        return JSONResponse({"ready": True})
    job = loading.job(BUNDLED)
    if job is None or (job.done.is_set() and RETRIES.take_ready()):
        job = loading.open_model(BUNDLED)
    why = "could not be loaded: the log says why" if job.done.is_set() else "is being loaded"
    return JSONResponse({"ready": False, "why": f"the bundled model {why}"}, status_code=503)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    stacks = memory.stacks_of_last_freeze()
    if stacks:
        log.error("the last process stood still and was ended", extra={"numbers": {"stacks": stacks}})
    logs.without_progress_bars()
    metrics.watch(shared.STATE, lambda: loading.model(BUNDLED) is not None)
    metrics.start()
    loading.open_model(BUNDLED)
    watch = asyncio.create_task(memory.maintain(app._runtime))
    yield
    watch.cancel()


def limits() -> Limits:
    """The guard's limits, with no more sessions than the system has descriptors for."""
    asked = Limits()
    possible = memory.allow_descriptors(asked.sockets)
    if possible < asked.sockets:
        log.warning("fewer sessions: the limit on open files is low", extra={"numbers": {"sessions": possible}})
    return replace(asked, sockets=min(asked.sockets, possible))


memory.give_back()
connections.cut_silent_ones()
logs.to_stderr()
runs.lighten()
app = st.App(
    Path(__file__).with_name("app.py"),
    routes=[Route("/ready", ready)],
    middleware=[Middleware(logs.RequestId), Middleware(SecurityHeaders), Middleware(Guard, limits())],
    lifespan=lifespan,
    on_script_error=show_failure,
)
