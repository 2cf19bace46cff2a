"""A folder that holds an adapter alone, as the peft library saves it: which model it belongs to, and putting it on.

The adapter stays beside the weights that it changes, unmerged, and is read where it acts. Only the package peft itself
knows how each kind of adapter is put on, so it is needed for that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnsupportedFamily

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What an adapter was trained for where it brings a head of its own, which its base model lacks.
_WITH_A_HEAD = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model; looks at names alone."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path, called: str) -> str:
    """The name of the model that an adapter changes. DamagedModel where its folder does not say or is not whole."""
    try:
        said = json.loads((folder / CONFIG).read_text())
        base, task = said["base_model_name_or_path"], said.get("task_type")
        own = said.get("modules_to_save")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _of_no_model(called) from None
    if not isinstance(base, str) or not base:
        raise _of_no_model(called)
    if not (folder / WEIGHTS).is_file():
        raise DamagedModel(f"{called} has no {WEIGHTS}: its adapter is not here, or is not kept as safetensors.")
    if task in _WITH_A_HEAD or own:
        raise UnsupportedFamily(
            f"{called} holds an adapter that brings a head of its own, without the model that both are for: load it "
            "with the peft library and save what model.merge_and_unload() gives."
        )
    return base


def _of_no_model(called: str) -> DamagedModel:
    return DamagedModel(
        f"The {CONFIG} of {called} does not say which model it is for: load that model with the peft library, put the "
        "adapter on it, and save what model.merge_and_unload() gives."
    )


def put_on(hf_model: Any, folder: Path, called: str) -> Any:
    """The model with the adapter on it, as an object of peft. Raises UnsupportedFamily or DamagedModel."""
    try:
        import peft
    except ImportError:
        raise UnsupportedFamily(
            f"{called} holds an adapter, and to put it on needs the package peft: pip install "
            "headlight-attention[adapters]. A folder with the merged weights needs none."
        ) from None
    dtype, device = hf_model.dtype, hf_model.device
    try:
        owners = peft.PeftModel.from_pretrained(hf_model, str(folder), local_files_only=True, torch_device=str(device))
    except Exception as error:  # each kind of adapter fails in its own way
        raise DamagedModel(f"The adapter of {called} does not fit its model: {str(error).splitlines()[0]}") from error
    return owners.to(dtype).eval().requires_grad_(False)
