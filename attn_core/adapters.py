"""Models of the peft library: which of them are read, and the model that is inside.

peft itself is not imported: one of its models is recognised by its attributes. Adapters stand in modules of the model
inside, whose wiring is found with them; `capture/probing/own_pass.py` then compares a pass with a call of the owner's
object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attn_core.errors import UnsupportedFamily

MERGE = "Merge the adapter into the weights first (model = model.merge_and_unload()) and wrap the result."
_WITHOUT = {  # methods that peft itself does not merge, and how it takes them out of a model
    "adaption prompt": "call model.base_model.disable_adapter_layers() and wrap model.get_base_model()",
    **dict.fromkeys(("lily", "poly", "shadow"), "take it out (model = model.unload()) and wrap the result"),
}


def inside(hf_model: Any) -> Any:
    """The transformers model in a model of peft, or the model itself where it is none.

    Raises UnsupportedFamily for virtual tokens that ask as words do (prompt tuning), or of an encoder-decoder: they are
    no words of the text, and what calling the model gives depends on them. See `virtual_tokens` for the others.
    """
    if not (hasattr(hf_model, "peft_config") and hasattr(hf_model, "get_base_model")):
        return hf_model
    config = hf_model.active_peft_config
    if config.is_prompt_learning and virtual_tokens(hf_model) is None:
        raise UnsupportedFamily(
            f"This model reads {getattr(config, 'num_virtual_tokens', None) or 'some'} virtual tokens before the text "
            f"({method(hf_model)}), which cannot be shown yet and cannot be merged into weights. Without them it can "
            "be traced: wrap model.get_base_model()."
        )
    return hf_model.get_base_model()


class VirtualTokens(NamedTuple):
    """Keys and values that an adapter has learnt for every layer, `n_tokens` of them, before those of the words.

    `make` gives them for a number of sentences, as the library keeps the keys and values of what was read before.
    """

    n_tokens: int
    make: Callable[[int], Any]

    def before(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The inputs of a model with the virtual tokens before them; a pass adds to them, so each has its own."""
        n, mask = len(inputs["input_ids"]), inputs.get("attention_mask")
        given: dict[str, Any] = {**inputs, "past_key_values": self.make(n)}
        if mask is not None:
            given["attention_mask"] = torch.cat([mask.new_ones(n, self.n_tokens), mask], dim=1)
        return given


def with_virtual(virtual: VirtualTokens | None, inputs: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """What a pass is given: the inputs, after virtual tokens where there are any."""
    return inputs if virtual is None else virtual.before(inputs)


def virtual_tokens(hf_model: Any) -> VirtualTokens | None:
    """What an adapter puts before the keys of every layer of a decoder (prefix tuning); None where it does not.

    Source: Li and Liang 2021, "Prefix-Tuning".
    """
    config = getattr(hf_model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or method(hf_model) not in ("prefix tuning", "cartridge"):
        return None
    inside = hf_model.get_base_model()
    if inside.config.is_encoder_decoder:
        return None

    def make(n: int) -> Any:
        kept = hf_model.get_prompt(n)
        weight = next(inside.parameters())
        for layer in (own for own in kept.layers if own.keys is not None):
            layer.keys, layer.values = (part.to(weight.device, weight.dtype) for part in (layer.keys, layer.values))
        return kept

    return VirtualTokens(config.num_virtual_tokens, make)


def method(hf_model: Any) -> str:
    """The name of a peft model's method in plain letters: "prefix tuning"."""
    config = getattr(hf_model, "active_peft_config", None)  # None: the model inside, which has its adapters in it
    kind = (next(iter(hf_model.peft_config.values())) if config is None else config).peft_type
    return str(getattr(kind, "value", kind)).lower().replace("_", " ")


def way_out(hf_model: Any) -> str:
    """What the owner of a peft model that is not read can do."""
    without = _WITHOUT.get(method(hf_model))
    return f"It cannot be merged into the weights; to trace the model without it, {without}." if without else MERGE


@contextmanager
def with_way_out(hf_model: Any) -> Iterator[None]:
    """Whatever keeps a model with an adapter from being read is an UnsupportedFamily that says how it can be."""
    try:
        yield
    except Exception as error:
        if not hasattr(hf_model, "peft_config") or way_out(hf_model) in str(error):
            raise
        said = str(error) if isinstance(error, UnsupportedFamily) else f"{type(error).__name__}: {error}"
        said = said if said.endswith(".") else f"{said}."
        raise UnsupportedFamily(
            f"With its adapter ({method(hf_model)}) this model is not read: {said} {way_out(hf_model)}"
        ) from error


def structure(hf_model: nn.Module, virtual: VirtualTokens | None = None) -> int:
    """A number that changes when modules are put in, taken out or replaced by those of another class; with as many
    virtual tokens before the words."""
    names = tuple((name, type(module)) for name, module in hf_model.named_modules())
    return hash((names, 0 if virtual is None else virtual.n_tokens))
