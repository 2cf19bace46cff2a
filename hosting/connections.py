"""Connections over which no whole request comes are closed: uvicorn waits for ever for what a client does not send.

nginx does so before two instances; a container that stands alone has nobody before it, and as many such connections as
it may have open files would keep everybody out.
"""

from __future__ import annotations

from asyncio import Transport
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

WITHIN = 20.0  # seconds, for the first request and for each one after an answer


def cut_silent_ones(within: float = WITHIN) -> None:
    """From now on, and for all servers of this process."""
    made, answered = H11Protocol.connection_made, H11Protocol.on_response_complete

    def connection_made(self: H11Protocol, transport: Transport) -> None:
        made(self, transport)  # type: ignore[arg-type]
        self.loop.call_later(within, _close_where_nothing_came, self, None)

    def on_response_complete(self: H11Protocol) -> None:
        cycle = self.cycle
        answered(self)
        self.loop.call_later(within, _close_where_nothing_came, self, cycle)

    H11Protocol.connection_made = connection_made  # type: ignore[assignment, method-assign]
    H11Protocol.on_response_complete = on_response_complete  # type: ignore[method-assign]


def _close_where_nothing_came(protocol: H11Protocol, last: Any) -> None:
    """Close a connection whose last request is still the last; one that became a WebSocket is no more uvicorn's."""
    transport: Any = protocol.transport
    if protocol.cycle is last and not transport.is_closing() and transport.get_protocol() is protocol:
        transport.close()
