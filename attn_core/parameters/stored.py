"""What a weights file says that its configuration does not: whether the unembedding has numbers of its own.

The library's newer versions tie the two whatever an old configuration says, except where a file holds both and they
differ. So the file decides, and a folder has one total, loaded or counted. Only the file's list of tensors is read and,
where both are there, the two of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attn_core.models.verification import listed_tensors

_UNEMBEDDING = "lm_head.weight"
_EMBEDDINGS = ("shared.weight", "embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
_AT_ONCE = 1 << 24  # bytes


def has_own_unembedding(folder: Path) -> bool:
    """Whether model.safetensors holds an unembedding that is another tensor than its embedding; False if unknown."""
    file = folder / "model.safetensors"
    try:
        listed, start = listed_tensors(file)
        head = listed.get(_UNEMBEDDING)
        words = next((facts for name, facts in listed.items() if name.endswith(_EMBEDDINGS)), None)
        return bool(head and words) and not _are_equal(file, start, head, words)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError):
        return False  # no such file, or a damaged one: loading says so


def _are_equal(file: Path, start: int, a: Any, b: Any) -> bool:
    if (a["shape"], a["dtype"]) != (b["shape"], b["dtype"]):
        return False
    begin_a, begin_b = a["data_offsets"][0], b["data_offsets"][0]
    left = a["data_offsets"][1] - begin_a
    done = 0
    with file.open("rb") as one, file.open("rb") as other:
        one.seek(start + begin_a)
        other.seek(start + begin_b)
        while done < left:
            size = min(_AT_ONCE, left - done)
            if one.read(size) != other.read(size):
                return False
            done += size
    return True
