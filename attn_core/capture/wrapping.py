"""Make a model of the transformers library traceable, and undo it: its wiring is found once and remembered."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from attn_core import adapters
from attn_core.capture.hooks import remove_hooks
from attn_core.capture.model import WIRINGS, Model, checksum
from attn_core.capture.probing.find import find_wiring
from attn_core.capture.running import is_ours_always, running
from attn_core.errors import HeadlightError

_LOCKS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def wrap(
    hf_model: Any,
    tokenizer: Any,
    *,
    name: str | None = None,
    limit: int | None = None,
    reload: Callable[[], Model] | None = None,
) -> Model:
    """Make a transformers model traceable; outside our calls it behaves as it did before, and `unwrap` undoes it.

    `limit` is how many tokens of a sentence are read at most, by default as many as the model was made for.
    Runs it once on five tokens to find its wiring. Raises UnsupportedFamily where attention does not go through the
    library's interface, DamagedModel where weights that are not finite spoil that run, and HeadlightError for weights
    that are not float32 (half precision gives gibberish on a CPU) and for what is no model or no tokenizer.
    """
    _refuse_what_is_none(hf_model, tokenizer)
    owners, hf_model = hf_model, adapters.inside(hf_model)
    modules, refused_clearly = adapters.structure(hf_model), adapters.with_way_out(owners)
    name = name or getattr(hf_model, "name_or_path", "") or type(hf_model).__name__
    lock, is_ours = _LOCKS.setdefault(hf_model, threading.Lock()), is_ours_always(hf_model)
    known, wiring = WIRINGS.get(hf_model, (None, None))
    if wiring is None or known != modules:  # an adapter may have been put in, or merged, since
        with refused_clearly, running(hf_model, lock, is_ours):
            wiring = find_wiring(hf_model, owners, name)
        WIRINGS[hf_model] = modules, wiring
    model = Model(
        name=name,
        family=str(hf_model.config.model_type),
        kind="encoder-decoder" if hf_model.config.is_encoder_decoder else "decoder" if wiring.causal else "encoder",
        hf=hf_model,
        tokenizer=tokenizer,
        wiring=wiring,
        limit=0,  # set below
        lock=lock,
        is_ours=is_ours,
        reload=reload,
        unembedding=None if is_ours else checksum(hf_model.get_output_embeddings()),
    )
    return model.with_limit(limit)


def _refuse_what_is_none(hf_model: Any, tokenizer: Any) -> None:
    """Raise HeadlightError for what is no model, no tokenizer, or has weights that are not float32."""
    if not all(hasattr(hf_model, part) for part in ("config", "base_model", "get_input_embeddings")):
        raise HeadlightError(
            f"{type(hf_model).__name__} is no model of the transformers library; wrap the model inside."
        )
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise HeadlightError("A tokenizer of the transformers library is needed, to say what the tokens are.")
    kinds = {p.dtype for p in hf_model.parameters() if p.is_floating_point()}
    if kinds != {torch.float32}:
        found = ", ".join(sorted(str(k).removeprefix("torch.") for k in kinds))
        raise HeadlightError(f"This model's weights are {found}; convert them first: model.float().")


def unwrap(model: Any) -> None:
    """Undo `wrap`: take what reports to traces out of a model of the transformers library, or of what `wrap` gave.

    Its traces stay as they are. To trace it again, wrap it again. Raises HeadlightError for a model that `ac.load`
    gave: it is shared with whoever else loads it, and behaves as any other.
    """
    if isinstance(model, Model) and model.reload is not None:
        raise HeadlightError(f"{model.name} was loaded, not wrapped: there is nothing to undo.")
    hf_model = adapters.inside(model.hf if isinstance(model, Model) else model)
    if not isinstance(hf_model, nn.Module):
        raise HeadlightError(f"{type(model).__name__} is no model.")
    WIRINGS.pop(hf_model, None)
    remove_hooks(hf_model)
