"""Nothing that one visitor sends stops the others: the limits between the network and Streamlit, as ASGI middleware.

A Streamlit session is one WebSocket. On it a browser sends `BackMsg`s: mostly "run the script again, with these widget
states". The guard bounds how many sockets are open, how large and how frequent their messages are, and which kinds of
message pass. What is too frequent waits, and who sends far too much is cut; what is too large is
dropped, and the visitor reads a sentence that says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.RootContainer_pb2 import RootContainer

from attn_core.settings import settings
from hosting import metrics, uploads
from hosting.limits import AddressBuckets, Places, TokenBucket, address_of

log = logging.getLogger("headlight")

# The kinds of message that pass, and how many tokens each costs; a download is made when it is asked for.
# `clear_cache` would empty what all visitors share, and the debug messages are not for them; the rest we never use.
WELCOME = {
    "rerun_script": 1.0,
    "stop_script": 1.0,
    "file_urls_request": 1.0,
    "app_heartbeat": 1.0,
    "dataframe_chunk": 1.0,
    "deferred_file": 10.0,
}
# Streamlit's own figures and its door for programs are the operator's, see hosting/metrics.py.
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
UPLOAD = "/_stcore/upload_file/"
TOO_LARGE = (
    "This is more than the server takes at once (1 MB), so nothing was changed. "
    "What you typed is still there: shorten it, and press Enter."
)
FULL = "Many people are looking at this moment. Please try again in a minute."
BUSY_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    f"<title>Headlight</title><body><p>{FULL}</p></body></html>"
)
WRONG, UNWELCOME = 1002, 1008  # WebSocket close codes
GONE, STORM = "websocket.disconnect", "headlight.storm"  # ASGI's word, and our own


@dataclass(frozen=True)
class Limits:
    """What the guard allows; the defaults suit a class of forty behind one address.

    Reruns come from clicks, keys and sliders: a held key sends about 30 a second, and waits then.
    """

    sockets: int = field(default_factory=lambda: settings().sessions)
    sockets_per_address: int = field(default_factory=lambda: settings().sessions_per_address)
    message_bytes: int = 1_000_000
    messages_per_second: float = 15.0
    messages_at_once: float = 45.0
    messages_waiting: int = 200  # of one socket; who sends more than it may wait for is cut
    bytes_waiting: int = 8_000_000
    messages_per_second_per_address: float = 60.0
    messages_at_once_per_address: float = 300.0
    first_message_within: float = 20.0  # seconds; a browser sends one at once
    uploads: int = 16
    uploads_per_address: int = 8
    upload_within: float = 60.0  # seconds


class Guard:
    """The middleware: `Middleware(Guard)`, outermost but for the headers."""

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self.app, self.limits = app, limits or Limits()
        self.sockets = Places(self.limits.sockets, self.limits.sockets_per_address)
        self.uploads = Places(self.limits.uploads, self.limits.uploads_per_address)
        self.addresses = AddressBuckets(
            self.limits.messages_per_second_per_address, self.limits.messages_at_once_per_address
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, address = scope["path"], address_of(scope)
        if path.startswith(CLOSED):
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        elif path.startswith(UPLOAD) and scope["method"] in ("PUT", "POST"):
            await self._upload(address, scope, receive, send)
        elif self.sockets.refusal(address) and _asks_for_a_page(scope):
            await _come_later(HTMLResponse(BUSY_PAGE, _status(self.sockets.refusal(address))))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _upload(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Few at a time, and not for ever. Their size is `server.maxUploadSize`, which Streamlit holds to."""
        if self.uploads.refusal(address):
            metrics.REFUSED.labels("upload").inc()
            await _come_later(PlainTextResponse(FULL, 429))(scope, receive, send)
            return
        answered = False

        async def send_and_note(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        with self.uploads.taken_by(address):
            try:
                await asyncio.wait_for(self.app(scope, receive, send_and_note), self.limits.upload_within)
            except TimeoutError:
                metrics.REFUSED.labels("slow upload").inc()
                if not answered:
                    await PlainTextResponse("This upload took too long.", 408)(scope, receive, send)
        uploads.make_room()

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = address_of(scope)
        if _is_of_another_site(scope):
            metrics.REFUSED.labels("origin").inc()
            await WebSocket(scope, receive, send).send_denial_response(PlainTextResponse("Not allowed", 403))
            return
        refusal = self.sockets.refusal(address)
        if refusal:
            metrics.REFUSED.labels(refusal).inc()
            log.info("a session was refused", extra={"numbers": {"why": refusal, "open": len(self.sockets)}})
            response = _come_later(PlainTextResponse(FULL, _status(refusal)))
            await WebSocket(scope, receive, send).send_denial_response(response)
            return
        with self.sockets.taken_by(address), metrics.SESSIONS.track_inprogress():
            socket = GuardedSocket(self, address, receive, send)
            try:
                await self.app(scope, socket.receive, socket.send)
            finally:
                socket.stop_reading()


class GuardedSocket:
    """One visitor's WebSocket: what passes to Streamlit, and when.

    Messages are read as they come and wait here, so that it is known at once when the visitor has gone: nobody works
    on what a closed socket sent before.
    """

    def __init__(self, guard: Guard, address: str, receive: Receive, send: Send) -> None:
        self.limits, self.addresses, self.address = guard.limits, guard.addresses, address
        self._receive, self._send = receive, send
        self.bucket = TokenBucket(self.limits.messages_per_second, self.limits.messages_at_once)
        self.has_spoken = self.closed = False
        self._waiting: deque[Message] = deque()
        self._arrived, self._over = asyncio.Event(), asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if not self.closed:  # Streamlit may still be sending when the guard has ended it
            await self._send(message)

    def stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()

    async def receive(self) -> Message:
        """The next message that may pass."""
        while True:
            try:
                message = await asyncio.wait_for(
                    self._next(), None if self.has_spoken else self.limits.first_message_within
                )
            except TimeoutError:
                return await self._end(UNWELCOME, "silent")
            if message["type"] == STORM:
                return await self._end(UNWELCOME, "storm")
            if message["type"] != "websocket.receive":
                return message
            self.has_spoken = True
            data = message.get("bytes")
            if data is None:
                return await self._end(WRONG, "text")
            too_large = len(data) > self.limits.message_bytes
            kind = "" if too_large else kind_of(data)
            if kind is None:
                return await self._end(WRONG, "malformed")
            await self._in_turn(WELCOME.get(kind, 1.0))
            if self._over.is_set() and self._waiting[-1]["type"] in (GONE, STORM):
                continue  # the last message says that the visitor has gone, or must
            if too_large:
                metrics.DROPPED.labels("too large").inc()
                await self.send({"type": "websocket.send", "bytes": spoken(TOO_LARGE)})
                continue
            if kind in WELCOME:
                return message
            metrics.DROPPED.labels(kind).inc()

    async def _next(self) -> Message:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    async def _read(self) -> None:
        """Take messages as they come, until the visitor goes or too many wait."""
        while not self._over.is_set():
            message = await self._receive()
            too_many = len(self._waiting) >= self.limits.messages_waiting
            too_much = bool(self._waiting) and sum(map(_size, self._waiting)) > self.limits.bytes_waiting
            if message["type"] == GONE or too_many or too_much:
                self._waiting.clear()
                message = message if message["type"] == GONE else {"type": STORM}
                self._over.set()
            self._waiting.append(message)
            self._arrived.set()

    async def _in_turn(self, cost: float) -> None:
        """Wait until the socket and its address have so many tokens left, or the visitor has gone."""
        wait = max(self.bucket.take(cost), self.addresses.take(self.address, cost))
        if wait:
            metrics.DELAYED.inc()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), wait)

    async def _end(self, code: int, why: str) -> Message:
        """Close the socket, and tell Streamlit that the visitor has gone."""
        metrics.REFUSED.labels(why).inc()
        await self.send({"type": "websocket.close", "code": code})
        self.closed = True
        return {"type": GONE, "code": code}


def _size(message: Message) -> int:
    return len(message.get("bytes") or b"")


def kind_of(data: bytes) -> str | None:
    """Which kind of BackMsg this is ("" for an empty one), or None where it is none.

    One kind is a parcel of others, from a download to an installation on the server: what counts is what is in it.
    """
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    kind = message.WhichOneof("type") or ""
    if kind == "backend_operation_request":
        return message.backend_operation_request.WhichOneof("payload") or ""
    return kind


def spoken(sentence: str) -> bytes:
    """A message that makes Streamlit's own page show a sentence over itself for some seconds."""
    message = ForwardMsg()
    message.metadata.delta_path[:] = [RootContainer.EVENT, 0]
    message.delta.new_element.toast.body = sentence
    message.delta.new_element.toast.duration = 20
    return bytes(message.SerializeToString())


def _is_of_another_site(scope: Scope) -> bool:
    """Whether a page of another host opens this socket.

    Streamlit would let any page of a visitor's own localhost in, and ask another host for this server's address first.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    return origin is not None and urlsplit(origin).netloc != headers.get(b"host")


def _asks_for_a_page(scope: Scope) -> bool:
    """Whether somebody opens the app, and not one of the many files that a page consists of."""
    accepts = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    for_machines = scope["path"].startswith(("/_stcore/", "/ready"))
    return scope["method"] == "GET" and b"text/html" in accepts and not for_machines


def _status(refusal: str | None) -> int:
    """503 where this server is full, so that a balancer may try another; 429 where one address asks for too much."""
    return 503 if refusal == "full" else 429


def _come_later(response: Response) -> Response:
    response.headers["Retry-After"] = "60"
    return response
