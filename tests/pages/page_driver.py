"""Pages run as pages: open one by its link, and read what it says and what its canvases were given."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.figures.canvas.packet import unpack
from ui.server import loading
from ui.shell.folds import EVERY

ROOT = Path(__file__).parents[2]
# What a page shows instead of what it opens with, by its script: links that lead there.
VIEWS: dict[str, list[dict[str, str]]] = {
    "app.py": [{"model": "tiny-decoder", "text": "a hungry creature", "written": " creature"}],
    "pages/cross_attention.py": [{"task": "transcribe"}],
    "pages/find_heads.py": [{"find": "matter", "off": "0.3"}, {"find": "kinds"}],
    "pages/predict_first.py": [{"teacher": "1"}, {"teacher": "1", "uncovered": "1", "painted": "1_2"}],
    "pages/step_by_step.py": [{"step": "8", "guess_told": "1", "breaks": "no-w-o"}],
    "pages/teachers_kit.py": [{"sheet": "1"}],
    "pages/why_there.py": [{"why": "flow"}, {"why": "card"}],
}
PAGES = ["app.py", *sorted(f"pages/{file.name}" for file in (ROOT / "pages").glob("*.py"))]


def load(name: str) -> ac.Model:
    """A model, loaded where pages look for it too."""
    job = loading.open_model(name)
    assert job.done.wait(300) and job.error is None, job.error
    return loading.model(name).value()


def open_menus(page: AppTest) -> AppTest:
    """Save and Share stand open at the page's first run: what is in them is made only then."""
    page.session_state["save_open"] = page.session_state["share_open"] = True
    return page


def script_of(page: str) -> str:
    """A page's file by its name in the menu."""
    return "app.py" if page == "all_heads" else f"pages/{page}.py"


def open_page(
    page: str, *, menus: bool = False, every_fold: bool = False, embedded: bool = False, **params: object
) -> AppTest:
    """A page by its link, run once; with Save and Share open, all folds open, or in another site's frame, if said."""
    run = AppTest.from_file(str(ROOT / script_of(page)), default_timeout=300)
    if menus:
        open_menus(run)
    if every_fold:
        run.session_state[EVERY] = True
    if embedded:
        run.context = {**run.context, "is_embedded": True}
    for name, value in params.items():
        run.query_params[name] = str(value)
    return checked(run.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception
    return page


def html(page: AppTest) -> str:
    return "\n".join(block.proto.body for block in page.get("html"))


def text(page: AppTest) -> str:
    """Everything that the page says in HTML, as it is read."""
    return unescape(re.sub(r"<style.*?</style>|<[^>]*>", "", html(page), flags=re.S)).replace("\xa0", " ")


def everything(page: AppTest) -> str:
    """All that a page says anywhere: in text, in names for who cannot see it, in tables, charts and canvases."""
    named = re.findall(r"""\b(?:alt|title|aria-[a-z]+)=(?:"([^"]*)"|'([^']*)')""", html(page))
    said = [text(page), *(unescape(name).replace("\xa0", " ") for pair in named for name in pair)]
    said += [str(chart.proto) for chart in page.get("plotly_chart")]
    said += [f"{table.proto} {table.value.to_string()}" for table in page.dataframe]
    said += [json.dumps(header, ensure_ascii=False) for header, _ in packets(page).values()]
    said += [button.label for button in page.button]
    return " ".join(said)


def lead(page: AppTest) -> str:
    """The headline as it is read."""
    (found,) = re.findall(r'<h1 class="hl-lead">(.*?)</h1>', html(page))
    return unescape(re.sub(r"<[^>]*>", "", found)).replace("\xa0", " ")


def menu_links(page: AppTest) -> list[tuple[str, str]]:
    """Where the menu leads: pages' names, and what their addresses say."""
    found = [unescape(said).split("?") for said in re.findall(r'<a class="hl-page" href="([^"]+)"', html(page))]
    return [("all_heads" if name == "./" else name, said) for name, said in found]


def notes(page: AppTest) -> str:
    return unescape(" ".join(re.findall(r'<div class="hl-note"[^>]*>(.*?)</div>', html(page))))


def packets(page: AppTest) -> dict[str, tuple[dict, np.ndarray]]:
    """Every canvas picture by its name: its header, and the cells of panels [panel, query, key] or of a matrix."""
    found = {}
    for element in page.get("bidi_component"):
        raw = element.proto.bytes
        if len(raw) > 8:
            length = int.from_bytes(raw[:4], "little")
            header, body = unpack(raw[4 + length :])
            cells = np.array([])
            if header["picture"] == "panels":
                sides = [-(-header[side] // header["pool"]) for side in ("queries", "keys")]
                cells = np.frombuffer(body, "<f4").reshape(len(header["panels"]), *sides)
            elif header["picture"] == "cells":
                cells = np.frombuffer(body, "<f4").reshape(header["shape"])
            found[raw[4 : 4 + length].decode()] = (header, cells)
    return found


def figure(page: AppTest, name: str) -> dict:
    """A Plotly picture by its key."""
    (found,) = [c.proto for c in page.get("plotly_chart") if c.proto.id.endswith(f"-{name}")]
    return json.loads(found.spec)


def array(stored: object) -> np.ndarray:
    """A Plotly array as it travels: base64 or a list, None for a gap."""
    if isinstance(stored, dict):
        flat = np.frombuffer(base64.b64decode(stored["bdata"]), np.dtype(stored["dtype"]))
        return flat.reshape([int(n) for n in str(stored["shape"]).split(",")]) if "shape" in stored else flat
    return np.array(stored, dtype=object).astype(float)


def table(page: AppTest, column: str):
    """The one table that has a column."""
    (found,) = [frame.value for frame in page.dataframe if column in frame.value.columns]
    return found
