"""One visitor's WebSocket, guarded: what passes to Streamlit and when, and how much may lie here unread.

Both ways are decoupled from Streamlit: what a visitor sends is read as it comes and waits here, what Streamlit sends is
taken at once and waits here until the visitor has read it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.RootContainer_pb2 import RootContainer

from hosting import metrics
from hosting.limits import AddressBuckets, Held, Limits, TokenBucket
from hosting.turns import Turns

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
TOO_LARGE = (
    "This is more than the server takes at once (1 MB), so nothing was changed. "
    "What you typed is still there: shorten it, and press Enter."
)
TOO_LONG = (
    "Together the long texts that are open here are more than this server keeps, so nothing was changed. "
    "What you typed is still there: shorten it, and press Enter."
)
STAYS = 20.0  # seconds for which Streamlit keeps a session whose socket has closed: `disconnectedSessionTTL`
GATHERS = 0.003  # seconds that a message waits for those that come right after it, …
TOGETHER = 64_000  # … and bytes that go together
END_OF_A_RUN = 200  # bytes at most of the message that says it
WRONG, UNWELCOME = 1002, 1008  # WebSocket close codes
GONE, STORM = "websocket.disconnect", "headlight.storm"  # ASGI's word, and our own


@dataclass
class AllSockets:
    """What the sockets of a server share: who is open, and what they may use together."""

    limits: Limits
    open: set[GuardedSocket] = field(default_factory=set)

    def __post_init__(self) -> None:
        limits = self.limits
        self.addresses = AddressBuckets(limits.messages_per_second_per_address, limits.messages_at_once_per_address)
        self.typed = Held(limits.bytes_typed, limits.bytes_typed_per_address)
        self.runs = Turns(
            in_all=limits.runs_at_once,
            per_address=limits.runs_at_once_per_address,
            lent=limits.run_lent,
            late=limits.runs_late_per_address,
        )

    def make_room(self) -> None:
        """Cut whoever has the most that is not read, while all have too much of it."""
        while self.open and sum(socket.unread for socket in self.open) > self.limits.bytes_unread:
            max(self.open, key=lambda socket: socket.unread).cut()


class GuardedSocket:
    """One visitor's WebSocket: what passes to Streamlit, and when.

    Messages are read as they come and wait here, so that it is known at once when the visitor has gone: nobody works
    on what a closed socket sent before.
    """

    def __init__(self, others: AllSockets, address: str, receive: Receive, send: Send) -> None:
        self.limits, self.others, self.address = others.limits, others, address
        self._receive, self._send = receive, send
        self.bucket = TokenBucket(self.limits.messages_per_second, self.limits.messages_at_once)
        self.has_spoken = self.closed = False
        self._waiting: deque[Message] = deque()
        self._arrived, self._over = asyncio.Event(), asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.unread = self._last = 0  # bytes that Streamlit has sent and the visitor has not taken; of the last message
        self._leaving: deque[Message] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None  # when the writer begins
        self._typed = object()  # stands for what its session keeps, which outlives it

    def __enter__(self) -> GuardedSocket:
        self.others.open.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.others.open.discard(self)
        self.others.runs.give_back(self)
        for task in (self._reader, self._writer, self._later):
            if task is not None:
                task.cancel()
        asyncio.get_running_loop().call_later(STAYS, self.others.typed.release, self._typed)

    async def send(self, message: Message) -> None:
        """Take a message for the visitor; it waits here until those before it were read."""
        if self.closed:  # Streamlit may still be sending when the guard has ended it
            return
        if message["type"] != "websocket.send":
            await self._hurry()
            await self._send(message)
            return
        if ends_a_run(message.get("bytes") or b""):
            self.others.runs.give_back(self)
        self._leaving.append(message)
        self.unread += _size(message)
        self.others.make_room()
        if self._over.is_set() or self.unread - self._last > TOGETHER:
            await self._hurry()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(GATHERS, self._start)

    async def _hurry(self) -> None:
        """Let a visitor who reads be sent what waits before anything else is done."""
        self._start()
        await asyncio.sleep(0)

    def _start(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._leaving and (self._writer is None or self._writer.done()):
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Send what waits, together: each way to the system has its price."""
        try:
            with in_one_piece(getattr(self._send, "__self__", None)):
                while self._leaving:
                    await self._send(self._leaving[0])
                    # The one before it was read; this one lies where uvicorn keeps it.
                    self.unread -= self._last
                    self._last = _size(self._leaving.popleft())
        except Exception:  # the visitor has gone, as whoever reads is told
            self._drop()

    def _drop(self) -> None:
        self._leaving.clear()
        self.unread, self._last, self.closed = 0, 0, True

    def cut(self) -> None:
        """End a visitor who reads too little of what was asked for, and drop what waits."""
        metrics.REFUSED.labels("unread").inc()
        self._drop()
        if self._writer is not None:
            self._writer.cancel()
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)  # uvicorn's
        if transport is not None:
            transport.abort()  # closing it would wait until all was read
        self._waiting.append({"type": GONE, "code": UNWELCOME})
        self._over.set()
        self._arrived.set()

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
            if too_large or not self.others.typed.hold(self._typed, self.address, len(data)):
                metrics.DROPPED.labels("too large").inc()
                said = TOO_LARGE if too_large else TOO_LONG
                await self.send({"type": "websocket.send", "bytes": spoken(said)})
                continue
            if kind == "rerun_script":
                await self._unless_gone(self.others.runs.take(self, self.address))
                if self._over.is_set():
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
        wait = max(self.bucket.take(cost), self.others.addresses.take(self.address, cost))
        if wait:
            metrics.DELAYED.inc()
            await self._unless_gone(asyncio.sleep(wait))

    async def _unless_gone(self, awaited: Coroutine[Any, Any, None]) -> None:
        """Wait for something, or until the visitor has gone."""
        tasks = [asyncio.ensure_future(awaited), asyncio.ensure_future(self._over.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _end(self, code: int, why: str) -> Message:
        """Close the socket, and tell Streamlit that the visitor has gone."""
        metrics.REFUSED.labels(why).inc()
        await self.send({"type": "websocket.close", "code": code})
        self.closed = True
        return {"type": GONE, "code": code}


class Gathered:
    """A transport that keeps short writes and sends them together; in everything else it is the real one."""

    def __init__(self, real: asyncio.Transport) -> None:
        self.real, self.parts, self.size = real, list[bytes](), 0

    def write(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)
        if self.size > TOGETHER:
            self.flush()

    def flush(self) -> None:
        if self.parts:
            self.real.write(b"".join(self.parts))
            self.parts, self.size = [], 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextmanager
def in_one_piece(protocol: Any) -> Iterator[None]:
    """Inside, what uvicorn's protocol writes is gathered; at the end it has all gone to the system."""
    real = getattr(protocol, "transport", None)
    if real is None:  # not uvicorn
        yield
        return
    protocol.transport = gathered = Gathered(real)
    try:
        yield
    finally:
        protocol.transport = real
        gathered.flush()


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


def ends_a_run(data: bytes) -> bool:
    """Whether this message says that a page is drawn; one that is drawn anew at once has not ended."""
    message = ForwardMsg()
    try:
        message.ParseFromString(data if len(data) <= END_OF_A_RUN else b"")
    except DecodeError:
        return False
    status = message.script_finished if message.WhichOneof("type") == "script_finished" else None
    return status not in (None, ForwardMsg.FINISHED_EARLY_FOR_RERUN)


def spoken(sentence: str) -> bytes:
    """A message that makes Streamlit's own page show a sentence over itself for some seconds."""
    message = ForwardMsg()
    message.metadata.delta_path[:] = [RootContainer.EVENT, 0]
    message.delta.new_element.toast.body = sentence
    message.delta.new_element.toast.duration = 20
    return bytes(message.SerializeToString())
