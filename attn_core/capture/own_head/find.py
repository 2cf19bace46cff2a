"""What a model's own head says, told at load from one output of it, and whether it can be read off the last states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from attn_core.capture.own_head.run import logits_of, run_head
from attn_core.traces import parity
from attn_core.traces.source import OwnHead

SPAN = ("start", "end")


def find_head(hf_model: Any, inputs: Mapping[str, Tensor], states: Tensor | None, said: Any) -> OwnHead | None:
    """The head of a model with one stack that gave `said` for `inputs`, with the last `states` [1, token, d_model].

    None where there is no head that says labels or fills words in, or where running it over these states gives
    another result: it looks at more than that.
    """
    if states is None or hf_model.base_model is hf_model or hf_model.config.is_encoder_decoder:
        return None
    try:
        logits = logits_of(said)
        found = _kind_of(hf_model, said, logits, states)
        ours = run_head(hf_model, states, inputs) if found is not None else None
    except Exception:  # heads of other kinds fail in their own ways
        return None
    if ours is None or ours.shape != logits.shape or not parity.relative_error(ours, logits) <= parity.OWN_ATTENTION:
        return None
    return found


def _kind_of(hf_model: Any, said: Any, logits: Tensor, states: Tensor) -> OwnHead | None:
    modules = _modules(hf_model)
    if hasattr(said, "start_logits"):
        return OwnHead("span", SPAN, "softmax", modules)
    per_token = logits.dim() == 3 and logits.shape[1] == states.shape[1]
    if hf_model.get_output_embeddings() is not None:  # it says words; a decoder's logits are read in another way
        masked = per_token and type(hf_model).__name__.endswith("ForMaskedLM")
        return OwnHead("word", (), "softmax", modules) if masked else None
    if per_token or logits.dim() == 2:
        names = _names(hf_model.config, logits.shape[-1])
        return OwnHead("token" if per_token else "text", names, _law(hf_model.config, len(names)), modules)
    return None


def _names(config: Any, n_labels: int) -> tuple[str, ...]:
    """The labels' names, by the configuration; "LABEL_3" where it has none."""
    named = getattr(config, "id2label", None) or {}
    return tuple(str(named.get(i, f"LABEL_{i}")) for i in range(n_labels))


def _law(config: Any, n_labels: int) -> str:
    """How logits become what is read: the rule that the library's own text-classification pipeline has."""
    problem = getattr(config, "problem_type", None)
    if problem == "regression":
        return "number"
    return "sigmoid" if problem == "multi_label_classification" or n_labels == 1 else "softmax"


def _modules(hf_model: Any) -> tuple[str, ...]:
    """The modules that the head is made of: whatever stands beside the stack, and the stack's pooler."""
    prefix = hf_model.base_model_prefix
    beside = [name for name, _ in hf_model.named_children() if name != prefix]
    pooler = getattr(hf_model.base_model, "pooler", None)
    return (*beside, f"{prefix}.pooler") if isinstance(pooler, torch.nn.Module) else tuple(beside)
