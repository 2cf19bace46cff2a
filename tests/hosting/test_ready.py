"""What the hosted app answers before its model is loaded, and the headers of every answer, word for word."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit
from hosted import ROOT

from hosting import headers

# Asks for /ready as each state of the bundled model is reached, without loading anything; prints what it heard.
ASKS = """
import asyncio, json, serve
from ui.server import loading, shared

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
print(json.dumps(heard))
"""
COMING = {"ready": False, "why": "the bundled model is being loaded"}
FAILED = {"ready": False, "why": "the bundled model could not be loaded: the log says why"}


def test_ready_is_503_until_the_bundled_model_is_there() -> None:
    done = subprocess.run([sys.executable, "-c", ASKS], cwd=ROOT, capture_output=True, text=True, timeout=300)
    heard = json.loads(done.stdout.splitlines()[-1]) if done.stdout else done.stderr
    assert heard == [
        [503, COMING, 1],  # whoever asks starts the load
        [503, COMING, 1],
        [503, FAILED, 2],
        [503, FAILED, 2],
        [200, {"ready": True}, 2],
    ]


def inline_scripts() -> list[str]:
    """Hashes of what Streamlit's page has between its script tags."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    found = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found]


def test_the_security_policy_is_exactly_this() -> None:
    """Whatever is added lets a page speak to somebody, or run something, that it could not before."""
    scripts = " ".join(inline_scripts())
    assert headers.headers() == {
        "Content-Security-Policy": (
            "default-src 'self'; "
            f"script-src 'self' blob: 'wasm-unsafe-eval' {scripts}; "
            "style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; "
            "font-src 'self' data:; "
            "connect-src 'self' blob:; "
            "media-src 'self' blob:; "
            "worker-src 'self' blob:; "
            "object-src 'none'; "
            "base-uri 'self'; "
            "form-action 'self'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    assert scripts.count("'sha256-") >= 1


@pytest.mark.parametrize(("scheme", "status"), [("http", 200), ("https", 404)])
def test_every_answer_carries_them(scheme: str, status: int) -> None:
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"set-cookie", b"a=1; SameSite=Lax")]}
        )

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "scheme": scheme, "path": "/_stcore/bidi-components/headlight.x/a.js"}
    asyncio.run(headers.SecurityHeaders(app)(scope, None, send))
    got = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    assert {name: got[name.lower()] for name in headers.headers()} == headers.headers()
    assert got["set-cookie"] == (
        "a=1; SameSite=None; Secure; Partitioned" if scheme == "https" else "a=1; SameSite=Lax"
    )
    assert got.get("cache-control") == ("public, max-age=31536000, immutable" if status == 200 else None)
