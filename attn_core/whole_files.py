"""A file that is there whole or not at all: it takes its name when its last byte is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Where to write what is `path` once the block is left without an error; whatever was there stays until then."""
    there = path.resolve()  # a link goes on pointing to it
    part = there.with_name(f"{there.name}.part")
    try:
        yield part
        part.replace(there)
    finally:
        part.unlink(missing_ok=True)
