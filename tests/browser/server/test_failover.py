"""Two instances behind nginx: one is killed, and the visitor's page comes back on the other with the same view."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hosted import NGINX, Server, answer, behind_nginx, hosted
from playwright.sync_api import Browser, Response
from server import PATIENCE

VIEW = {"v": "1", "model": "minilm", "text": "the keys to the cabinet are on the table", "layer": "3", "head": "7"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Server]]:
    """Port → a running instance, started as the container starts it."""
    folder = tmp_path_factory.mktemp("instances")
    with hosted(folder) as first, hosted(folder) as second:
        yield {first.port: first, second.port: second}


@pytest.fixture(scope="module")
def balancer(instances: dict[int, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The shipped nginx before both: its address, and the folder of its logs."""
    if not Path(NGINX).exists():
        missing = "nginx is not installed (Debian: apt-get install nginx-light)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    folder = tmp_path_factory.mktemp("nginx")
    with behind_nginx(folder, list(instances)) as address:
        yield address, folder


def test_every_answer_has_the_security_headers(instances: dict[int, Server]) -> None:
    port = next(iter(instances))
    for path in ("/", "/_stcore/health", "/ready", "/find_heads"):
        status, headers = answer(f"http://127.0.0.1:{port}{path}")
        sent = {name.lower(): value for name, value in headers.items()}
        assert status == 200
        assert "default-src 'self'" in sent["content-security-policy"]
        assert (sent["referrer-policy"], sent["x-content-type-options"]) == ("no-referrer", "nosniff")


def test_the_page_comes_back_on_the_other_instance(
    balancer: tuple[str, Path], instances: dict[int, Server], any_browser: Browser
) -> None:
    address, logs = balancer
    page = any_browser.new_page()
    page.set_default_timeout(PATIENCE)
    first = _instance_of(page.goto(f"{address}/?{urlencode(VIEW)}"))
    assert page.context.cookies()[0]["name"] == "headlight_instance"
    page.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
    lead = page.locator(".hl-lead").inner_text()
    assert "head 3.7" in lead
    assert _instance_of(page.reload()) == first

    instances[first].kill()
    assert _instance_of(page.reload()) != first
    page.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
    assert page.locator(".hl-lead").inner_text() == lead
    assert page.get_by_label("Sentence").input_value() == VIEW["text"]
    page.context.close()
    # nginx has seen an instance down, which it tells without the sentence and without the visitor's address.
    told = "".join(file.read_text() for file in logs.glob("*.log"))
    assert "cabinet" not in told and '"client"' not in told and "127.0.0.1, server" not in told


def _instance_of(answer: Response | None) -> int:
    assert answer is not None
    return int(answer.headers["x-instance"].rsplit(":", 1)[1])
