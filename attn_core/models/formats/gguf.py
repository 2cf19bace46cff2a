"""GGUF, as llama.cpp keeps models: configuration, tokenizer and dequantised weights, written as an ordinary folder.

The transformers library maps names and undoes llama.cpp's changes of order, the package `gguf` dequantises. Their
sum is what `from_pretrained(folder, gguf_file=…)` gives; that asks for a further package, accelerate, of which reading
needs nothing, so its two halves are called here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, HeadlightError, UnsupportedFamily
from attn_core.models.formats.gguf_header import Header, read_header

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def convert(file: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> str:
    """Write `into` what a GGUF file holds, weights as float32; gives how they were kept, in words.

    `check_config` refuses sizes before anything is built. Raises UnsupportedFamily for an architecture that the library
    cannot read so, DamagedModel for a file that is cut.
    """
    header = read_header(file)
    try:
        _convert(file, into, called, check_config)
    except (HeadlightError, OSError):
        raise
    except Exception as error:  # the readers fail in as many ways as a file can be damaged
        first = (str(error).splitlines() or [""])[0] or type(error).__name__
        if "not supported" in first or "Unknown gguf model_type" in first or "Unrecognized" in first:
            family = header.values.get("general.architecture", "unknown")
            raise UnsupportedFamily(
                f"{called} is a GGUF file of the architecture {family!r}, which the transformers library cannot read "
                "from GGUF: take the repository that it was made from."
            ) from error
        raise DamagedModel(f"{called} cannot be read as GGUF, it is cut or damaged: {first}") from error
    return in_words(header)


def _convert(file: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name, **_LOCAL)
    check_config(config, called)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, **_LOCAL).save_pretrained(into)
    with torch.device("meta"):
        empty = _auto_class(config).from_config(config)
    read = load_gguf_checkpoint(  # type: ignore[no-untyped-call]
        str(file), return_tensors=True, model_to_load=empty, torch_dtype=torch.float32
    )
    save_file(
        {name: t.contiguous() for name, t in read["tensors"].items()}, into / "model.safetensors", {"format": "pt"}
    )
    config.architectures = [type(empty).__name__]
    config.save_pretrained(into)


def _auto_class(config: Any) -> Any:
    """With its head, as every GGUF file but an encoder alone has one."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.models.auto import modeling_auto as auto

    if config.is_encoder_decoder and config.model_type in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return AutoModelForSeq2SeqLM
    return AutoModelForCausalLM if config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else AutoModel


def in_words(header: Header) -> str:
    """ "4-bit weights, dequantised", by the type that most numbers have; "" where they were kept as they are."""
    from gguf import GGMLQuantizationType

    if not header.numbers_of_type:
        return ""
    most = max(header.numbers_of_type, key=lambda kind: header.numbers_of_type[kind])
    bits = re.match(r"[A-Z]*(?:Q|FP)(\d)", GGMLQuantizationType(most).name)
    return f"{bits[1]}-bit weights, dequantised" if bits else ""
