"""Why a model is refused whose short run shows nothing that could be read: the true reason, in a sentence."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from attn_core.capture.probing.inputs import is_known
from attn_core.errors import DamagedModel, UnsupportedFamily

_RECURRENT = ("rwkv",)  # what it calls attention is a recurrence: there is no pattern [query, key]
_READS = {"pixel_values": "images", "input_values": "sound", "input_features": "sound"}


def outside(model: nn.Module) -> UnsupportedFamily:
    """Why a model whose run showed no attention call is refused: it reads no text, has no attention, or hides it."""
    family, reads = family_of(model), getattr(model, "main_input_name", "input_ids")
    asked = inspect.signature(model.forward).parameters
    if "pixel_values" in asked and "input_ids" in asked:
        return UnsupportedFamily(
            f"{family} models read a text and an image in two stacks of their own: wrap one of them, such as "
            "model.text_model or model.vision_model."
        )
    if reads in _READS and not is_known(model):
        return UnsupportedFamily(
            f"{family} models read {_READS.get(reads, 'images')}, and no text alone: there is no sentence to show."
        )
    kinds = [type(module).__name__.lower() for module in model.modules()]
    if family in _RECURRENT or not any("attention" in kind or "attn" in kind for kind in kinds):
        return UnsupportedFamily(
            f"{family} models have no attention: they mix words in another way, so there are no patterns to show."
        )
    return UnsupportedFamily(
        f"{family} models compute attention outside the library's attention interface, so their patterns "
        "cannot be captured truthfully. Families that can: BERT, GPT-2, Llama, T5, BART and most newer ones."
    )


def refuse_not_finite(model: nn.Module, name: str, states: Tensor) -> None:
    """Raise DamagedModel, naming weights, where what a run gave is not finite: nothing could be matched."""
    if not bool(torch.isfinite(states).all()):
        damaged = [weights for weights, p in model.named_parameters() if not bool(torch.isfinite(p).all())]
        where = f"in its weights {', '.join(damaged[:3])}" if damaged else "in what it computes from five tokens"
        half = not damaged and any(p.dtype == torch.float16 for p in model.parameters())
        hint = " Its numbers may be too large for float16: load it in bfloat16 or float32." if half else ""
        raise DamagedModel(f"{name} is damaged: there are values that are no finite numbers {where}.{hint}")


def family_of(model: nn.Module) -> str:
    """What the library calls a model's family."""
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))
