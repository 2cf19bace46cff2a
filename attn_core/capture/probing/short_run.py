"""What is run of a fresh model: a few tokens with everything recorded, then once more as its owner would run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor

from attn_core import adapters
from attn_core.capture.hooks import hooked_everywhere, recording_to
from attn_core.capture.probing.inputs import probe_inputs
from attn_core.capture.probing.record import ProbeRecord, ProbeRecorder
from attn_core.capture.probing.refusals import family_of, outside, refuse_not_finite
from attn_core.capture.running import attention_of, run_stack, run_whole
from attn_core.errors import HeadlightError, UnsupportedFamily


class ProbedModel(NamedTuple):
    """A fresh model in float32 on the CPU, `hf_model`, in what its owner calls, `owners`: itself, or a model of peft.

    `as_loaded` is the model that will be traced: the same one, or the one that it is a float32 copy of.
    """

    hf_model: Any
    owners: Any
    name: str
    as_loaded: Any


class ShortRun(NamedTuple):
    """What was read in a short run, what passed by, and what the model gave."""

    inputs: Mapping[str, Tensor]
    record: ProbeRecord
    output: Any  # of the stack
    logits: Tensor | None  # [1, token, word] of the whole model, where it predicts words
    own: Any  # what the owner's object gives with its family's own attention, and with weights where it can give them
    own_states: Tensor | None  # the last states of that pass; None where it calls the stack in its own way (OPT)

    @property
    def last_states(self) -> dict[str, Tensor]:
        """What the model says it ends with, [token, features] of each stream, where it says so."""
        last, encoder = (getattr(self.output, f"{side}last_hidden_state", None) for side in ("", "encoder_"))
        found = {"self": last} if encoder is None else {"decoder": last, "encoder": encoder}
        return {stream: states[0] for stream, states in found.items() if states is not None}


def run_shortly(probed: ProbedModel) -> ShortRun:
    """Run the model once on five tokens, of an encoder-decoder four to write, so that streams can be told apart.

    Raises UnsupportedFamily where attention does not go through the library's interface, or where the model does not
    run with it or with its own, and DamagedModel where weights that are not finite spoil the run.
    """
    model, name = probed.hf_model, probed.name
    virtual, speaks = adapters.virtual_tokens(probed.owners), model.get_output_embeddings() is not None
    recorder = ProbeRecorder(model, 0 if virtual is None else virtual.n_tokens)
    try:
        inputs = probe_inputs(model)
        with hooked_everywhere(model), recording_to(recorder):
            output = run_stack(model, adapters.with_virtual(virtual, inputs))
        logits = run_whole(model, adapters.with_virtual(virtual, inputs)).logits if speaks else None
    except HeadlightError:
        raise
    except Exception as error:
        adapted = hasattr(model, "peft_config")  # its adapter may want more than a text
        if not recorder.record.attention and not adapted:  # it could not even use the interface's masks
            raise outside(model) from error
        raise UnsupportedFamily(f"{family_of(model)} models do not run with an attention of ours: {error}") from error
    refuse_not_finite(model, name, output[0])
    if not recorder.record.attention:
        raise outside(model)
    if probed.as_loaded is not model:  # numbers that its own number type cannot hold show in it alone
        refuse_not_finite(probed.as_loaded, name, run_stack(probed.as_loaded, inputs)[0])
    return ShortRun(inputs, recorder.record, output, logits, *_run_as_its_owner(probed, inputs))


def _run_as_its_owner(probed: ProbedModel, inputs: Mapping[str, Tensor]) -> tuple[Any, Tensor | None]:
    """(what a call of the owner's object gives, the last states of its stack), with the attention of its family.

    It is asked for its attention weights, where it can give them.

    Raises UnsupportedFamily where it does not run with its own attention: nothing could be compared then.
    """
    states: list[Tensor] = []
    hook = probed.hf_model.base_model.register_forward_hook(lambda _module, _given, output: states.append(output[0]))
    try:
        with attention_of(probed.owners, "eager"):
            try:
                with _without_new_hooks(probed.owners):
                    said = run_whole(probed.owners, inputs, weights=True)
            except Exception:  # some run, but give no weights
                said = run_whole(probed.owners, inputs)
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnsupportedFamily(
            f"{family_of(probed.hf_model)} models do not run with the attention that they bring along, so what would "
            f"be drawn could not be compared with it: {first}"
        ) from error
    finally:
        hook.remove()
    return said, states[-1] if states else None


@contextmanager
def _without_new_hooks(owners: Any) -> Iterator[None]:
    """Inside, the library may hook into a model to collect its weights; afterwards those hooks are removed.

    They are not ours, and a model that has them cannot be pickled.
    """
    mark = "_output_capturing_hooks_installed"
    before = [(m, set(m._forward_hooks), mark in vars(m)) for m in owners.modules()]
    try:
        yield
    finally:
        for module, hooks, marked in before:
            for key in set(module._forward_hooks) - hooks:
                del module._forward_hooks[key]
            if not marked:
                vars(module).pop(mark, None)
