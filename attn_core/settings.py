"""What an operator may set from outside, all of it through environment variables; read when asked, never kept.

| variable          | default | meaning |
| ----------------- | ------- | ------- |
| HEADLIGHT_MODE    | local   | `public`: visitors get the catalogue's models only, no folder and no other hub model |
| HEADLIGHT_MODELS  | all     | names of the catalogue, with commas between them; the bundled one is always there |
| HEADLIGHT_TOKENS  | 512     | how many tokens of a sentence are read at most |
| HEADLIGHT_MODEL_MB | 2000   | how many megabytes of loaded models the app keeps |
| HEADLIGHT_TRACE_MB | 200    | how many megabytes of traces the app keeps |
| HEADLIGHT_PASSES  | 2       | how many forward passes run at the same time |
| HEADLIGHT_QUEUE   | 32      | how many may wait for one; whoever comes later is told that we are busy |
| HEADLIGHT_WAIT    | 20      | for how many seconds at most |
| HF_HUB_OFFLINE    |         | `1`: never ask the hub; models that were downloaded before still load |
| HF_ENDPOINT, HF_HOME |      | the hub's address, and where downloads are kept |
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def is_public() -> bool:
    """Whether strangers use this server. A word that is neither mode is refused: a typing error must open no door."""
    mode = os.environ.get("HEADLIGHT_MODE", "local")
    if mode not in ("local", "public"):
        raise ValueError(f"HEADLIGHT_MODE is {mode!r}; it can be 'local' or 'public'")
    return mode == "public"


def number(name: str, default: int, most: int = 1_000_000) -> int:
    """A setting that is a whole number from 1 to `most`; ValueError names it where it is not."""
    said = os.environ.get(name, "").strip() or str(default)
    if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= most:
        raise ValueError(f"{name} is {said!r}; it can be a whole number from 1 to {most}")
    return int(said)


def token_limit() -> int:
    """How many tokens of a sentence are read at most; a model may read fewer."""
    return number("HEADLIGHT_TOKENS", 512, most=4096)


def offered(names: Iterable[str]) -> list[str]:
    """Those of a catalogue's names that visitors may choose; ValueError names one that is not in it."""
    names = list(names)
    wanted = [name.strip() for name in os.environ.get("HEADLIGHT_MODELS", "").split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f"{unknown[0]!r}, one of HEADLIGHT_MODELS, is not in the catalogue")
    return wanted or names


def is_offline() -> bool:
    """Whether the hub must not be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


def assets_folder() -> Path:
    """Where weights and other files that come with Headlight lie: beside the package, or inside an installed one."""
    here = Path(__file__).resolve().parent
    inside = here / "assets"
    return inside if inside.is_dir() else here.parent / "assets"
