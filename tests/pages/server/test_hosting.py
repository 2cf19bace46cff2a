"""The hosted app as a process of its own: it says nothing of what visitors type, and goes when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from websockets.exceptions import ConnectionClosed

from benchmarks.load import Visitor, plain

ROOT = Path(__file__).parents[3]
SECRET = "zanzibar"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """The hosted app with its model loaded: its address, its process, and what it writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "serve.py", *options],
            cwd=ROOT,
            env={**os.environ, "HEADLIGHT_MODE": "public", "HF_HUB_OFFLINE": "1"},
            stdout=out,
            stderr=out,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/ready")
        yield f"http://127.0.0.1:{port}", process, log
    finally:
        process.kill()
        process.wait(60)


def _wait_until_ready(address: str) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:  # not there yet, or 503: not ready
            time.sleep(0.2)
    raise TimeoutError(f"{address} did not answer")


def test_it_ends_at_once_when_told_to_in_the_middle_of_its_work_and_has_logged_no_sentence(
    server: tuple[str, subprocess.Popen[bytes], Path],
) -> None:
    address, process, log = server
    visitor = Visitor(address)
    assert SECRET in plain(visitor.ask(text=f"the way to {SECRET}", query=4))

    def survey() -> None:
        with pytest.raises(ConnectionClosed):  # a survey of all heads takes seconds, and never arrives
            visitor.ask("find_heads", find="kinds", text=f"{SECRET} is far")
        cut.set()

    cut, before = threading.Event(), log.read_text().count("forward pass")
    thread = threading.Thread(target=survey)
    thread.start()
    while log.read_text().count("forward pass") < before + 8:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)
    thread.join(30)
    written = log.read_text()
    assert cut.is_set() and "Traceback" not in written and SECRET not in written
    passes = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert {"model", "waited_s", "pass_s", "traces_kept", "bytes"} <= set(passes[0])


def test_a_page_that_fails_says_so_in_one_sentence_and_shows_nothing_of_the_cause() -> None:
    import serve
    from ui.shell.progress import show_failure

    def page() -> None:
        from ui.shell.progress import show_failure

        show_failure(ValueError("a <b>secret</b> of the machine"))

    run = AppTest.from_function(page, default_timeout=60).run()
    (said,) = (block.proto.body for block in run.get("html"))
    assert "Something went wrong here" in said and "secret" not in said
    assert [button.label for button in run.button] == ["Try again"]
    assert serve.app._on_script_error is show_failure


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps freed memory, and is told not to")
def test_memory_that_is_freed_goes_back_to_the_system() -> None:
    script = """
import ctypes, sys
import serve
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def pages(): return int(open("/proc/self/statm").read().split()[1])
blocks = [libc.malloc(4 << 20) for _ in range(64)]
for block in blocks: ctypes.memset(ctypes.c_void_p(block), 1, 4 << 20)
between = libc.malloc(300 << 10)  # the newest block keeps a heap from shrinking
full = pages()
for block in blocks: libc.free(block)
again = [libc.malloc(4 << 20) for _ in range(64)]  # glibc would have learnt to take these from its heap
for block in again: ctypes.memset(ctypes.c_void_p(block), 1, 4 << 20)
top = libc.malloc(100 << 10)
for block in again: libc.free(block)
print((full - pages()) * 4 >> 10)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert int(done.stdout) > 240, done.stderr  # megabytes, of 256
