"""The JavaScript of the canvas pictures: one self-contained module each, the same in the app, a file and a notebook."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "assets"


@cache
def module(name: str) -> str:
    """The ES module of one picture, assets/<name>.js behind what all of them share.

    It exports `draw(root, packet, callbacks)` and, as default, a Streamlit component.
    """
    return "\n".join((ASSETS / f"{part}.js").read_text(encoding="utf-8") for part in ("drawing", name))


@cache
def view() -> str:
    """The ES module that tells a picture on the same page what to show of its cells."""
    return (ASSETS / "view.js").read_text(encoding="utf-8")
