"""The JavaScript of the canvas pictures: one self-contained module each, the same in the app, a file and a notebook."""

from __future__ import annotations

import json
import re
from functools import cache

from attn_core.settings import assets_folder
from attn_core.text.decoding import SPOKEN

ASSETS = assets_folder()
SHARED = (
    "canvas/numbers.js",
    "canvas/spoken.js",
    "canvas/drawing.js",
    "canvas/picture.js",
    "canvas/open_head.js",
)  # of all pictures, in this order
NAMES = f"const SPOKEN = {json.dumps(SPOKEN, ensure_ascii=False)};"  # of signs, for canvas/spoken.js
_COMMENT = re.compile(r"^[ \t]*/\*.*?\*/[ \t]*\n", re.MULTILINE | re.DOTALL)  # with lines of its own


@cache
def asset(name: str) -> str:
    """The text of one file in assets/."""
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def with_drawing(name: str) -> str:
    """The ES module of one file in assets/, behind what all canvas pictures share; without comments: it travels."""
    return _COMMENT.sub("", "\n".join([NAMES, *map(asset, SHARED), asset(name)]))


@cache
def with_elements(name: str, *shared: str) -> str:
    """The ES module of a page's small script, assets/app/<name>.js, behind what makes its elements and `shared`."""
    parts = ("canvas/spoken.js", "app/elements.js", *shared, f"app/{name}.js")
    return _COMMENT.sub("", "\n".join([NAMES, *map(asset, parts)]))


@cache
def module(name: str) -> str:
    """The ES module of one picture, assets/canvas/<name>.js.

    It exports `draw(root, packet, callbacks)` and, last of all, a Streamlit component as default.
    """
    return with_drawing(f"canvas/{name}.js")


@cache
def view_updates() -> str:
    """The ES module that tells a picture on the same page what to show of its cells."""
    return asset("canvas/view_updates.js")


@cache
def inline(*names: str, start: str) -> str:
    """Several pictures and the script that starts them, as one plain script for a file that fetches nothing.

    Each picture is `pictures.<name>(root, packet, callbacks)`, its `draw`.
    """
    drawn = [
        f"{name}: (() => {{\n{_without_exports(asset(f'canvas/{name}.js'))}\nreturn draw;\n}})()," for name in names
    ]
    pictures = "\n".join(["const pictures = {", *drawn, "};"])
    parts = [NAMES, *map(asset, SHARED), pictures, asset(f"offline/{start}.js")]
    return "\n".join(["(() => {", *parts, "})();"])


def _without_exports(source: str) -> str:
    return source.partition("\nexport default ")[0].replace("\nexport function draw(", "\nfunction draw(")
