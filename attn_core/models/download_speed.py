"""A download that only trickles is ended: it would keep its visitor, a thread and a connection for ever.

The hub's library waits ten seconds for the next bytes and is content with one; so each answer is watched while it is
read, and one that brings less than SLOWEST bytes a second over MINUTE seconds raises NoNetwork.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from httpx2 import Response, SyncByteStream

from attn_core.errors import NoNetwork

MINUTE = 60.0  # seconds
SLOWEST = 20_000  # bytes a second
TRICKLES = (
    "The line to the hub is too slow: less than {rate:.0f} kB a second came for {seconds:.0f} seconds. "
    "What came is kept: try again to go on from there."
)


class WatchedStream(SyncByteStream):
    """The body of an answer, as it was, until it becomes too slow."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        began, come = time.monotonic(), 0
        for part in self._stream:
            come += len(part)
            now = time.monotonic()
            if now - began >= MINUTE:
                if come < SLOWEST * (now - began):
                    raise NoNetwork(TRICKLES.format(rate=SLOWEST / 1000, seconds=MINUTE))
                began, come = now, 0
            yield part
            began += time.monotonic() - now  # what the reader does with it is not the line's time

    def close(self) -> None:
        self._stream.close()


def watch_downloads() -> None:
    """Have every answer to the hub's library watched, from now on."""
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _watch not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], _watch]}


def _watch(response: Response) -> None:
    response.stream = WatchedStream(response.stream)
