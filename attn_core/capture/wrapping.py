"""Make a model of the transformers library traceable, and undo it: its wiring is found once and remembered."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from attn_core import adapters
from attn_core.capture.hooks import add_hooks, remove_hooks
from attn_core.capture.model import WIRINGS, Model, check_limit, checksum
from attn_core.capture.probing.find import find_wiring
from attn_core.capture.probing.short_run import ProbedModel
from attn_core.capture.running import is_ours_always, keep_freed_memory, running
from attn_core.errors import HeadlightError
from attn_core.options import check_text
from attn_core.precision import NUMBER_TYPES, float32_copy, is_float32_on_cpu, name_of, number_types_of
from attn_core.text.positions import NAMES
from attn_core.traces.wiring import Wiring

_LOCKS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def wrap(
    hf_model: Any,
    tokenizer: Any = None,
    *,
    name: str | None = None,
    limit: int | None = None,
    reload: Callable[[], Model] | None = None,
) -> Model:
    """Make a transformers model traceable; outside our calls it behaves as it did before, and `unwrap` undoes it.

    `limit` is how many tokens of a sentence are read at most, by default as many as the model was made for.
    A model that looks at images or listens to samples of sound needs no tokenizer.
    A model in bfloat16 or float16, or on a GPU, is traced as it is; readers compute in float32, on its device.
    Runs it once on five tokens to find its wiring; where it is not in float32 on the CPU, that is found in a copy that
    is, which is let go at once. Raises UnsupportedFamily where attention does not go through the library's interface,
    DamagedModel where weights that are not finite, or numbers too large for float16, spoil that run, and HeadlightError
    for weights of other number types, weights that were not loaded, and what is no model or no tokenizer.
    """
    _refuse_what_is_none(hf_model, tokenizer)
    check_limit(limit)
    if name is not None:
        check_text("name", name)
    keep_freed_memory()
    owners, hf_model = hf_model, adapters.inside(hf_model)
    virtual = adapters.virtual_tokens(owners)
    made_of = hash((adapters.structure(hf_model, virtual), checksum(hf_model)))
    refused_clearly = adapters.with_way_out(owners)
    name = name or getattr(hf_model, "name_or_path", "") or type(hf_model).__name__
    lock, is_ours = _LOCKS.setdefault(hf_model, threading.Lock()), is_ours_always(hf_model)
    known, wiring = WIRINGS.get(hf_model, (None, None))
    if wiring is None or known != made_of:  # an adapter may have been put in, or merged, or weights learnt, since
        with refused_clearly:
            wiring = _found(hf_model, owners, name, lock, is_ours)
        remove_hooks(hf_model)
        add_hooks(hf_model, sorted(wiring.places))
        WIRINGS[hf_model] = made_of, wiring
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
        virtual=virtual,
        unembedding=None if is_ours else checksum(hf_model.get_output_embeddings()),
        checksums={} if is_ours else {n: checksum(hf_model.get_submodule(n)) for n in wiring.read_modules},
    )
    return model.with_limit(limit)


def _refuse_what_is_none(hf_model: Any, tokenizer: Any) -> None:
    """Raise HeadlightError for what is no model, no tokenizer, or has weights that cannot be read."""
    if not all(hasattr(hf_model, part) for part in ("config", "base_model", "get_input_embeddings")):
        raise HeadlightError(
            f"{type(hf_model).__name__} is no model of the transformers library; wrap the model inside."
        )
    if not hasattr(tokenizer, "convert_ids_to_tokens") and getattr(hf_model, "main_input_name", "") not in NAMES:
        raise HeadlightError("A tokenizer of the transformers library is needed, to say what the tokens are.")
    if any(p.is_meta for p in hf_model.parameters()):
        raise HeadlightError(
            "Some weights of this model were not loaded: they are on the meta device, without numbers."
        )
    kinds = {p.dtype for p in hf_model.parameters()}
    if not kinds or not kinds <= {*NUMBER_TYPES.values()}:
        found = ", ".join(sorted(map(name_of, kinds)))
        raise HeadlightError(f"This model's weights are {found}; convert them first: model.float().")


def _found(hf_model: Any, owners: Any, name: str, lock: threading.Lock, is_ours: bool) -> Wiring:
    """The wiring of a model: found in itself, or in a copy in float32 on the CPU, where sums can be told exactly."""
    exact = owners if is_float32_on_cpu(hf_model) else float32_copy(owners, "cpu")
    copied = adapters.inside(exact)
    other = nullcontext() if copied is hf_model else running(copied, nullcontext(), is_ours)
    with running(hf_model, lock, is_ours), other:
        found = find_wiring(ProbedModel(copied, exact, name, hf_model))
    return found if number_types_of(hf_model) == {torch.float32} else found.keeping_all()


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
