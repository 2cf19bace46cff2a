"""A folder that holds an adapter alone, as the peft library saves it: which model it belongs to, which head it brings,
and putting it on.

The adapter stays beside the weights that it changes, unmerged, and is read where it acts. Only the package peft itself
knows how each kind of adapter is put on, so it is needed for that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from attn_core.errors import DamagedModel, UnsupportedFamily

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What an adapter was trained for where it brings a head that its base model lacks: the library's class that has one.
_WITH_A_HEAD = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}
_HEADS = ("classifier", "score", "qa_outputs")  # how the library calls the modules of such heads
_INSIDE = "base_model.model."  # stands before the name of a weight in an adapter's file


class BroughtHead(NamedTuple):
    """A head that an adapter's file holds beside the adapter: the class of model that has one, how many labels it
    says, and the names of the weights that come with the adapter."""

    auto_class: str
    n_labels: int
    weights: frozenset[str]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model; looks at names alone."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path, called: str) -> str:
    """The name of the model that an adapter changes. DamagedModel where its folder does not say or is not whole."""
    try:
        said = json.loads((folder / CONFIG).read_text())
        base = said["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _of_no_model(called) from None
    if not isinstance(base, str) or not base:
        raise _of_no_model(called)
    if not (folder / WEIGHTS).is_file():
        raise DamagedModel(f"{called} has no {WEIGHTS}: its adapter is not here, or is not kept as safetensors.")
    return base


def brought_head(folder: Path, called: str) -> BroughtHead | None:
    """The head that an adapter brings, None where it brings none; its folder was looked at by `base_of`.

    Raises UnsupportedFamily where its files do not say enough of the head, and DamagedModel for a file that is cut.
    """
    from safetensors import SafetensorError, safe_open

    task = json.loads((folder / CONFIG).read_text()).get("task_type")
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            names = list(file.keys())
            shapes = {name.removeprefix(_INSIDE): tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise DamagedModel(f"The {WEIGHTS} of {called} is cut or damaged ({error}).") from error
    of_heads = [shape for name, shape in shapes.items() if name.split(".")[0] in _HEADS and name.endswith(".weight")]
    if task not in _WITH_A_HEAD and not of_heads:
        return None
    rows = [shape[0] for shape in of_heads if len(shape) == 2]
    if task not in _WITH_A_HEAD or not rows:
        raise UnsupportedFamily(
            f"{called} holds an adapter with a head of its own, and its files do not say enough of it: its weights and "
            "what it is for. Load it with the peft library and save what model.merge_and_unload() gives."
        )
    return BroughtHead(_WITH_A_HEAD[task], min(rows), frozenset(shapes))  # a layer before it is as wide as the model


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
