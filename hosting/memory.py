"""How the process gives memory and descriptors back, and how it ends where it hangs."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import sys
import tempfile
from pathlib import Path
from typing import Any

FROZEN_FOR = 60  # seconds without a turn of the event loop, after which the process ends, to be started again
_STACKS = Path(tempfile.gettempdir()) / "headlight-frozen.txt"


def give_back() -> None:
    """Have glibc return large arrays to the system when they are freed; elsewhere this does nothing.

    It would keep them for later: with long sentences from many visitors that was a third of the process. The names are
    mallopt(3)'s M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-3, 256 * 1024), (-1, 1024 * 1024), (-8, 2)):
            mallopt(option, value)


def allow_descriptors(sessions: int) -> int:
    """Raise the limit on open files as far as the system lets us; gives how many sessions it suffices for.

    A session takes four: its socket, and three of its script's event loop. 300 are for files, downloads and uploads.
    """
    if sys.platform == "win32":
        return sessions
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        wanted = 8 * sessions + 300  # as many again have just left and are kept for a while
        soft = max(soft, wanted if hard == resource.RLIM_INFINITY else min(hard, wanted))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(10, (soft - 300) // 8)


class Heap:
    """The C library's heap: what is free in it between blocks that live on goes back where it has grown.

    A long sentence's answer leaves tens of megabytes in such holes, which count as the process's until they are used.
    Where there is no malloc_trim(3), nothing happens.
    """

    GROWN = 16 << 20  # bytes since it was trimmed last

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        self._trimmed_at = 0

    def trim(self) -> None:
        """In a millisecond, where the process has grown; otherwise it is only looked at."""
        if self._trim is not None and resident() > self._trimmed_at + self.GROWN:
            self._trim(0)
            self._trimmed_at = resident()


def resident() -> int:
    """Bytes of this process in memory, on Linux."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def maintain(runtime: Any, every: float = 5.0) -> None:
    """As long as the server runs: drop expired sessions, and note that the event loop still turns.

    Streamlit forgets an old session only when another one comes or goes; each holds three descriptors until then. A
    process whose event loop has stood still for a minute is ended by a thread of C, which needs no lock of Python's;
    where its threads stood is written to a file, for the next start to log.
    """
    with _STACKS.open("w") as stacks:
        try:
            while True:
                faulthandler.dump_traceback_later(FROZEN_FOR, exit=True, file=stacks)
                expire = getattr(getattr(runtime._session_mgr._session_storage, "_cache", None), "expire", None)
                if expire is not None:
                    expire()
                await asyncio.sleep(every)
        finally:
            faulthandler.cancel_dump_traceback_later()


def stacks_of_last_freeze() -> str:
    """Where the threads stood when the last process was ended for standing still, or nothing."""
    return _STACKS.read_text(encoding="utf-8", errors="replace")[-8000:] if _STACKS.exists() else ""
