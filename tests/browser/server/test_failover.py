"""Two instances behind nginx: one is killed, and the visitor's page comes back on the other with the same view."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Response
from server import PATIENCE, ROOT

VIEW = {"v": "1", "model": "minilm", "text": "the keys to the cabinet are on the table", "layer": "3", "head": "7"}

pytestmark = pytest.mark.browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)
    except OSError:
        return 0, {}


def wait_until_ready(url: str) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while answer(url)[0] != 200:
        assert time.monotonic() < end, f"{url} did not answer"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def instances() -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Port → a running instance, started as the container starts it."""
    started = {}
    for port in (free_port(), free_port()):
        options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
        started[port] = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "serve.py", *options],
            cwd=ROOT,
            env={**os.environ, "HEADLIGHT_MODE": "public", "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        for port in started:
            wait_until_ready(f"http://127.0.0.1:{port}/ready")
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def balancer(instances: dict[int, subprocess.Popen[bytes]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shipped nginx.conf with this machine's ports in it, and a header that tells which instance answered."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(nginx).exists():
        missing = "nginx is not installed (Debian: apt-get install nginx-light)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    conf = (ROOT / "deploy" / "nginx.conf").read_text()
    for number, own in enumerate(instances, start=1):
        conf = conf.replace(f"headlight-{number}:8501", f"127.0.0.1:{own}")
    conf = conf.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    conf = conf.replace("add_header Set-Cookie", "add_header X-Instance $upstream_addr; add_header Set-Cookie")
    conf = re.sub(r"/tmp/nginx", f"{folder}/nginx", conf)
    (folder / "nginx.conf").write_text(conf)
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def test_every_answer_has_the_security_headers(instances: dict[int, subprocess.Popen[bytes]]) -> None:
    port = next(iter(instances))
    for path in ("/", "/_stcore/health", "/ready", "/find_heads"):
        status, headers = answer(f"http://127.0.0.1:{port}{path}")
        sent = {name.lower(): value for name, value in headers.items()}
        assert status == 200
        assert "default-src 'self'" in sent["content-security-policy"]
        assert (sent["referrer-policy"], sent["x-content-type-options"]) == ("no-referrer", "nosniff")


def test_the_page_comes_back_on_the_other_instance(
    balancer: str, instances: dict[int, subprocess.Popen[bytes]], any_browser: Browser
) -> None:
    page = any_browser.new_page()
    page.set_default_timeout(PATIENCE)
    first = _instance_of(page.goto(f"{balancer}/?{urlencode(VIEW)}"))
    assert page.context.cookies()[0]["name"] == "headlight_instance"
    page.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
    lead = page.locator(".hl-lead").inner_text()
    assert "head 3.7" in lead
    assert _instance_of(page.reload()) == first

    instances[first].kill()
    instances[first].wait()
    assert _instance_of(page.reload()) != first
    page.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
    assert page.locator(".hl-lead").inner_text() == lead
    assert page.get_by_label("Sentence").input_value() == VIEW["text"]
    page.context.close()


def _instance_of(answer: Response | None) -> int:
    assert answer is not None
    return int(answer.headers["x-instance"].rsplit(":", 1)[1])
