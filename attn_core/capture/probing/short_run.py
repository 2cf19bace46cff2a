"""One short run of a fresh model, on a few tokens, with everything recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from attn_core.capture.hooks import hooked_everywhere, recording_to
from attn_core.capture.probing.inputs import probe_inputs
from attn_core.capture.probing.record import ProbeRecord, ProbeRecorder
from attn_core.capture.probing.refusals import family_of, outside, refuse_not_finite
from attn_core.capture.running import run_stack, run_whole
from attn_core.errors import HeadlightError, UnsupportedFamily


class ShortRun(NamedTuple):
    """What was read in a short run, what passed by, and what the model gave."""

    inputs: Mapping[str, Tensor]
    record: ProbeRecord
    output: Any  # of the stack
    logits: Tensor | None  # [1, token, word] of the whole model, where it predicts words

    @property
    def last_states(self) -> dict[str, Tensor]:
        """What the model says it ends with, [token, features] of each stream, where it says so."""
        last, encoder = (getattr(self.output, f"{side}last_hidden_state", None) for side in ("", "encoder_"))
        found = {"self": last} if encoder is None else {"decoder": last, "encoder": encoder}
        return {stream: states[0] for stream, states in found.items() if states is not None}


def run_shortly(model: Any, name: str) -> ShortRun:
    """Run the model once on five tokens, of an encoder-decoder four to write, so that streams can be told apart.

    Raises UnsupportedFamily where attention does not go through the library's interface, or where the model does not
    run with it, and DamagedModel, with the `name`, where weights that are not finite spoil the run.
    """
    recorder, speaks = ProbeRecorder(model), model.get_output_embeddings() is not None
    try:
        inputs = probe_inputs(model)
        with hooked_everywhere(model), recording_to(recorder):
            output = run_stack(model, inputs)
        logits = run_whole(model, inputs).logits if speaks else None
    except HeadlightError:
        raise
    except Exception as error:
        if not recorder.record.attention:  # it could not even use the interface's masks
            raise outside(model) from error
        raise UnsupportedFamily(f"{family_of(model)} models do not run with an attention of ours: {error}") from error
    refuse_not_finite(model, name, output[0])
    if not recorder.record.attention:
        raise outside(model)
    return ShortRun(inputs, recorder.record, output, logits)
