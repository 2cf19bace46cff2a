"""CTranslate2, as faster-whisper keeps Whisper: named arrays in one file, written as an ordinary folder of the library.

A file is a version, a specification's name, then arrays: name, number of dimensions, dimensions, type, bytes, data; at
last aliases, names for arrays that are there already. Its converter had put the projections of q, k and v (or of k and
v) on top of each other; here they are split again. Layout: `ctranslate2/specs/model_spec.py` of CTranslate2 4.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attn_core.errors import DamagedModel, HeadlightError, UnsupportedFamily

Arrays = Mapping[str, np.ndarray[Any, Any]]
VERSION = 6
TYPES = ("<f4", "<i1", "<i2", "<i4", "<f2")  # by the number that stands for them; 1 to 3 as they are: sizes and flags
_MOST_ARRAYS, _MOST_DIMENSIONS = 100_000, 8
_NORMS = {"self_attention": "self_attn_layer_norm", "attention": "encoder_attn_layer_norm", "ffn": "final_layer_norm"}


def convert(file: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> str:
    """Write `into` what a Whisper in CTranslate2's form holds, weights as float32; gives how they were kept, in words.

    config.json and tokenizer.json lie beside `file`. `check_config` refuses sizes before anything is built. Raises
    UnsupportedFamily for another model than Whisper, DamagedModel for a file that is cut.
    """
    try:
        name, arrays = read_arrays(file)
        if name != "WhisperSpec":
            raise UnsupportedFamily(f"{called} is a {name} of CTranslate2; only Whisper is read from that form.")
        _write(arrays, file.parent, into, called, check_config)
    except (HeadlightError, OSError):
        raise
    except (ValueError, KeyError, IndexError, struct.error) as error:
        raise DamagedModel(f"{called} is no file of CTranslate2 that can be read: cut or damaged ({error}).") from error
    half = next(array for key, array in arrays.items() if key.endswith("embeddings/weight")).dtype == np.float16
    return "16-bit weights" if half else ""


def read_arrays(file: Path) -> tuple[str, Arrays]:
    """The specification's name, and every array of a file by its name, aliases too; DamagedModel where it is cut."""
    data = memoryview(file.read_bytes())
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return int(value)

    def words() -> str:
        nonlocal at
        length = number("H")
        at += length
        return bytes(data[at - length : at - 1]).decode()  # a zero ends it

    version = number("I")
    if version != VERSION:
        raise UnsupportedFamily(f"{file.name} has version {version} of CTranslate2's form; version {VERSION} is read.")
    name, _revision, n_arrays = words(), number("I"), number("I")
    if n_arrays > _MOST_ARRAYS:
        raise ValueError(f"{n_arrays:,} arrays")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for _ in range(n_arrays):
        key, rank = words(), number("B")
        if rank > _MOST_DIMENSIONS:
            raise ValueError(f"{rank} dimensions")
        shape = tuple(number("I") for _ in range(rank))
        kind, n_bytes = TYPES[number("B")], number("I")
        arrays[key] = np.frombuffer(data[at : at + n_bytes], kind).reshape(shape)
        at += n_bytes
    for _ in range(number("I")):
        alias, key = words(), words()
        arrays[alias] = arrays[key]
    return name, arrays


def whisper_weights(arrays: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays under the library's names, float32, with q, k and v apart."""
    weights: dict[str, np.ndarray[Any, Any]] = {}
    for stack in ("encoder", "decoder"):
        weights[f"{stack}.embed_positions.weight"] = arrays[f"{stack}/position_encodings/encodings"]
        weights |= _norm(arrays, f"{stack}/layer_norm", f"{stack}.layer_norm")
        for layer in range(_n_layers(arrays, stack)):
            weights |= _layer(arrays, f"{stack}/layer_{layer}", f"{stack}.layers.{layer}")
    for conv in ("conv1", "conv2"):
        weights |= {f"encoder.{conv}.{part}": arrays[f"encoder/{conv}/{part}"] for part in ("weight", "bias")}
    weights["decoder.embed_tokens.weight"] = arrays["decoder/embeddings/weight"]
    return {f"model.{name}": array.astype(np.float32) for name, array in weights.items()}


def _layer(arrays: Arrays, key: str, name: str) -> Arrays:
    """One layer; a decoder's has "attention", across to the encoder, beside its own."""
    found = _attention(arrays, f"{key}/self_attention", f"{name}.self_attn")
    for part, norm in _NORMS.items():
        if f"{key}/{part}/layer_norm/gamma" in arrays:
            found |= _norm(arrays, f"{key}/{part}/layer_norm", f"{name}.{norm}")
    if f"{key}/attention/linear_0/weight" in arrays:
        found |= _attention(arrays, f"{key}/attention", f"{name}.encoder_attn")
    for i, linear in enumerate(("fc1", "fc2")):
        found |= _linear(arrays, f"{key}/ffn/linear_{i}", f"{name}.{linear}")
    return found


def _attention(arrays: Arrays, key: str, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """q, k and v out of one [3 · d_model, d_model], or q and then k and v; the last projection is W_O."""
    own = f"{key}/linear_2/weight" not in arrays
    fused, output = ("linear_0", "linear_1") if own else ("linear_1", "linear_2")
    names = ("q_proj", "k_proj", "v_proj") if own else ("k_proj", "v_proj")
    found = dict(_linear(arrays, f"{key}/{output}", f"{name}.out_proj"))
    if not own:
        found |= _linear(arrays, f"{key}/linear_0", f"{name}.q_proj")
    weight, bias = (np.split(arrays[f"{key}/{fused}/{part}"], len(names)) for part in ("weight", "bias"))
    for projection, matrix, offset in zip(names, weight, bias, strict=True):
        found[f"{name}.{projection}.weight"] = matrix
        if projection != "k_proj":  # Whisper's keys have none: the converter filled in zeros
            found[f"{name}.{projection}.bias"] = offset
        elif offset.any():
            raise ValueError(f"{key} has a bias of its keys, which no Whisper has")
    return found


def _linear(arrays: Arrays, key: str, name: str) -> dict[str, np.ndarray[Any, Any]]:
    return {f"{name}.{part}": arrays[f"{key}/{part}"] for part in ("weight", "bias")}


def _norm(arrays: Arrays, key: str, name: str) -> dict[str, np.ndarray[Any, Any]]:
    return {f"{name}.weight": arrays[f"{key}/gamma"], f"{name}.bias": arrays[f"{key}/beta"]}


def _n_layers(arrays: Arrays, stack: str) -> int:
    found = {int(match[1]) for key in arrays if (match := re.match(rf"{stack}/layer_(\d+)/", key))}
    return max(found) + 1


def _write(arrays: Arrays, beside: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> None:
    from safetensors.numpy import save_file
    from transformers import WhisperConfig

    own = json.loads((beside / "config.json").read_text())
    special = _write_tokenizer(beside / "tokenizer.json", into, len(arrays["decoder/embeddings/weight"]))
    facts: dict[str, Any] = {**_sizes(arrays), **_signs(special)}
    config = WhisperConfig(**facts, architectures=["WhisperForConditionalGeneration"])
    check_config(config, called)
    config.save_pretrained(into)
    generation = {
        "_from_model_config": False,
        **_signs(special),
        "alignment_heads": own["alignment_heads"],
        "suppress_tokens": own["suppress_ids"],
        "begin_suppress_tokens": own["suppress_ids_begin"],
        "no_timestamps_token_id": special["<|notimestamps|>"],
        "is_multilingual": False,
    }
    (into / "generation_config.json").write_text(json.dumps(generation))
    save_file(whisper_weights(arrays), into / "model.safetensors", {"format": "pt"})


def _sizes(arrays: Arrays) -> dict[str, int]:
    words, width = arrays["decoder/embeddings/weight"].shape
    stacks = {
        f"{stack}_{what}": value
        for stack in ("encoder", "decoder")
        for what, value in {
            "layers": _n_layers(arrays, stack),
            "attention_heads": int(arrays[f"{stack}/num_heads"]),
            "ffn_dim": arrays[f"{stack}/layer_0/ffn/linear_0/weight"].shape[0],
        }.items()
    }
    return {
        **stacks,
        "vocab_size": words,
        "d_model": width,
        "num_mel_bins": arrays["encoder/conv1/weight"].shape[1],
        "max_source_positions": arrays["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": arrays["decoder/position_encodings/encodings"].shape[0],
    }


def _signs(special: Mapping[str, int]) -> dict[str, int]:
    end = special["<|endoftext|>"]
    start = special["<|startoftranscript|>"]
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _write_tokenizer(file: Path, into: Path, n_words: int) -> Mapping[str, int]:
    """The tokenizer as the library's, with names for the signs of time that its file leaves out; gives special ids."""
    from transformers import PreTrainedTokenizerFast

    end = "<|endoftext|>"
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(
        tokenizer_file=str(file), bos_token=end, eos_token=end, pad_token=end, unk_token=end, model_max_length=448
    )
    times = [f"<|{0.02 * n:.2f}|>" for n in range(n_words - len(tokenizer))]
    tokenizer.add_tokens(times, special_tokens=True)
    tokenizer.save_pretrained(into)
    ids: Mapping[str, int] = tokenizer.get_added_vocab()
    return ids
