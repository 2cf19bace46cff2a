"""Our pictures and small scripts as Streamlit components whose JavaScript the browser fetches once, by its address.

    _cells = component("cells", scripts.module("cells"))
    _cells(key="heatmap", data=packet)

Streamlit sends a component's inline script again with every change of its data, 25 to 30 kB for a picture. A script in
a folder that a component declares is sent as its address; ours lie in a folder of this process, under names that follow
from their content.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from attn_core.settings import VERSION

OURS = "headlight"
_FOLDER = "scripts"
_lock = threading.Lock()  # two first visitors must not write one file


def component(name: str, script: str) -> Callable[..., Any]:
    """A component of ours, called as one of `st.components.v2.component`; `script` is an ES module.

    It is declared to Streamlit when it is first put on a page, and again where another server runs in this process.
    """
    file = f"{name}-{hashlib.sha256(script.encode()).hexdigest()[:16]}.js"

    @cache
    def renderer() -> Callable[..., Any]:
        return st.components.v2.component(f"{OURS}.{name}", js=file)

    def mount(**options: Any) -> Any:
        manager = get_bidi_component_manager()
        if manager.get_component_asset_root(f"{OURS}.{name}") is None:
            with _lock:
                (_root() / _FOLDER / file).write_text(script, encoding="utf-8")
                config = ComponentConfig(name=name, asset_dir=_FOLDER)
                manager.register_from_manifest(ComponentManifest(OURS, VERSION, [config]), _root())
                renderer()  # before another visitor's page may look for it
        return renderer()(**options)

    return mount


@cache
def _root() -> Path:
    """The folder of the components' scripts, which is removed when this process ends."""
    root = Path(_kept().name)
    (root / _FOLDER).mkdir()
    return root


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="headlight-")
