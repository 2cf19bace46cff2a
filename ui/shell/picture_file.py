"""Picture files, drawn by the visitor's own browser: the server sends a figure's description and Plotly's script.

The script and the faces of its letters go over HTTP, compressed and kept by the browser, once a visit; the description
goes with the page where it is short, and over HTTP where it is long. Nothing is drawn on the server, so there is no
queue and no browser there.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attn_core.figures import scripts
from attn_core.figures.paper.faces import faces
from ui import words
from ui.drawing.component import component

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from streamlit.runtime.media_file_manager import MediaFileManager

WORDS = words.beside(__file__)
LONGEST_ON_SOCKET = 32_000  # characters of a description; longer ones are fetched
PIXELS_A_UNIT = {"png": 3, "svg": 1}

_draw = component("picture_file", "\n".join(map(scripts.asset, ("app/faces.js", "app/picture_file.js"))))
_lock = threading.Lock()
_published: tuple[MediaFileManager, Addresses] | None = None


class Addresses(NamedTuple):
    """Where the browser fetches what every picture needs; each address follows from its content."""

    script: str  # Plotly's
    faces: str  # family → its face, as JSON


def draw(
    figure: go.Figure,
    kind: str,
    name: str,
    scale: float | None = None,
    at: float | None = None,
    key: str = "picture_file",
) -> None:
    """Have the visitor's browser draw a figure as "png" or "svg", once, and save it as `name`.

    `at`: when it was asked for, in seconds; the same wish may be sent again and is drawn once. `key`: the place where
    its progress is said; Save has the usual one.
    """
    description = figure.to_json(validate=False)
    size = {"width": figure.layout.width, "height": figure.layout.height, "scale": scale or PIXELS_A_UNIT[kind]}
    number = int(1_000 * (time.time() if at is None else at))
    wish = {"number": number, **_addresses()._asdict(), "kind": kind, "name": name, "size": size, "says": _says(name)}
    if len(description) <= LONGEST_ON_SOCKET:
        wish["spec"] = description
    else:
        wish["address"] = _media_files().add(
            description.encode(), "application/json", f"picture {number}", is_for_static_download=True
        )
    _draw(key=key, data=wish)


def _says(name: str) -> dict[str, str]:
    """What the browser says of a file on its way; `failed` keeps a slot for the browser's own message."""
    return {
        "drawing": WORDS.text("picture_file.drawing", name=name),
        "done": WORDS.text("picture_file.done", name=name),
        "failed": WORDS.text("picture_file.failed", name=name, error="{error}"),
        "no_script": WORDS.text("picture_file.no_script", name=name),
        "gone": WORDS.text("picture_file.gone", name=name),
    }


def keep_place(key: str = "picture_file") -> None:
    """Keep the place where a picture's progress is said, while none is wanted."""
    _draw(key=key, data=None)


def _addresses() -> Addresses:
    global _published
    with _lock:
        files = _media_files()
        if _published is None or _published[0] is not files:
            _published = (files, _outside_every_session(files))
        return _published[1]


def _outside_every_session(files: MediaFileManager) -> Addresses:
    """Publish both from a thread without a session: a session's files go when its page runs again."""
    import plotly

    script = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    letters = json.dumps(faces()).encode()
    found: list[Addresses] = []

    def publish() -> None:
        published = files.add(script, "text/javascript", "plotly"), files.add(letters, "application/json", "faces")
        found.append(Addresses(*published))

    thread = threading.Thread(target=publish)
    thread.start()
    thread.join()
    return found[0]


def _media_files() -> MediaFileManager:
    from streamlit import runtime

    return runtime.get_instance().media_file_mgr
