"""What an operator watches, in Prometheus form, on a port of its own: `HEADLIGHT_METRICS_PORT`, 0 for none.

The port must stay inside: visitors reach neither it nor Streamlit's own figures. Nothing here names a visitor, an
address or a sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from attn_core.settings import settings

SESSIONS = Gauge("headlight_sessions", "Open sessions, one WebSocket each")
REFUSED = Counter("headlight_refused", "Sessions and uploads refused or ended, by reason", ["why"])
DROPPED = Counter("headlight_dropped_messages", "Messages of visitors that were not passed on, by kind", ["kind"])
DELAYED = Counter("headlight_delayed_messages", "Messages of visitors that came too fast, and waited")
ERRORS = Counter("headlight_errors", "Errors in the log, by who told them", ["logger"])
PASSES = Histogram("headlight_pass_seconds", "Forward passes, how long each took", ["model"])
WAITS = Histogram("headlight_pass_wait_seconds", "Forward passes, how long each waited for a place")
BUSY = Counter("headlight_busy", "Visitors who were told that too many compute at this moment")
WAITING = Gauge("headlight_passes_waiting_or_running", "Forward passes that run, or wait for a place")
CACHED = Gauge("headlight_cached_bytes", "Bytes of what is kept for everybody", ["what"])
READY = Gauge("headlight_ready", "1 where the bundled model is loaded")
LOG_LINES_DROPPED = Counter("headlight_log_lines_dropped", "Log lines beyond the allowed rate")


def start() -> None:
    """Answer on the port that was asked for, if one was."""
    port = settings().metrics_port
    if port:
        start_http_server(port, addr=settings().metrics_address)


def watch(state: Any, ready: Callable[[], bool]) -> None:
    """Tell the figures of what visitors share (`ui.server.shared.SharedState`), read when somebody asks."""
    queue = state.queue
    WAITING.set_function(lambda: queue._initial_value - queue._value)
    CACHED.labels("traces").set_function(lambda: state.traces._sized.currsize)
    CACHED.labels("models").set_function(lambda: state.models._sized.currsize)
    READY.set_function(ready)


def note(record: logging.LogRecord) -> None:
    """Count what a line of the log tells: passes, their times, busy moments, errors."""
    numbers = getattr(record, "numbers", {})
    if record.msg == "forward pass":
        PASSES.labels(numbers["model"]).observe(numbers["pass_s"])
        WAITS.observe(numbers["waited_s"])
    elif record.msg == "busy":
        BUSY.inc()
    if record.levelno >= logging.ERROR:
        ERRORS.labels(record.name).inc()
