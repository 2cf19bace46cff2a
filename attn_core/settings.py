"""What an operator may set from outside, through environment variables: one frozen value, read once.

    settings().passes          # HEADLIGHT_PASSES, checked, or its default

All variables are read together when the first of them is asked for, so a typing error in any stops the start and is
named. Who changes the environment afterwards (a test) calls `read_again`. Each field says its variable, default,
range and meaning; docs/settings.md is compared with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

VERSION = "0.1.0"  # of the library and the app alike; pyproject.toml reads it from here
_YES = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class Variable:
    """Where a field of the settings comes from: `least` and `most` bound whole numbers, `one_of` lists words."""

    name: str
    meaning: str
    least: int = 1
    most: int = 1_000_000
    one_of: tuple[str, ...] = ()


def _from(name: str, default: Any, meaning: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"variable": Variable(name, meaning, **bounds)})


@dataclass(frozen=True)
class Settings:
    """Everything that an operator may set, typed and within its range."""

    mode: str = _from(
        "HEADLIGHT_MODE",
        "local",
        "`public`: visitors get the catalogue's models, no folder and no other hub model",
        one_of=("local", "public"),
    )
    models: tuple[str, ...] = _from(
        "HEADLIGHT_MODELS", (), "names of the catalogue, with commas between them; the bundled one is always there"
    )
    tokens: int = _from("HEADLIGHT_TOKENS", 512, "how many tokens of a sentence are read at most", most=4096)
    model_mb: int = _from("HEADLIGHT_MODEL_MB", 2000, "how many megabytes of loaded models the app keeps")
    trace_mb: int = _from("HEADLIGHT_TRACE_MB", 200, "how many megabytes of traces the app keeps")
    passes: int = _from("HEADLIGHT_PASSES", 2, "how many forward passes run at the same time")
    queue: int = _from(
        "HEADLIGHT_QUEUE",
        32,
        "how many of one address may wait for one, twice as many in all; whoever comes later is told that we are busy",
    )
    wait: int = _from("HEADLIGHT_WAIT", 20, "for how many seconds at most")
    page_tokens2: int = _from(
        "HEADLIGHT_PAGE_TOKENS2",
        0,
        "how much of Σ tokens² one page may read; 0: 600,000 in public, 16,000,000 locally",
        least=0,
        most=1_000_000_000,
    )
    study: int = _from(
        "HEADLIGHT_STUDY",
        0,
        "how many sentences a study of one page reads at most; 0: 200 in public, 10,000 locally",
        least=0,
        most=10_000,
    )
    link_characters: int = _from(
        "HEADLIGHT_LINK", 6000, "how many characters one value of a link has at most; longer ones stay out of it"
    )
    upload_mb: int = _from(
        "HEADLIGHT_UPLOAD_MB", 6, "how many megabytes a file has at most that is uploaded: a saved view, or sentences"
    )
    sessions: int = _from("HEADLIGHT_SESSIONS", 100, "how many visitors are served at the same time")
    sessions_per_address: int = _from("HEADLIGHT_SESSIONS_PER_ADDRESS", 80, "how many of them from one address")
    metrics_port: int = _from(
        "HEADLIGHT_METRICS_PORT", 0, "the port that answers what an operator watches; 0 for none", least=0, most=65_535
    )
    metrics_address: str = _from("HEADLIGHT_METRICS_ADDRESS", "127.0.0.1", "the address of that port")
    cache: str = _from(
        "HEADLIGHT_CACHE", "~/.cache/headlight", "where models out of packages and converted ones are kept"
    )
    offline: bool = _from("HF_HUB_OFFLINE", False, "`1`: never ask the hub; what was downloaded before still loads")


def variables() -> dict[str, Variable]:
    """Each field of the settings and where it comes from, in the order of docs/settings.md."""
    return {each.name: each.metadata["variable"] for each in fields(Settings)}


def read(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment says; ValueError names a variable whose value is none of those it can have."""
    said = {name: environment.get(variable.name, "").strip() for name, variable in variables().items()}
    given = {name: text for name, text in said.items() if text}
    defaults = Settings()
    return Settings(**{n: _typed(getattr(defaults, n), variables()[n], text) for n, text in given.items()})


def _typed(default: Any, variable: Variable, said: str) -> Any:
    """A text from the environment as a value of its default's type."""
    if isinstance(default, bool):
        return said.upper() in _YES
    if isinstance(default, tuple):
        return tuple(part for part in map(str.strip, said.split(",")) if part)
    if isinstance(default, int):
        return _whole_number(variable, said)
    if variable.one_of and said not in variable.one_of:
        choices = " or ".join(map(repr, variable.one_of))
        raise ValueError(f"{variable.name} is {said!r}; it can be {choices}")
    return said


def _whole_number(variable: Variable, said: str) -> int:
    ok = said.isascii() and said.isdigit() and variable.least <= int(said) <= variable.most
    if not ok:
        can = f"it can be a whole number from {variable.least} to {variable.most}"
        raise ValueError(f"{variable.name} is {said!r}; {can}")
    return int(said)


@cache
def settings() -> Settings:
    """The settings of this process, read from its environment at the first call."""
    return read(os.environ)


def read_again() -> None:
    """Have the environment read again at the next use; what was made from the settings before stays as it is."""
    settings.cache_clear()


def is_public() -> bool:
    """Whether strangers use this server; a word that is neither mode is refused, so a typing error lets no one in."""
    return settings().mode == "public"


def offered(names: Iterable[str]) -> list[str]:
    """Those of a catalogue's names that visitors may choose; ValueError names one that is not in it."""
    names, wanted = list(names), settings().models
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f"{unknown[0]!r}, one of HEADLIGHT_MODELS, is not in the catalogue")
    return list(wanted) or names


def assets_folder() -> Path:
    """Where weights and other files that come with Headlight lie: beside the package, or inside an installed one."""
    here = Path(__file__).resolve().parent
    inside = here / "assets"
    return inside if inside.is_dir() else here.parent / "assets"
