"""The JavaScript of the canvas pictures: one self-contained module each, the same in the app, a file and a notebook."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

ASSETS = Path(__file__).parents[2] / "assets"


@cache
def module(name: Literal["overview", "links"]) -> str:
    """The ES module of one picture: it exports `draw(root, packet, callbacks)` and a Streamlit component as default."""
    return "\n".join((ASSETS / f"{part}.js").read_text(encoding="utf-8") for part in ("drawing", name))


@cache
def view() -> str:
    """The ES module that tells a picture on the same page what to show of its cells."""
    return (ASSETS / "view.js").read_text(encoding="utf-8")
