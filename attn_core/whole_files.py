"""A file that is there whole or not at all: it takes its name when its last byte is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attn_core.errors import HeadlightError


def check_place(path: Path) -> None:
    """Raise HeadlightError where no file can be written there: in no folder, or in the place of a folder or device."""
    if path.exists() and not path.is_file():
        raise HeadlightError(f"{path.name} cannot be written: it is no file.")
    if not path.resolve().parent.is_dir():
        raise HeadlightError(f"{path.name} cannot be written: there is no folder {path.parent}.")


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Where to write what is `path` once the block is left without an error; whatever was there stays until then."""
    check_place(path)
    there = path.resolve()  # a link goes on pointing to it
    part = there.with_name(f"{there.name}.part")
    try:
        yield part
        part.replace(there)
    finally:
        part.unlink(missing_ok=True)
