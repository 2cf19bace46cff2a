"""The headers of every answer, word for word."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import pytest
import streamlit

from hosting import headers


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
