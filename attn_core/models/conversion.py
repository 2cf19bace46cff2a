"""Models that are kept in another form are converted once into a folder with safetensors, and kept in the cache.

    folder = convert_once(Conversion("smollm2-bcc81830d10c", build, called="SmolLM2", room=700_000_000))

`build` writes into a folder beside the final one, which gets its name when all is done: an interrupted conversion
leaves nothing that could be taken for a model, and the next one begins by removing what a killed process left.
What was written is remembered by its hash, in `converted.json`, and verified at every load.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from attn_core.errors import CannotFetch, DamagedModel
from attn_core.settings import settings

RECORD = "converted.json"
FROM_PICKLE = "converted from pytorch_model.bin"  # how weights were kept, where nothing was lost


def cache_folder() -> Path:
    """Where converted models lie."""
    return Path(settings().cache).expanduser() / "models"


def find(key: str) -> Path | None:
    """The folder of a conversion that was finished, or None."""
    folder = cache_folder() / key
    return folder if (folder / RECORD).is_file() else None


class Conversion(NamedTuple):
    """What is to be converted: `build(folder, work)` writes it into a folder; `work` is for what it needs on the way.

    `build` gives how the weights were kept, in words ("4-bit weights, dequantised", FROM_PICKLE, or ""). `called` names
    the model in sentences, and `room` is how many bytes all this takes at most.
    """

    key: str
    build: Callable[[Path, Path], str]
    called: str
    room: int


def convert_once(asked: Conversion) -> Path:
    """The folder that was written, now or before.

    Raises CannotFetch where the disk has no room for it, and what `build` raises; then nothing is left.
    """
    from filelock import FileLock

    found = find(asked.key)
    if found is not None:
        return found
    with _disk_explained(asked.called):
        cache_folder().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / f"{asked.key}.lock"):
            return find(asked.key) or _build(*asked)


def _build(key: str, build: Callable[[Path, Path], str], called: str, room: int) -> Path:
    final, part = cache_folder() / key, cache_folder() / f"{key}.part"
    for left in (part, final):  # of a process that was killed; a folder without its record is not whole
        shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(cache_folder()).free
    if free < room:
        raise CannotFetch(
            f"{called} needs {room / 1e6:.0f} MB on the disk, and {cache_folder()} has {free / 1e6:.0f} MB left. "
            "Make room, or set HEADLIGHT_CACHE to a folder elsewhere."
        )
    try:
        (part / "work").mkdir(parents=True)
        weights = build(part, part / "work")
        shutil.rmtree(part / "work")
        hashes = {file.name: _hash(file) for file in sorted(part.iterdir())}
        (part / RECORD).write_text(json.dumps({"weights": weights, "sha256": hashes}, indent=2) + "\n")
        part.rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return final


def hashes_of(folder: Path) -> Mapping[str, str]:
    """The sha256 of every file of a converted model, as remembered; empty for any other folder."""
    return {str(name): str(digest) for name, digest in _record(folder).get("sha256", {}).items()}


def weights_of(folder: Path) -> str:
    """How the weights were kept before they were converted, in words; "" for a folder that was not."""
    return str(_record(folder).get("weights", ""))


@contextmanager
def discarded_if_damaged(folder: Path) -> Iterator[None]:
    """A converted model that is found damaged inside is removed, so that the next load makes it anew; other folders are
    left alone."""
    try:
        yield
    except DamagedModel:
        if folder.parent == cache_folder() and (folder / RECORD).is_file():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _record(folder: Path) -> dict[str, dict[str, str]]:
    file = folder / RECORD
    if folder.parent != cache_folder() or not file.is_file():
        return {}
    try:
        record = json.loads(file.read_text())
    except ValueError:
        return {"sha256": {RECORD: "damaged"}}
    return record if isinstance(record, dict) else {"sha256": {RECORD: "damaged"}}


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class _disk_explained:
    """Raise CannotFetch with a sentence where the disk is full or may not be written to."""

    def __init__(self, called: str) -> None:
        self.called = called

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        causes = list(_causes(error))
        numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
        if numbers & {errno.ENOSPC, errno.EDQUOT} or any("No space left" in str(cause) for cause in causes):
            raise CannotFetch(
                f"The disk filled up while {self.called} was written to {cache_folder()}; nothing of it was kept. Make "
                "room and try again."
            ) from error
        if numbers & {errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR}:
            raise CannotFetch(
                f"{self.called} cannot be kept: {cache_folder()} cannot be written to. Set HEADLIGHT_CACHE to a folder "
                "that can."
            ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
