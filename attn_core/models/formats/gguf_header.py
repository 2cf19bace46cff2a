"""The head of a GGUF file: its architecture, sizes and tensor types, read without its tensors and without a library.

Layout: github.com/ggml-org/ggml/blob/master/docs/gguf.md. All lengths are bounded by the file's own size.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from attn_core.errors import DamagedModel

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
# Type number → struct format of one value.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MOST_ENTRIES, _MOST_AXES = 1_000_000, 4  # of tables; of one tensor


@dataclass(frozen=True)
class Header:
    """Single values by their names ("llama.block_count"), and how many numbers each tensor type holds."""

    values: Mapping[str, Any]
    numbers_of_type: Mapping[int, int]

    def sizes(self) -> dict[str, Any]:
        """The words of a config.json for what this file says of its architecture."""
        architecture = str(self.values.get("general.architecture", "unknown"))
        named = {
            "num_hidden_layers": "block_count",
            "num_attention_heads": "attention.head_count",
            "max_position_embeddings": "context_length",
        }
        found = {ours: self.values.get(f"{architecture}.{theirs}") for ours, theirs in named.items()}
        two = architecture.startswith("t5") and architecture != "t5encoder"
        return {
            "model_type": architecture,
            "architectures": ["CausalLM"] if architecture != "t5encoder" else [],
            "is_encoder_decoder": two,
            **{name: value for name, value in found.items() if value is not None},
        }


def read_header(file: Path) -> Header:
    """What a GGUF file says of itself before its tensors begin; raises DamagedModel where it is no such file."""
    try:
        with file.open("rb") as opened:
            return _Reader(opened, file.stat().st_size).header()
    except (struct.error, UnicodeDecodeError, ValueError, OverflowError):
        raise DamagedModel(f"{file} is cut or damaged: it is no GGUF file that can be read.") from None


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def header(self) -> Header:
        if self.file.read(4) != _MAGIC:
            raise ValueError("no GGUF")
        version, tensors, entries = self.number("I"), self.number("Q"), self.number("Q")
        if version not in (2, 3) or max(tensors, entries) > _MOST_ENTRIES:
            raise ValueError("a version or a length that cannot be")
        values = {}
        for _ in range(entries):
            name, value = self.text(), self.value(self.number("I"))
            if value is not None:
                values[name] = value
        return Header(values, self.tensor_types(tensors))

    def tensor_types(self, tensors: int) -> dict[int, int]:
        counts: dict[int, int] = {}
        for _ in range(tensors):
            self.text()
            n_axes = self.number("I")
            if n_axes > _MOST_AXES:
                raise ValueError("too many axes")
            numbers = prod(self.number("Q") for _ in range(n_axes))
            kind = self.number("I")
            self.number("Q")  # where its bytes begin
            counts[kind] = counts.get(kind, 0) + numbers
        return counts

    def value(self, kind: int) -> Any:
        """A single value; None for a list, which is skipped."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_NUMBERS.get(kind, ""))
        inner, length = self.number("I"), self.number("Q")
        if inner == _ARRAY or length > self.size:
            raise ValueError("a list of lists, or longer than the file")
        if inner == _STRING:
            for _ in range(length):
                self.skip(self.number("Q"))
        else:
            self.skip(length * struct.calcsize(f"<{_NUMBERS.get(inner, 'Q')}"))
        return None

    def number(self, form: str) -> Any:
        if not form:
            raise ValueError("a type that nobody knows")
        return struct.unpack(f"<{form}", self.file.read(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > self.size:
            raise ValueError("a text longer than the file")
        return self.file.read(length).decode()

    def skip(self, n_bytes: int) -> None:
        if self.file.tell() + n_bytes > self.size:
            raise ValueError("the file ends before its list")
        self.file.seek(n_bytes, 1)
