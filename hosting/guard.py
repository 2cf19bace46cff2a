"""Nothing that one visitor sends stops the others: the limits between the network and Streamlit, as ASGI middleware.

A Streamlit session is one WebSocket. On it a browser sends `BackMsg`s: mostly "run the script again, with these widget
states". The guard bounds how many sockets are open, how large and how frequent their messages are, and which kinds of
message pass (hosting/sockets.py). What is too frequent waits, and who sends far too much is cut; what is too large is
dropped, and the visitor reads a sentence that says so. What was sent and is not read is bounded, too.
"""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from hosting import metrics, uploads
from hosting.files import in_parts
from hosting.limits import Held, Limits, Places, address_of
from hosting.sockets import AllSockets, GuardedSocket

log = logging.getLogger("headlight")

# Streamlit's own figures and its endpoint for programs are the operator's, see hosting/metrics.py.
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
UPLOAD, FILES = "/_stcore/upload_file/", "/media/"
FULL = "Many people are looking at this moment. Please try again in a minute."
BUSY_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    f"<title>Headlight</title><body><p>{FULL}</p></body></html>"
)


class Guard:
    """The middleware: `Middleware(Guard)`, outermost but for the headers."""

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self.app, self.limits = app, limits or Limits()
        self.sockets = Places(self.limits.sockets, self.limits.sockets_per_address)
        self.uploads = Places(self.limits.uploads, self.limits.uploads_per_address)
        self.files = Held(self.limits.file_bytes_unread, self.limits.file_bytes_unread_per_address)
        self.all_sockets = AllSockets(self.limits)

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
        elif path.startswith(FILES):
            refused = _come_later(PlainTextResponse(FULL, 503))
            app = in_parts(self.app, self.files, address, self.limits.file_within, refused)
            await app(scope, receive, send)
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
        guarded = GuardedSocket(self.all_sockets, address, receive, send)
        with self.sockets.taken_by(address), metrics.SESSIONS.track_inprogress(), guarded as socket:
            await self.app(scope, socket.receive, socket.send)


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
