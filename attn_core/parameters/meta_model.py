"""Models built without memory: every tensor has a name and a shape, and no numbers behind it.

torch's meta device makes a model of 175 billion parameters in a fraction of a second. It serves twice: to check a
table against the real class, tensor by tensor, and to make the table of a family that has no formula (`from_class`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attn_core.errors import UnsupportedFamily
from attn_core.importing import import_transformers
from attn_core.parameters.architectures.families import FAMILIES
from attn_core.parameters.architectures.layout import Config
from attn_core.parameters.shape import ImpossibleModel, shape_of
from attn_core.parameters.table import ParameterTable

if TYPE_CHECKING:
    from torch import nn

UNEMBEDDING = re.compile(r"lm_head|embed_out|unembed", re.IGNORECASE)


@dataclass(frozen=True)
class Tensor:
    """A tensor of a built model; `tied_to` names the first tensor that is the same one.

    `owners` are the class names of the modules around it, the model first and the one that holds it last.
    """

    name: str
    shape: tuple[int, ...]
    tied_to: str | None
    learnt: bool
    owners: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciliation:
    """A table beside the real class. `built` is Σ numel over its parameters, or None where there is no such class.

    `differing` names tensors that only one of them has, or that differ in shape; empty also where the class stores
    the same numbers under other names.
    """

    class_name: str
    table: int
    built: int | None
    differing: tuple[str, ...] = ()
    reason: str = ""

    @property
    def exact(self) -> bool:
        """Whether both counts agree, and every tensor too where they can be compared one by one."""
        return self.built == self.table and not self.differing


def build(config: Config) -> nn.Module:
    """The model that a configuration describes, on the meta device: shapes without numbers.

    The class is the first of `architectures`, else what the library would take for its family: a translator, a
    decoder with its unembedding, or a bare encoder. Raises UnsupportedFamily where the library has no such family, and
    ImpossibleModel where it refuses the numbers, such as an odd d_head, which rotary positions cannot turn.
    """
    import_transformers()
    import transformers

    if config.get("model_type") not in transformers.CONFIG_MAPPING:
        raise UnsupportedFamily(f"The library has no family {config.get('model_type')!r} to count.")
    try:
        return _without_memory(config)
    except Exception as error:  # numbers of any kind come in, and each class trips over them in its own way
        why = (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise ImpossibleModel(f"The library refuses to build these numbers: {why}") from error


def _without_memory(config: Config) -> nn.Module:
    import torch
    import transformers

    full = transformers.AutoConfig.for_model(config["model_type"], **_settings(config))
    named = getattr(transformers, str(next(iter(config.get("architectures") or ()), "")), None)
    with torch.device("meta"):
        if isinstance(named, type) and issubclass(named, transformers.PreTrainedModel):
            model: nn.Module = named(full)
        else:
            model = _usual_class(config["model_type"]).from_config(full)
        if config.get("tie_word_embeddings") is False:
            _untie(model)
    return model


def _untie(model: Any) -> None:
    """Give the unembedding numbers of its own, as a published T5 1.1, Flan-T5 or mT5 has them.

    The library's T5 classes say "tied" whatever their configuration says, and untie when they read such weights.
    """
    import torch

    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    weight = getattr(words, "weight", None)
    is_tied = head is not None and getattr(head, "weight", None) is weight
    if is_tied and isinstance(weight, torch.Tensor):
        head.weight = torch.nn.Parameter(torch.empty_like(weight))


def _settings(config: Config) -> dict[str, Any]:
    """What to tell the library: not what we only filled in to say "derive it"."""
    family = FAMILIES.get(config["model_type"])
    silent = {name for name, value in family.defaults.items() if value is None} if family else set()
    names = [name for name, value in config.items() if value is not None or name not in silent]
    return {name: config[name] for name in names if name not in ("model_type", "transformers_version")}


def _usual_class(model_type: str) -> Any:
    import transformers as library
    from transformers.models.auto import modeling_auto as auto

    if model_type in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return library.AutoModelForSeq2SeqLM
    if model_type in auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES:
        return library.AutoModelForSpeechSeq2Seq
    writes = model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    guesses = model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return library.AutoModelForCausalLM if writes and not guesses else library.AutoModel


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Every parameter under every name that it has."""
    first: dict[int, str] = {}
    named = list(model.named_parameters(remove_duplicate=False))
    for name, parameter in sorted(named, key=lambda each: bool(UNEMBEDDING.search(each[0]))):
        first.setdefault(id(parameter), name)  # numbers at both ends are the embedding's, whichever is listed first
    for name, parameter in named:
        owner = first[id(parameter)]
        tied_to = None if owner == name else owner
        yield Tensor(name, tuple(parameter.shape), tied_to, parameter.requires_grad, _owners(model, name))


def _owners(model: nn.Module, name: str) -> tuple[str, ...]:
    """The class names of the modules that a parameter lies in, from the model to the one that holds it."""
    module, found = model, [type(model).__name__]
    for part in name.split(".")[:-1]:
        module = getattr(module, part)
        found.append(type(module).__name__)
    return tuple(found)


def reconcile(table: ParameterTable) -> Reconciliation:
    """Build the table's configuration without memory, and compare sums and tensors."""
    config, reason = _buildable(table.config)
    if config is None:
        return Reconciliation("", table.total, None, reason=reason)
    try:
        model = build(config)
    except ImpossibleModel as error:
        return Reconciliation("", table.total, None, reason=str(error))
    count = sum(parameter.numel() for parameter in model.parameters())
    same_names = config is table.config
    return Reconciliation(type(model).__name__, table.total, count, _differing(table, model) if same_names else ())


def _differing(table: ParameterTable, model: nn.Module) -> tuple[str, ...]:
    ours = {name: (shape, tied) for name, shape, tied in table.tensors()}
    theirs = {tensor.name: (tensor.shape, tensor.tied_to is not None) for tensor in tensors_of(model)}
    return tuple(sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)))


def _buildable(config: Config) -> tuple[Config | None, str]:
    """The configuration that the library understands, or None and why there is none.

    GPT-3 was never published as a class; GPT-2's has the same tensors, fused, as long as heads × d_head = d_model.
    """
    if config["model_type"] == "transformer":
        return None, "The library has no class of the first Transformer, so only the formula counts it."
    if config["model_type"] != "gpt-3":
        return config, ""
    shape = shape_of(config)
    if shape.width != shape.d_model or shape.n_groups != shape.n_heads:
        return None, "GPT-2's class, which is GPT-3's too, can't have these heads, so only the formula counts them."
    names = {"n_embd": shape.d_model, "n_layer": shape.n_layers, "n_head": shape.n_heads, "n_inner": shape.d_ff}
    more = {"vocab_size": shape.vocabulary, "n_positions": shape.context, "tie_word_embeddings": shape.tied}
    return {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], **names, **more}, ""
