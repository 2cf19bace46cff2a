"""A checkpoint, from a folder or the hub's cache, read into a model and its tokenizer, or refused in a clear sentence.

Safetensors only, and never code that comes with a model: reading somebody's file must not run it. Weights that are
missing are an error, because the library would fill them with noise, and every head would look even.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnsupportedFamily
from attn_core.models.hub import WEIGHTS, Progress, bar_for

# Weights that no reader of a trace looks at, and that checkpoints of another head leave out.
_NOT_LOOKED_AT = ("pooler",)


def check_folder(folder: Path) -> None:
    """Raise DamagedModel where a folder cannot be a model that Headlight opens, and say what is missing."""
    files = {file.name for file in folder.iterdir()}
    if "config.json" not in files:
        raise DamagedModel(f"{folder} is no model folder: it has no config.json.")
    try:
        json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise DamagedModel(f"{folder / 'config.json'} is damaged: it is no JSON ({error}).") from None
    if not files & set(WEIGHTS):
        if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in files):
            raise DamagedModel(
                f"{folder} has its weights in a format that can run code when it is opened. Headlight opens "
                "safetensors only: load the model once where you trust it and write model.save_pretrained(folder)."
            )
        raise DamagedModel(f"{folder} has no weights: there is no model.safetensors.")


def check_hash(file: Path, expected: str) -> None:
    """Raise DamagedModel where a file is not byte for byte the one that was published."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise DamagedModel(f"{file} is not the published file: it was altered, or its download is damaged.")


def read_checkpoint(where: str, progress: Progress, **source: Any) -> tuple[Any, Any]:
    """(model, tokenizer) from a folder or a hub id; `source` may hold `revision` and `local_files_only`.

    The model is in float32 and eval mode, with our attention function. Raises DamagedModel, UnsupportedFamily, and the
    library's OSError for what cannot be found.
    """
    source["trust_remote_code"] = False
    progress("reading the configuration")
    config = _config(where, source)
    tokenizer = _tokenizer(where, source)
    progress("reading the weights")
    model = _weights(where, config, source, progress)
    return model, tokenizer


def _config(where: str, source: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(where, **source)
    except ValueError as error:  # an architecture that the library does not have, or that brings its own code
        raise UnsupportedFamily(
            f"{where} is of a family that the transformers library does not know by itself, and Headlight never runs "
            f"code that comes with a model. ({_first_line(error)})"
        ) from error


def _tokenizer(where: str, source: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(where, **source)
    except OSError:
        raise
    except Exception as error:  # each kind of tokenizer fails in its own way
        raise DamagedModel(f"The tokenizer of {where} cannot be read: {_first_line(error)}") from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # the library makes up an empty one where there is none
        raise DamagedModel(f"{where} has no tokenizer: its files are missing.")
    if tokenizer.is_fast:  # a tokenizer.json may tell it to cut and to pad; here both are ours to decide
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _weights(where: str, config: Any, source: dict[str, Any], progress: Progress) -> Any:
    import torch
    from safetensors import SafetensorError

    from attn_core.capture.interface import use_ours_always

    try:
        model, report = _auto_class(config).from_pretrained(
            where,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            tqdm_class=bar_for(progress),
            **source,
        )
    except SafetensorError as error:
        raise DamagedModel(f"The weights of {where} are cut or damaged ({_first_line(error)}).") from error
    except RuntimeError as error:  # sizes that do not fit the configuration
        raise DamagedModel(f"The weights of {where} do not fit its config.json ({_first_line(error)}).") from error
    except (ValueError, ImportError) as error:  # no such class for this head, or a quantised format
        raise UnsupportedFamily(f"{where} cannot be opened as {config.model_type}: {_first_line(error)}") from error
    _check_report(where, model, report)
    use_ours_always(model)
    return model.requires_grad_(False)


def _auto_class(config: Any) -> Any:
    """The library's door for this checkpoint: with its head where that predicts words, plain where it does not."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSpeechSeq2Seq
    from transformers.models.auto import modeling_auto as auto

    doors = (
        (AutoModelForSeq2SeqLM, auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
        (AutoModelForSpeechSeq2Seq, auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES),
        (AutoModelForCausalLM, auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    )
    for door, classes in doors:
        name = classes.get(config.model_type)
        if name in (config.architectures or ()):
            return door
        if not config.architectures and name and config.model_type not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            return door
    return AutoModel


def _check_report(where: str, model: Any, report: dict[str, Any]) -> None:
    """Refuse weights that are missing, and weights of layers that the configuration does not have."""
    missing = [key for key in report["missing_keys"] if not any(part in key for part in _NOT_LOOKED_AT)]
    if missing:
        raise DamagedModel(
            f"{where} lacks weights: {len(missing)} are missing, the first is {sorted(missing)[0]}. They would be "
            "filled with noise, so it is not opened."
        )
    prefix = f"{model.base_model_prefix}."
    body = {name for name, _ in model.base_model.named_children()}
    unknown = [key for key in report["unexpected_keys"] if key.removeprefix(prefix).split(".")[0] in body]
    unknown = [key for key in unknown if not any(part in key for part in _NOT_LOOKED_AT)]
    if unknown:
        raise DamagedModel(
            f"{where} has weights that its config.json knows nothing of: {len(unknown)}, the first is "
            f"{sorted(unknown)[0]}. The picture would not be of the model that was trained."
        )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
