"""What an operator watches, in Prometheus form, on a port of its own: `HEADLIGHT_METRICS_PORT`, 0 for none.

The port must stay inside: visitors reach neither it nor Streamlit's own figures. Nothing here names a visitor, an
address or a sentence.
"""

from __future__ import annotations

import os

from prometheus_client import Counter, Gauge, start_http_server

SESSIONS = Gauge("headlight_sessions", "Open sessions, one WebSocket each")
REFUSED = Counter("headlight_refused", "Sessions and uploads refused or ended, by reason", ["why"])
DROPPED = Counter("headlight_dropped_messages", "Messages of visitors that were not passed on, by kind", ["kind"])
DELAYED = Counter("headlight_delayed_messages", "Messages of visitors that came too fast, and waited")
ERRORS = Counter("headlight_errors", "Errors in the log, by who told them", ["logger"])
LOG_LINES_DROPPED = Counter("headlight_log_lines_dropped", "Log lines beyond the allowed rate")


def start() -> None:
    """Answer on the port that was asked for, if one was."""
    port = int(os.environ.get("HEADLIGHT_METRICS_PORT", "0") or 0)
    if port:
        start_http_server(port, addr=os.environ.get("HEADLIGHT_METRICS_ADDRESS", "127.0.0.1"))
