"""The hosted app as a process of its own: it says nothing of what visitors type, and goes when it is told to."""

from __future__ import annotations

import ctypes
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosted import ROOT, Server, hosted
from streamlit.testing.v1 import AppTest
from websockets.exceptions import ConnectionClosed

from benchmarks.load import Visitor, plain

SECRET = "volcano"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The hosted app with its model loaded."""
    with hosted(tmp_path) as running:
        yield running


def test_it_ends_at_once_when_told_to_in_the_middle_of_its_work_and_has_logged_no_sentence(server: Server) -> None:
    visitor = Visitor(server.address)
    assert SECRET in plain(visitor.ask(text=f"the way to {SECRET}", query=4))

    def ask_of_all_heads() -> None:
        with pytest.raises(ConnectionClosed):  # a survey of all heads takes seconds, and never arrives
            visitor.ask("find_heads", find="kinds", text=f"{SECRET} is far " * 60)
        cut.set()

    cut, before = threading.Event(), server.log.count("forward pass")
    thread = threading.Thread(target=ask_of_all_heads)
    thread.start()
    while server.log.count("forward pass") < before + 2:
        time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(120) in (0, -signal.SIGTERM)
    thread.join(120)
    assert cut.is_set() and "Traceback" not in server.log and SECRET not in server.log
    lines = [json.loads(line) for line in server.log.splitlines()]  # each of them, from the first to the last
    passes = [line for line in lines if line["event"] == "forward pass"]
    assert {"model", "waited_s", "pass_s", "traces_kept", "bytes", "session", "request"} <= set(passes[0])
    assert all(re.fullmatch("[0-9a-f]{8}", line["session"]) for line in passes)


# What a process that serves says of itself: how many sessions it lets in where few files may be open; what it answers
# to /ready as each state of the bundled model is reached, without loading anything; how much memory it gives back.
SERVES = """
import asyncio, ctypes, json, os, resource
os.environ.pop("HEADLIGHT_MODE", None)
from hosting import memory
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
few_files = [memory.allow_descriptors(250), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
import serve
from attn_core.settings import is_public
from ui.server import loading, shared
from ui.shell.progress import show_failure

opened = []
def open_model(name):
    opened.append(name)
    return shared.STATE.jobs.setdefault(name, shared.Job(name))
loading.open_model = open_model
loading.model = lambda name: there
there = None

def ask():
    answer = asyncio.run(serve.ready(None))
    return [answer.status_code, json.loads(answer.body), len(opened)]

heard = [ask(), ask()]  # cold, and still on its way
shared.STATE.jobs[serve.BUNDLED].done.set()
heard.append(ask())  # failed; the first question starts it again
heard.append(ask())  # and the next one does not
there = object()
heard.append(ask())

class Books(ctypes.Structure):  # mallinfo2(3): what the C library took from the system and what of it is free
    _fields_ = [(n, ctypes.c_size_t) for n in "arena _1 _2 _3 mapped _4 _5 used free _6".split()]

def freed():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.mallinfo2.restype = Books
    def taken():
        books = libc.mallinfo2()
        return books.arena + books.mapped
    blocks = [libc.malloc(4 << 20) for _ in range(64)]
    for block in blocks: ctypes.memset(ctypes.c_void_p(block), 1, 4 << 20)
    between = libc.malloc(300 << 10)  # the newest block keeps a heap from shrinking
    full = taken()
    for block in blocks: libc.free(block)
    again = [libc.malloc(4 << 20) for _ in range(64)]  # glibc would have learnt to take these from its heap
    for block in again: ctypes.memset(ctypes.c_void_p(block), 1, 4 << 20)
    top = libc.malloc(100 << 10)
    for block in again: libc.free(block)
    return full - taken() >> 20

said = {"public": is_public(), "shows failures": serve.app._on_script_error is show_failure}
said |= {"few files": few_files + [serve.limits().sockets], "ready": heard}
print(json.dumps(said | {"freed MB": freed() if hasattr(ctypes.CDLL(None), "mallinfo2") else None}))
"""
COMING = {"ready": False, "why": "the bundled model is being loaded"}
FAILED = {"ready": False, "why": "the bundled model could not be loaded: the log says why"}


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    """One process for all that is asked of it: to import the app takes seconds."""
    done = subprocess.run([sys.executable, "-c", SERVES], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_strangers_cannot_open_folders_where_nobody_said_what_the_server_is_for(served: dict[str, Any]) -> None:
    assert served["public"]


def test_a_page_that_fails_says_so_in_one_sentence_and_shows_nothing_of_the_cause(served: dict[str, Any]) -> None:
    def page() -> None:
        from ui.shell.progress import show_failure

        show_failure(ValueError("a <b>secret</b> of the machine"))

    run = AppTest.from_function(page, default_timeout=60).run()
    (said,) = (block.proto.body for block in run.get("html"))
    assert "Something went wrong here" in said and "secret" not in said
    assert [button.label for button in run.button] == ["Try again"]
    assert served["shows failures"]


def test_ready_is_503_until_the_bundled_model_is_there(served: dict[str, Any]) -> None:
    assert served["ready"] == [
        [503, COMING, 1],  # whoever asks starts the load
        [503, COMING, 1],
        [503, FAILED, 2],
        [503, FAILED, 2],
        [200, {"ready": True}, 2],
    ]


def test_where_few_files_may_be_open_fewer_sessions_are_let_in(served: dict[str, Any]) -> None:
    assert served["few files"] == [87, 1000, 87]


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc keeps freed memory, and has books of it"
)
def test_memory_that_is_freed_goes_back_to_the_system(served: dict[str, Any]) -> None:
    assert served["freed MB"] > 240  # of 256
