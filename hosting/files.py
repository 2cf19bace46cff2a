"""Files that pages made leave in parts, and only so many bytes of them wait for those who read slowly.

A file is made in memory, and an answer would hold all of it until the last byte was read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hosting import metrics
from hosting.limits import Held

PART = 256_000  # bytes


def in_parts(app: ASGIApp, unread: Held, address: str, within: float, refused: Response) -> ASGIApp:
    """`app` with answers that leave a part at a time, each when the one before it was read.

    Where too many bytes wait already, the answer is `refused`; what is not read `within` seconds is cut off.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        begins: Message = {}
        holder = object()

        async def send_part(message: Message) -> None:
            nonlocal begins
            if message["type"] == "http.response.start":
                begins = message
                return
            body, more = message.get("body", b""), message.get("more_body", False)
            if begins and not unread.hold(holder, address, len(body), key=scope["path"]):
                metrics.REFUSED.labels("file").inc()
                await refused(scope, receive, send)
                raise _Refused
            if begins:
                begun, begins = begins, {}
                await send(begun)
            for start in range(0, len(body), PART):
                await send({"type": "http.response.body", "body": body[start : start + PART], "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": more})

        try:
            with suppress(TimeoutError, _Refused):
                await asyncio.wait_for(app(scope, receive, send_part), within)
        finally:
            unread.release(holder)

    return answer


class _Refused(Exception):
    """Raised inside the app when its answer was replaced by the refusal, so that it sends no more."""
