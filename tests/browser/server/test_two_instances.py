"""Two instances behind nginx: a class comes at once, a frame in another site works, and one instance may die."""

from __future__ import annotations

import html
import http.client
import http.server
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import streamlit
from hosted import NGINX, Server, answer, behind_nginx, free_port, hosted
from playwright.sync_api import Browser, Response, expect
from server import PATIENCE
from views import PAGES

from benchmarks.load import Visitor, headline

# Of every script, chart and table that a page brings, one page has it; the others are opened by test-full.
OFTEN = ["", "cross_attention", "find_heads", "parameters", "predict_first", "step_by_step", "training"]
SELDOM = [page for page in PAGES if page not in OFTEN]
VIEW = {"v": "1", "model": "minilm", "text": "the keys to the cabinet are on the table", "layer": "3", "head": "7"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], dict[int, Server]]]:
    """Gives port → a running instance, started as the container starts it. One that a test ended starts again."""
    folder, found = tmp_path_factory.mktemp("instances"), dict[int, Server]()
    with ExitStack() as running:

        def give() -> dict[int, Server]:
            for port in [*found] or [free_port(), free_port()]:
                if port not in found or found[port].process.poll() is not None:
                    found[port] = running.enter_context(hosted(folder, port=port))
            return found

        yield give


@pytest.fixture
def instances(both: Callable[[], dict[int, Server]]) -> dict[int, Server]:
    return both()


@pytest.fixture(scope="module")
def needs_nginx() -> None:
    if not Path(NGINX).exists():
        missing = "nginx is not installed (Debian: apt-get install nginx-light)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.fixture(scope="module")
def balancer(
    needs_nginx: None, both: Callable[[], dict[int, Server]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the shipped nginx before both."""
    with behind_nginx(tmp_path_factory.mktemp("nginx"), list(both())) as address:
        yield address


def test_every_answer_has_the_security_headers(instances: dict[int, Server]) -> None:
    port = next(iter(instances))
    for path in ("/", "/_stcore/health", "/ready", "/find_heads"):
        status, headers = answer(f"http://127.0.0.1:{port}{path}")
        sent = {name.lower(): value for name, value in headers.items()}
        assert status == 200
        assert "default-src 'self'" in sent["content-security-policy"]
        assert (sent["referrer-policy"], sent["x-content-type-options"]) == ("no-referrer", "nosniff")


def files_of_the_page() -> list[str]:
    """Most of the many files that a browser asks for when it opens the app for the first time."""
    static = Path(streamlit.__file__).parent / "static" / "static"
    return [f"/static/{file.relative_to(static).as_posix()}" for file in sorted(static.rglob("*")) if file.is_file()][
        :40
    ]


def test_a_class_of_forty_behind_one_address_opens_the_page_at_once(
    instances: dict[int, Server], balancer: str
) -> None:
    statuses: Counter[int] = Counter()
    leads: list[str] = []
    files = files_of_the_page()

    def pupil(number: int) -> None:
        host = http.client.HTTPConnection(balancer.removeprefix("http://"), timeout=250)
        for path in ("/", "/_stcore/health", "/_stcore/host-config", *files, *(f"/?pupil={i}" for i in range(10))):
            host.request("GET", path, headers={"Accept": "*/*"})
            answered = host.getresponse()
            answered.read()
            statuses[answered.status] += 1
        host.close()
        leads.append(headline(Visitor(balancer).ask(text=f"pupil {number} saw a blue creature", layer=0, head=3)))

    threads = [threading.Thread(target=pupil, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert statuses == {200: 40 * (len(files) + 13)}
    assert len(leads) == 40 and all("head 0.3" in lead for lead in leads)


@pytest.mark.parametrize("pages", [OFTEN, pytest.param(SELDOM, marks=pytest.mark.full)], ids=["often", "seldom"])
def test_every_page_works_under_the_content_security_policy(
    instances: dict[int, Server], any_browser: Browser, pages: list[str]
) -> None:
    context = any_browser.new_context(viewport={"width": 1280, "height": 1500})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    for name in pages:
        page.goto(f"http://127.0.0.1:{next(iter(instances))}/{name}")
        page.locator(".hl-lead").first.wait_for()
        app = page.locator("[data-testid=stApp]")
        expect(app).not_to_have_attribute("data-test-script-state", "running")  # no wait_for_function: it needs eval
        expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
        drawn = page.locator("canvas, [data-testid=stPlotlyChart] .plot-container, svg")
        expect(drawn.first).to_be_attached()
    assert said == []
    context.close()


@contextmanager
def another_site(frame: str) -> Iterator[str]:
    """A page of another site with a frame in it: `localhost` is not the site `127.0.0.1`."""

    class Outer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            link = html.escape(f"{frame}?{self.path.partition('?')[2]}")
            self.wfile.write(f'<iframe src="{link}" style="width:1250px;height:1450px"></iframe>'.encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_a_frame_in_another_site_saves_a_view_and_opens_it_again(
    instances: dict[int, Server], any_browser: Browser, tmp_path: Path
) -> None:
    with behind_nginx(tmp_path, list(instances), tls=True) as address, another_site(f"{address}/") as lesson:
        context = any_browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 1500})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        uploads: list[int] = []
        page.on("response", lambda said: uploads.append(said.status) if "upload_file" in said.url else None)
        page.goto(f"{lesson}?{urlencode(VIEW)}")
        app = page.frame_locator("iframe")
        app.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
        app.get_by_role("button", name="Save", exact=True).click()
        # Streamlit asks for the file once before it lets the browser download it; the download itself would stop at
        # the certificate, which nobody trusts.
        with page.expect_response(lambda said: "/media/" in said.url and said.url.endswith(".html")) as answered:
            app.get_by_role("button", name="HTML", exact=True).click()
        assert answered.value.status == 200
        saved = tmp_path / "view.html"
        saved.write_bytes(answered.value.body())
        page.goto(f"{lesson}?{urlencode({**VIEW, 'layer': '1', 'head': '2'})}")
        app.get_by_role("heading", name="Layer 1 · head 2", exact=True).wait_for()
        app.get_by_role("button", name="Save", exact=True).click()
        app.locator("input[type=file]").set_input_files(saved)
        app.get_by_role("heading", name="Layer 3 · head 7", exact=True).wait_for()
        assert uploads and set(uploads) <= {200, 204}
        cookies = {cookie["name"]: cookie for cookie in context.cookies(address)}
        assert all(cookies[name]["sameSite"] == "None" for name in ("headlight_instance", "_streamlit_xsrf"))
        context.close()


def test_the_page_comes_back_on_the_other_instance(
    needs_nginx: None, instances: dict[int, Server], tmp_path: Path, any_browser: Browser
) -> None:
    """It ends one of them."""
    with behind_nginx(tmp_path, list(instances)) as address:
        _fails_over(instances, address, any_browser)
    # nginx has seen an instance down, which it tells without the sentence and without the visitor's address.
    told = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert "cabinet" not in told and '"client"' not in told and "127.0.0.1, server" not in told


def _fails_over(instances: dict[int, Server], address: str, any_browser: Browser) -> None:
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
    expect(page.get_by_label("Sentence")).to_have_value(VIEW["text"])
    page.context.close()


def _instance_of(answer: Response | None) -> int:
    assert answer is not None
    return int(answer.headers["x-instance"].rsplit(":", 1)[1])
