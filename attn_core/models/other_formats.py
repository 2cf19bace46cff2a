"""A folder or a file whose weights are kept in another format than safetensors, and how they are converted."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from attn_core.errors import DamagedModel
from attn_core.models.checkpoint import check_sizes
from attn_core.models.conversion import Conversion
from attn_core.models.entry import Origin
from attn_core.models.formats import gguf, pickled
from attn_core.models.formats.gguf_header import read_header
from attn_core.models.hub import BESIDE_WEIGHTS, KEEPS_TO_SAFETENSORS, Progress
from attn_core.models.verification import check_hash, has_safetensors
from attn_core.settings import is_public


def conversion_of_folder(origin: Origin, path: Path, progress: Progress) -> Conversion | None:
    """How what lies at a path is made a folder with safetensors; None where it is one already, or no model at all."""
    file = gguf_file(path) if origin.kind == "folder" else None
    if file is not None:
        return _of_gguf(file, progress)
    parts = [] if has_safetensors(path) else pickled.parts_of(path)
    return _of_pickled(origin, path, parts, progress) if parts else None


def gguf_file(path: Path) -> Path | None:
    """The GGUF file that a path means: itself, or the only one of a folder that has no safetensors beside it."""
    if path.suffix == ".gguf" and path.is_file():
        return path
    if not path.is_dir() or next(path.glob("*.safetensors*"), None) is not None:
        return None
    files = list(path.glob("*.gguf"))
    return files[0] if len(files) == 1 else None


def _of_gguf(file: Path, progress: Progress) -> Conversion:
    """A GGUF file's weights as safetensors, once for each content."""
    progress("reading the GGUF file")
    digest = _digest(file).hex()
    numbers = sum(read_header(file).numbers_of_type.values())

    def build(into: Path, work: Path) -> str:
        progress("converting, once")
        alone = work / "model.gguf"  # so that nothing is read of what lies beside it
        alone.symlink_to(file.resolve())
        return gguf.convert(alone, into, str(file), check_sizes)

    return Conversion(f"gguf-{digest[:24]}", build, str(file), room=4 * numbers + 20_000_000)


def _of_pickled(entry: Origin, folder: Path, parts: list[Path], progress: Progress) -> Conversion:
    """Pickled weights as safetensors, once for each content; locally only."""
    if is_public():
        raise DamagedModel(KEEPS_TO_SAFETENSORS.format(called=entry.source))
    progress(f"reading {pickled.WEIGHTS}")
    for name, expected in entry.hashes.items():  # before a byte of it is parsed
        if (folder / name).is_file():
            check_hash(folder / name, expected)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise DamagedModel(f"{entry.source} is not complete: {missing[0]} is not there.")
    beside = [f for kind in BESIDE_WEIGHTS for f in folder.glob(kind) if f.is_file() and f.name != pickled.INDEX]
    used = sorted({*parts, *beside})
    digest = hashlib.sha256(b"".join(_digest(file) + file.name.encode() for file in used)).hexdigest()

    def build(into: Path, work: Path) -> str:
        progress("converting, once")
        for file in beside:
            shutil.copyfile(file, into / file.name)
        return pickled.convert(parts, into, entry.source)

    room = 4 * sum(file.stat().st_size for file in used)
    return Conversion(f"pickle-{digest[:24]}", build, entry.source, room)


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
