"""The letters of saved pictures: faces that a vector file carries along, and that PNG and PDF are drawn with anywhere.

They are cut out of Source Sans, Source Serif and Source Code (SIL Open Font License 1.1) by .ci/subset_fonts.py and lie
in assets/fonts. Letters that they do not have, such as Chinese ones, are left to the machine that shows the file.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any

from attn_core.figures.scripts import ASSETS, asset

if TYPE_CHECKING:
    import plotly.graph_objects as go

FACES = {"Headlight Sans": "sans", "Headlight Serif": "serif", "Headlight Code": "code"}  # family → file


@cache
def faces() -> dict[str, str]:
    """By family, the whole face as an address that needs no fetching."""
    return {family: _as_data((ASSETS / "fonts" / f"{file}.woff2").read_bytes()) for family, file in FACES.items()}


def _as_data(face: bytes) -> str:
    return f"data:font/woff2;base64,{b64encode(face).decode()}"


def drawn_with_faces(figure: go.Figure, kind: str, **size: float) -> bytes:
    """A figure's file, "png", "svg" or "pdf", by kaleido's browser, with its faces; nothing is fetched for it.

    `size` is `width`, `height` and `scale`. Raises what kaleido raises where there is no browser.
    """
    import kaleido

    return bytes(
        kaleido.calc_fig_sync(figure.to_dict(), opts={"format": kind, **size}, kopts={"page_generator": _page()})
    )


def _page() -> Any:
    """Kaleido's page, in which Plotly's pictures get their faces; without MathJax, which it would fetch."""
    from kaleido import PageGenerator

    page = PageGenerator(mathjax=False)
    page.footer = f"<script>{_script()}</script>{PageGenerator.footer}"
    return page


@cache
def _script() -> str:
    return "\n".join([f"const headlightFaces = {json.dumps(faces())};", asset("app/faces.js"), asset("app/kaleido.js")])
