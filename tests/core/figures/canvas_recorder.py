"""What a canvas picture draws, as data: its JavaScript runs in Node, on canvases that write down what they are asked.

`Recorder().draw("cells", packet)` gives a `Drawn`: boxes, frames, words and lines with their places and colours, what
stands beside them, and what a click told Python. Node is the one that Playwright brings.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright._impl._driver import compute_driver_executable

from attn_core.figures import colours, scripts

Record = dict[str, Any]
COLOURS = {"ink": "ink", "soft": "soft", "key": "key", "query": "query", "amber": "accent"}  # of style.css, by role


@dataclass(frozen=True)
class Drawn:
    """A picture's elements as they stand after all acts, and the calls that told Python something."""

    root: Record
    told: list[list[Any]]

    def all(self, wanted: str) -> list[Record]:
        """The elements of a class (".tile") or a tag ("button"), in their order."""
        return [
            node
            for node in _each(self.root)
            if (wanted[1:] in node["classes"] if wanted.startswith(".") else node["tag"] == wanted)
        ]

    def canvas(self, at: int = 0) -> list[Record]:
        """What was drawn on one canvas, in the order that it was drawn; a canvas of a legend counts too."""
        return self.all("canvas")[at]["drawn"]

    def on(self, what: str, at: int = 0) -> list[Record]:
        """What was drawn of one sort on a canvas: "rect", "frame", "text", "line", "hatch", "stamp" or "filled"."""
        return [record for record in self.canvas(at) if record["what"] == what]

    def says(self, wanted: str) -> list[str]:
        return [node["says"].replace("\u00a0", " ") for node in self.all(wanted)]


def _each(node: Record) -> Iterator[Record]:
    yield node
    for child in node.get("inside", []):
        if isinstance(child, dict):
            yield from _each(child)


def middle(box: list[float]) -> tuple[float, float]:
    """Where the middle of a box [x, y, width, height] lies."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def shades(found: list[list[str | None]], steps: list[str], shares: np.ndarray) -> bool:
    """Whether cells have the colours of these shares of a scale, and none where the share is NaN; else an assertion."""
    assert np.shape(found) == shares.shape
    for row, wanted in zip(found, shares, strict=True):
        for colour, share in zip(row, wanted, strict=True):
            assert (colour is None) == bool(np.isnan(share)), (colour, share)
            if colour is not None:
                right = colours.channels(colours.shade(steps, float(share)))
                np.testing.assert_allclose(colours.channels(colour), right, atol=2)
    return True


class Recorder:
    """One Node process that draws as many pictures as are asked of it; each begins on an empty page."""

    def __init__(self) -> None:
        node, _ = compute_driver_executable()
        script = Path(__file__).with_name("canvas_recorder.js")
        self._node = subprocess.Popen([node, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def draw(self, name: str, packet: bytes, **options: Any) -> Drawn:
        """A packet drawn by assets/canvas/<name>.js; `options` are view, theme, scale, width, ratio and acts.

        An act is (event, "selector:index", what the event says); "update" gives the picture a view, "theme" changes it.
        """
        script = (
            scripts.module(name)
            .partition("\nexport default ")[0]
            .replace("\nexport function draw(", "\nfunction draw(")
        )
        return Drawn(**self._ask(script=script, packet=base64.b64encode(packet).decode(), **options))

    def component(self, name: str, data: Record, *shared: str, theme: str = "light", **options: Any) -> Drawn:
        """A page's small script, assets/app/<name>.js behind `shared`, with its data; options as for `draw`."""
        script = scripts.with_elements(name, *shared).replace("export default function (", "function component(")
        roles = colours.roles(theme)
        own = {name: roles[role] for name, role in COLOURS.items()}
        return Drawn(**self._ask(script=script, data=data, theme=theme, colours=own, **options))

    def offline(self, page: str, **options: Any) -> Drawn:
        """A saved page, as its own script builds it; options as for `draw`."""
        found = re.search(r'id="headlight-numbers">(.*?)</script>\n<script>(.*)</script></body>', page, re.DOTALL)
        assert found
        return Drawn(**self._ask(script=found[2], numbers=found[1], **options))

    def run(self, script: str, given: Any) -> Any:
        """What a plain script returns of `given`."""
        return self._ask(run=script, given=given)

    def _ask(self, **case: Any) -> Any:
        assert self._node.stdin and self._node.stdout
        self._node.stdin.write(json.dumps(case) + "\n")
        self._node.stdin.flush()
        said = json.loads(self._node.stdout.readline())
        assert "is" in said, said["failed"]
        return said["is"]

    def close(self) -> None:
        assert self._node.stdin
        self._node.stdin.close()
        self._node.wait(10)
