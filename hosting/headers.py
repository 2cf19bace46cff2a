"""Security headers on every answer, and cookies that an embedded view needs behind TLS."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
SCRIPTS = "/_stcore/bidi-components/headlight."  # their names follow from their content: `ui/drawing/component.py`


@cache
def headers() -> dict[str, str]:
    """What every answer carries. Pages may be framed: an embedded view is one of the ways to share."""
    return {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'self'",
                # Streamlit's page has inline scripts, allowed by their hashes; a component with an inline script comes
                # as a blob; messages are read with WebAssembly, which is let compile without letting text become
                # JavaScript.
                f"script-src 'self' blob: 'wasm-unsafe-eval' {' '.join(hashes_of_inline_scripts())}",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                # What a visitor's microphone recorded is a blob of this page, which the recorder reads and plays.
                "connect-src 'self' blob:",
                "media-src 'self' blob:",
                "worker-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'self'",
                "form-action 'self'",
            )
        ),
        "Referrer-Policy": "no-referrer",  # the address holds the visitor's sentence
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def hashes_of_inline_scripts() -> list[str]:
    """'sha256-…' of each inline script in the page that the installed Streamlit serves."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    return [_hash(script) for script in _INLINE.findall(page)]


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


class SecurityHeaders:
    """Put `headers()` on every HTTP answer; behind TLS, let a foreign frame keep our cookies, for itself alone.

    Browsers send a cookie from a frame in another site only with `SameSite=None; Secure; Partitioned`. Without it an
    embedded view could upload nothing, and its requests would reach different instances.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        behind_tls = scope.get("scheme") == "https"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if behind_tls:
                    message["headers"] = [
                        (name, partitioned(value) if name.lower() == b"set-cookie" else value)
                        for name, value in message["headers"]
                    ]
                MutableHeaders(scope=message).update(headers())
                if message["status"] == 200 and SCRIPTS in scope["path"]:
                    MutableHeaders(scope=message)["Cache-Control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def partitioned(cookie: bytes) -> bytes:
    """A Set-Cookie line that holds in a foreign frame, one partition a site.

    >>> partitioned(b"a=1; Path=/; SameSite=Lax; HttpOnly")
    b'a=1; Path=/; HttpOnly; SameSite=None; Secure; Partitioned'
    """
    kept = [
        part.strip()
        for part in cookie.split(b";")
        if part.strip().lower().partition(b"=")[0] not in (b"samesite", b"secure", b"partitioned")
    ]
    return b"; ".join([*kept, b"SameSite=None", b"Secure", b"Partitioned"])
