"""Our pass of a model beside one of its owner's object, with the attention of its family: they must say the same."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from attn_core import adapters
from attn_core.capture.probing.refusals import family_of
from attn_core.capture.probing.short_run import ShortRun
from attn_core.capture.running import attention_of, run_whole
from attn_core.errors import UnsupportedFamily
from attn_core.traces import parity


def own_pass_error(hf_model: Any, owners: Any, short_run: ShortRun) -> float:
    """Relative error of the last states (or logits) of our pass against those of a call of the owner's object, whole.

    That object has its family's own attention then. Raises UnsupportedFamily where it says something else: our
    attention is not what the model was made for, or what the owner calls does more than the model inside does.
    """
    inputs, ours = short_run.inputs, short_run.output[0]
    theirs: list[Tensor] = []
    hook = hf_model.base_model.register_forward_hook(lambda _module, _given, output: theirs.append(output[0]))
    try:
        with attention_of(owners, "eager"):
            said = run_whole(owners, inputs)
    finally:
        hook.remove()
    if not theirs:  # it calls the stack in its own way (OPT), so what it says in the end is compared
        ours, theirs = run_whole(hf_model, inputs)[0], [said[0]]
    last = theirs[-1]
    error = parity.relative_error(ours, last) if ours.shape == last.shape else math.inf
    if error <= parity.OWN_ATTENTION:
        return error
    if owners is not hf_model:
        raise UnsupportedFamily(
            f"Calling this model ({adapters.method(owners)}) gives another result than the {family_of(hf_model)} model "
            f"inside it, so what would be drawn is not what it does. {adapters.MERGE}"
        )
    raise UnsupportedFamily(
        f"{family_of(hf_model)} models give another result when their attention goes through the library's interface, "
        "so what would be drawn is not what they do."
    )
