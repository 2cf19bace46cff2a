"""Weights as torch pickles them, `pytorch_model.bin`: opened as data, checked, and rewritten as safetensors.

A pickle is a small program. Ours is read before it is run: it may ask for tensors, their storages and an ordered
dictionary, and for nothing else; then torch's weights-only loader, which executes nothing of a file's, opens it.
Whatever a file says of its lengths, no more is read or written than it holds.
"""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_core.errors import DamagedModel
from attn_core.models.conversion import FROM_PICKLE

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"  # whole, or the list of their parts
_STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
_MAY_ASK_FOR = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in _STORAGES),
}
# Further ways in which a pickle makes objects; none of them is needed for tensors.
_OTHER_WAYS = {
    "STACK_GLOBAL",
    "INST",
    "OBJ",
    "NEWOBJ",
    "NEWOBJ_EX",
    "EXT1",
    "EXT2",
    "EXT4",
    "BYTEARRAY8",
    "NEXT_BUFFER",
}
_LONGEST_PICKLE, _MOST_STEPS = 8_000_000, 500_000  # bytes, instructions; a model of 300 tensors takes 10,000
_PICKLES_BEFORE_TENSORS = (
    5  # in a file from before torch 1.6: its mark, its version, its machine, the tensors, their keys
)
_MOST_COPIES = 3  # how often tied weights may be written in full


def parts_of(folder: Path) -> list[Path]:
    """The files that hold a folder's pickled weights, in order; empty where it has none.

    Raises DamagedModel for an index that cannot be read or that names a file elsewhere.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
        inside = bool(names) and all(isinstance(name, str) and Path(name).name == name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        inside = False
    if not inside:
        raise DamagedModel(f"{folder / INDEX} is damaged: it is no list of the files that hold the weights.")
    return [folder / name for name in names]


def is_whole(folder: Path) -> bool:
    """Whether all parts of pickled weights are in a folder; looks at names alone."""
    try:
        parts = parts_of(folder)
    except DamagedModel:
        return False
    return bool(parts) and all(part.is_file() for part in parts)


def convert(parts: list[Path], into: Path, called: str) -> str:
    """Write each part `into` a folder as one file of safetensors, with an index where there are several.

    Gives how they were kept, in words. Raises DamagedModel for a file that is cut or asks for anything but tensors;
    nothing of it runs.
    """
    from safetensors.torch import save_file

    where: dict[str, str] = {}
    for n, part in enumerate(parts, 1):
        name = "model.safetensors" if len(parts) == 1 else f"model-{n:05d}-of-{len(parts):05d}.safetensors"
        tensors = read(part, called)
        save_file(dict(tensors), into / name, {"format": "pt"})
        where |= dict.fromkeys(tensors, name)
    if len(parts) > 1:
        index = {"metadata": {}, "weight_map": where}
        (into / "model.safetensors.index.json").write_text(json.dumps(index))
    return FROM_PICKLE


def read(file: Path, called: str) -> Mapping[str, Tensor]:
    """The named tensors of one file, each with memory of its own; see `convert` for what is refused."""
    import torch

    is_zip = zipfile.is_zipfile(file)
    try:
        for pickle in _pickles_in_zip(file, called) if is_zip else _pickles_in_front(file):
            _check(pickle, file, called)
        # mapped, a zip's tensors can reach no byte outside it, whatever lengths it claims
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zip)
    except (DamagedModel, MemoryError):
        raise
    except Exception as error:  # the loader fails in as many ways as a file can be damaged
        first = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise DamagedModel(f"{file.name} of {called} cannot be read: it is cut or damaged ({first}).") from error
    return _alone(_named(found, file, called), file, called)


def _pickles_in_zip(file: Path, called: str) -> Iterable[io.BytesIO]:
    """The one pickle of a file as torch writes them since 1.6: a zip in which nothing is compressed."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(m.compress_type != zipfile.ZIP_STORED or m.file_size > file.stat().st_size for m in members):
            raise DamagedModel(f"{file.name} of {called} is refused: it is compressed, and torch never writes it so.")
        pickles = [m for m in members if m.filename.endswith("/data.pkl") or m.filename == "data.pkl"]
        if len(pickles) != 1 or pickles[0].file_size > _LONGEST_PICKLE:
            raise DamagedModel(f"{file.name} of {called} is refused: its list of tensors is none that torch writes.")
        yield io.BytesIO(archive.read(pickles[0]))


def _pickles_in_front(file: Path) -> Iterable[io.BytesIO]:
    """The pickles that an older file begins with, one behind the other; its tensors follow as bare bytes."""
    with file.open("rb") as opened:
        front = io.BytesIO(opened.read(_LONGEST_PICKLE))
    for _ in range(_PICKLES_BEFORE_TENSORS):
        yield front  # reading one leaves it at the next


def _check(pickle: io.BytesIO, file: Path, called: str) -> None:
    """Refuse a pickle that asks for anything but tensors; its instructions are listed, none is followed."""
    for step, (instruction, argument, _) in enumerate(pickletools.genops(pickle)):
        asked = str(argument) if instruction.name == "GLOBAL" else ""
        if asked and asked not in _MAY_ASK_FOR:
            what = ".".join(asked.split(" "))[:80]
        elif instruction.name in _OTHER_WAYS:
            what = f"objects of its own ({instruction.name})"
        elif step > _MOST_STEPS:
            what = "more than any model needs"
        else:
            continue
        raise DamagedModel(
            f"{file.name} of {called} is refused: a file of weights may ask for tensors only, and this one asks for "
            f"{what}. Nothing of it was run."
        )


def _named(found: Any, file: Path, called: str) -> dict[str, Tensor]:
    import torch

    plain = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    odd = [name for name, value in found.items() if not isinstance(value, torch.Tensor)] if plain else []
    if not plain or not found or odd:
        what = f"{odd[0]!r} is no tensor" if odd else "it is no list of names and tensors"
        raise DamagedModel(f"{file.name} of {called} does not hold weights as a model's state_dict has them: {what}.")
    return {name: value.detach() for name, value in found.items()}


def _alone(tensors: dict[str, Tensor], file: Path, called: str) -> dict[str, Tensor]:
    """Each tensor whole and in order, tied ones copied; refused where they would take more than the file can hold."""
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    stretched = any(t.numel() * t.element_size() > t.untyped_storage().nbytes() for t in tensors.values())
    if stretched or numbers > _MOST_COPIES * file.stat().st_size:
        raise DamagedModel(f"{file.name} of {called} is refused: it claims more numbers than it holds.")
    kept: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        # parts of one storage count as shared, too: safetensors writes each by itself
        kept[name] = tensor.clone().contiguous() if memory in seen else tensor.contiguous()
        seen.add(memory)
    return kept
