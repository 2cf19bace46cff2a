"""Whether a folder is a model that Headlight opens, told before any of its files is parsed by a library.

Safetensors only: other formats can run code when they are opened; GGUF and `pytorch_model.bin` were converted before.
What is known by its hash is compared byte for byte, whatever the source, tokenizer and configuration as well as
weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnsupportedFamily
from attn_core.models.entry import shape_of

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"  # whole, or the list of their parts
_LFS_POINTER = b"version https://git-lfs"
_RUNS_CODE = (".bin", ".pt", ".pth", ".ckpt")
_FLOATS = ("F64", "F32", "F16", "BF16")
_QUANTISED = ("bitsandbytes", "gptq", "awq")


def verify(folder: Path, hashes: Mapping[str, str], called: str) -> None:
    """Return where a folder is a whole model of a kind that is opened, each of its files with the hash that is known.

    Raises DamagedModel or UnsupportedFamily with a sentence that names the model as it was `called`, what is wrong
    with it, and the way out.
    """
    for name, expected in hashes.items():
        if not (folder / name).is_file():
            raise DamagedModel(f"{called} is not complete: {name} is not there.")
        check_hash(folder / name, expected)
    config = read_config(folder, called)
    _check_weights(folder, called)
    shape_of(config, str(folder / "config.json"))
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method in _QUANTISED:
        raise UnsupportedFamily(
            f"{called} has quantised weights ({method}), and Headlight shows float32 numbers only: take the original "
            "repository, or save model.dequantize()."
        )
    for file in folder.glob("*.safetensors"):
        _refuse_quantised(file, called)


def check_hash(file: Path, expected: str) -> None:
    """Raise DamagedModel where a file is not byte for byte the one that was published."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise DamagedModel(f"{file} is not the published file: it was altered, or its download is damaged.")


def read_config(folder: Path, called: str) -> dict[str, Any]:
    """The config.json of a folder, as it is; raises DamagedModel where there is none or it holds something else."""
    file = folder / "config.json"
    if not file.is_file():
        if (folder / "adapter_config.json").is_file():
            raise DamagedModel(
                f"{called} holds an adapter only, without the model that it changes: load both, and save what "
                "model.merge_and_unload() gives."
            )
        if list(folder.glob("*.gguf")):
            raise DamagedModel(_only_gguf(called))
        raise DamagedModel(f"{called} is no model folder: it has no config.json.")
    try:
        config = parse_config(file.read_text())
    except ValueError as error:
        raise DamagedModel(f"{file} is damaged: it is no JSON ({error}).") from None
    if not isinstance(config, dict):
        raise DamagedModel(f"{file} is damaged: it holds a {type(config).__name__}, not named numbers.")
    return config


def parse_config(text: str) -> Any:
    """What a config.json holds; numbers without end, which JSON does not know, as the library writes them.

    >>> parse_config('{"time_step_limit": [0.0, {"__float__": "Infinity"}]}')
    {'time_step_limit': [0.0, inf]}
    """
    return json.loads(text, object_hook=lambda said: float(said["__float__"]) if [*said] == ["__float__"] else said)


def is_whole(folder: Path) -> bool:
    """Whether configuration and all parts of the weights are in a folder; looks at names alone."""
    return (folder / "config.json").is_file() and ((folder / WEIGHTS).is_file() or not _missing_parts(folder))


def has_safetensors(folder: Path) -> bool:
    """Whether a folder's weights are safetensors, whole or not; looks at names alone."""
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def _check_weights(folder: Path, called: str) -> None:
    if not (folder / WEIGHTS).is_file():
        if not (folder / INDEX).is_file():
            raise DamagedModel(_what_else(folder, called))
        missing = _missing_parts(folder)
        if missing:
            raise DamagedModel(f"{called} is not complete: {missing[0]} is not there.")
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as opened:
            if opened.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise DamagedModel(
                    f"{file} is a Git LFS pointer: it says where the weights are, and is not the weights. Fetch them "
                    "with git lfs pull."
                )


def _refuse_quantised(file: Path, called: str) -> None:
    """Raise UnsupportedFamily for matrices of whole numbers or of 8 bits: their scales are what makes them weights."""
    try:
        listed, _ = listed_tensors(file)
        kinds = {name: str(facts["dtype"]) for name, facts in listed.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: the library says how when it reads it
        return
    found = {kind for name, kind in kinds.items() if name.endswith("weight") and kind not in _FLOATS}
    if found:
        raise UnsupportedFamily(
            f"{called} has quantised weights ({', '.join(sorted(found))}), which mean nothing without their scales: "
            "take the original repository, or save model.dequantize()."
        )


def listed_tensors(file: Path) -> tuple[dict[str, Any], int]:
    """The facts of every tensor of a safetensors file by its name, and where the numbers begin; as its README says.

    Raises ValueError where the file is shorter than its own list, or the list is no JSON.
    """
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > file.stat().st_size:
            raise ValueError("the file is shorter than its own list")
        return json.loads(opened.read(length)), 8 + length


def _missing_parts(folder: Path) -> list[str]:
    """The parts of the weights that their index names and the folder lacks; the index itself where it is not there."""
    try:
        parts = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [INDEX]
    return [str(part) for part in parts if not (folder / str(part)).is_file()]


def _what_else(folder: Path, called: str) -> str:
    """What a folder without safetensors has instead, and the way out."""
    names = [file.name for file in folder.iterdir()]
    if "adapter_model.safetensors" in names:
        return (
            f"{called} holds an adapter only, without the model that it changes: load both, and save what "
            "model.merge_and_unload() gives."
        )
    if any(name.endswith(_RUNS_CODE) for name in names):
        return (
            f"{called} has its weights in a format that can run code when it is opened. Headlight opens "
            "safetensors, and pytorch_model.bin as data: load the model once where you trust it and write "
            "model.save_pretrained(folder)."
        )
    if any(name.endswith(".gguf") for name in names):
        return _only_gguf(called)
    return f"{called} has no weights: there is no {WEIGHTS}."


def _only_gguf(called: str) -> str:
    return f"{called} holds several GGUF files: give one of them, by its name."
