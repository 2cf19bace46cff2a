"""Who connects and sends no whole request is cut; who waits between requests of a WebSocket is not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from hosted import free_port
from uvicorn.protocols.http.h11_impl import H11Protocol
from websockets.sync.client import connect

from hosting import connections

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says ok, and echoes what comes over a WebSocket."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that cuts after half a second; after an answer uvicorn itself would after a minute."""
    for name in ("connection_made", "on_response_complete"):
        monkeypatch.setattr(H11Protocol, name, getattr(H11Protocol, name))  # put back afterwards
    connections.cut_silent_ones(within=0.5)
    config = uvicorn.Config(
        app,
        port=(own := free_port()),
        http="h11",
        ws="websockets-sansio",
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield own
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2], REQUEST + b"GET /again HT"])
def test_who_sends_no_whole_request_is_cut(port: int, sent: bytes) -> None:
    begun, said = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(sent)
        while part := client.recv(1000):
            said += part
        assert time.monotonic() - begun > 0.4 and said.count(b"200 OK") == sent.count(b"\r\n\r\n")


def test_a_websocket_may_be_quiet(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/") as visitor:
        time.sleep(1.2)
        visitor.send("still here")
        assert visitor.recv(timeout=30) == "still here"
