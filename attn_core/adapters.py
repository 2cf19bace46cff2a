"""Models of the peft library: which of them are read, and the model that is inside.

peft itself is not imported: one of its models is recognised by its attributes. Adapters stand in modules of the model
inside, whose wiring is found with them; `capture/probing/own_pass.py` then compares a pass with a call of the owner's
object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from attn_core.errors import UnsupportedFamily

MERGE = "Merge the adapter into the weights first (model = model.merge_and_unload()) and wrap the result."


def inside(hf_model: Any) -> Any:
    """The transformers model in a model of peft, or the model itself where it is none.

    Raises UnsupportedFamily for virtual tokens (prefix and prompt tuning): they are no words of the text, and what
    calling the model gives depends on them.
    """
    if not (hasattr(hf_model, "peft_config") and hasattr(hf_model, "get_base_model")):
        return hf_model
    config = hf_model.active_peft_config
    if config.is_prompt_learning:
        raise UnsupportedFamily(
            f"This model reads {getattr(config, 'num_virtual_tokens', None) or 'some'} virtual tokens before the text "
            f"({method(hf_model)}), which cannot be shown yet and cannot be merged into weights. Without them it can "
            "be traced: wrap model.get_base_model()."
        )
    return hf_model.get_base_model()


def method(hf_model: Any) -> str:
    """The name of a peft model's method in plain letters: "prefix tuning"."""
    kind = hf_model.active_peft_config.peft_type
    return str(getattr(kind, "value", kind)).lower().replace("_", " ")


@contextmanager
def with_way_out(hf_model: Any) -> Iterator[None]:
    """Whatever keeps a model with an adapter from being read is an UnsupportedFamily that says how it can be."""
    try:
        yield
    except Exception as error:
        if not hasattr(hf_model, "peft_config") or MERGE in str(error):
            raise
        said = str(error) if isinstance(error, UnsupportedFamily) else f"{type(error).__name__}: {error}"
        raise UnsupportedFamily(
            f"With its adapter ({method(hf_model)}) this model is not read: {said} {MERGE}"
        ) from error


def structure(hf_model: nn.Module) -> int:
    """A number that changes when modules are put in, taken out or replaced by those of another class."""
    return hash(tuple((name, type(module)) for name, module in hf_model.named_modules()))
