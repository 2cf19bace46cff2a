"""A process that stands still ends itself, so that whoever watches over it starts another; free memory goes back."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosted import ROOT

SCRIPT = """
import asyncio, time
from types import SimpleNamespace
from hosting import memory

memory.FROZEN_FOR = {within}

def stands_still():
    time.sleep(120)

async def main():
    runtime = SimpleNamespace(_session_mgr=SimpleNamespace(_session_storage=None))
    watch = asyncio.create_task(memory.maintain(runtime, every=0.2))
    await asyncio.sleep({turns})
    print("lived", flush=True)
    {then}

asyncio.run(main())
print("ended by itself")
"""


def run(folder: Path, then: str, turns: float, within: float) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(then=then, turns=turns, within=within)
    own = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=own, capture_output=True, text=True, timeout=110
    )


def test_a_frozen_event_loop_ends_the_process_and_the_next_start_tells_where_it_stood(tmp_path: Path) -> None:
    done = run(tmp_path, "stands_still()", turns=1, within=2)
    assert (done.returncode, done.stdout) == (1, "lived\n"), done.stderr
    told = subprocess.run(
        [sys.executable, "-c", "from hosting import memory; print(memory.stacks_of_last_freeze())"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "in stands_still" in told


def test_an_event_loop_that_turns_is_left_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "watch.cancel()", turns=6, within=5)
    assert (done.returncode, done.stdout) == (0, "lived\nended by itself\n"), done.stderr


HOLES = """
import ctypes
from hosting import memory

libc, n, size = ctypes.CDLL(None), 1000, 100_000
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [libc.malloc(size) for _ in range(n)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, size)
for place, block in enumerate(blocks):
    if place % 10:
        libc.free(block)  # every tenth lives on, so the heap does not shrink
heap, before = memory.Heap(), memory.resident()
heap.trim()
print(before - memory.resident())
heap._trim = lambda _: print("again")
heap.trim()
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives such memory back when asked"
)
def test_what_is_free_between_blocks_that_live_on_goes_back_once() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], cwd=ROOT, capture_output=True, text=True, check=True)
    (returned,) = map(int, done.stdout.split())  # and nothing where the process has not grown since
    assert returned > 45_000_000  # of 90
