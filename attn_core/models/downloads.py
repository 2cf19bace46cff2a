"""A download on its way: how far it is, and its end where it only trickles.

A line that hardly brings anything would keep its visitor, a thread and a connection for ever.

The hub's library waits ten seconds for the next bytes and is content with one; so each answer is watched while it is
read, and one that brings less than SLOWEST bytes a second over MINUTE seconds raises NoNetwork.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
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


def told_in_order(progress: Callable[..., None], whole: int) -> Callable[[float], None]:
    """A function that reports the bytes so far to `progress`; files arrive side by side, and the number never falls."""
    lock, most = threading.Lock(), 0.0

    def told(so_far: float) -> None:
        nonlocal most
        with lock:
            most = max(most, min(so_far, whole))
            progress(f"downloading, {most / 1e6:.0f} of {whole / 1e6:.0f} MB", most / whole if whole else 1.0)

    return told


def byte_counter(told: Callable[[float], None]) -> type:
    """A progress bar, as the hub's library wants it, that prints nothing and tells the bytes so far.

    The library makes several bars at once; the one that counts what reached the disk is described as "Reconstructing".
    """
    from tqdm.auto import tqdm

    class Counter(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.so_far = 0.0
            self.counts = str(kwargs.get("desc")).startswith("Reconstructing")
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.so_far += n or 0
            if self.counts:
                told(self.so_far)
            return bool(super().update(n))

    return Counter
