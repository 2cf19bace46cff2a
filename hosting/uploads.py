"""Uploaded files lie in memory until their session ends; together they may not fill it."""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

BUDGET = 64_000_000  # bytes; an uploaded view is read at once, so it is not missed when it goes


def make_room(manager: MemoryUploadedFileManager | None = None, budget: int = BUDGET) -> None:
    """Drop files until all fit into the budget: each time the oldest of the session that has the most bytes."""
    manager = manager or runtime.get_instance()._uploaded_file_mgr
    sizes = {
        session: {file_id: len(file.data) for file_id, file in list(files.items())}
        for session, files in list(manager.file_storage.items())
    }
    while sum(map(_total, sizes.values())) > budget:
        session = max(sizes, key=lambda name: _total(sizes[name]))
        oldest = next(iter(sizes[session]))
        del sizes[session][oldest]
        manager.remove_file(session, oldest)


def _total(files: dict[str, int]) -> int:
    return sum(files.values())
