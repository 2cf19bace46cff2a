"""What an operator may set from outside, all of it through environment variables; read when asked, never kept.

| variable          | default | meaning |
| ----------------- | ------- | ------- |
| HEADLIGHT_MODE    | local   | `public`: visitors get the catalogue's models only, no folder and no other hub model |
| HEADLIGHT_MODEL_MB | 2000   | how many megabytes of loaded models the app keeps |
| HEADLIGHT_TRACE_MB | 200    | how many megabytes of traces the app keeps |
| HF_HUB_OFFLINE    |         | `1`: never ask the hub; models that were downloaded before still load |
| HF_ENDPOINT, HF_HOME |      | the hub's address, and where downloads are kept |
"""

from __future__ import annotations

import os
from pathlib import Path


def is_public() -> bool:
    """Whether strangers use this server. A word that is neither mode is refused: a typing error must open no door."""
    mode = os.environ.get("HEADLIGHT_MODE", "local")
    if mode not in ("local", "public"):
        raise ValueError(f"HEADLIGHT_MODE is {mode!r}; it can be 'local' or 'public'")
    return mode == "public"


def is_offline() -> bool:
    """Whether the hub must not be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


def assets_folder() -> Path:
    """Where weights and other files that come with Headlight lie: beside the package, or inside an installed one."""
    here = Path(__file__).resolve().parent
    inside = here / "assets"
    return inside if inside.is_dir() else here.parent / "assets"
