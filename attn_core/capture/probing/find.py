"""The wiring of a fresh model: found once, at load, in one short run with everything recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attn_core.capture.hooks import add_hooks, hooked_everywhere, recording_to
from attn_core.capture.probing.blocks import chain
from attn_core.capture.probing.keeping import with_places
from attn_core.capture.probing.logits import logit_rule
from attn_core.capture.probing.own_pass import own_pass_error
from attn_core.capture.probing.record import ProbeRecorder, ShortRun
from attn_core.capture.probing.refusals import family_of, outside, refuse_not_finite
from attn_core.capture.probing.sites import find_sites
from attn_core.capture.running import run_stack, run_whole
from attn_core.errors import HeadlightError, UnsupportedFamily
from attn_core.traces.wiring import Wiring


def find_wiring(hf_model: Any, owners: Any, name: str) -> Wiring:
    """Read the wiring from one short run, and let the model report to later passes at the places that it names.

    `owners` is the object that somebody handed in, `hf_model` the model inside it. Raises UnsupportedFamily where what
    would be drawn is not what the model does, or cannot be told, and DamagedModel as `run_shortly` does.
    """
    short_run = run_shortly(hf_model, name)
    sites = find_sites(hf_model, short_run.record)
    wiring = chain(sites, short_run.record, short_run.last_states)
    wiring = with_places(wiring, short_run.record)
    error = own_pass_error(hf_model, owners, short_run)
    add_hooks(hf_model, sorted(wiring.places))
    return replace(wiring, own_pass=error, logits=logit_rule(hf_model, wiring, short_run))


def run_shortly(model: Any, name: str) -> ShortRun:
    """Run the model once on five tokens, of an encoder-decoder four to write, so that streams can be told apart.

    Raises UnsupportedFamily where attention does not go through the library's interface, or where the model does not
    run with it, and DamagedModel, with the `name`, where weights that are not finite spoil the run.
    """
    recorder = ProbeRecorder(model)
    try:
        inputs = probe_inputs(model)
        with hooked_everywhere(model), recording_to(recorder):
            output = run_stack(model, inputs)
    except HeadlightError:
        raise
    except Exception as error:
        if not recorder.record.attention:  # it could not even use the interface's masks
            raise outside(model) from error
        raise UnsupportedFamily(f"{family_of(model)} models do not run with an attention of ours: {error}") from error
    refuse_not_finite(model, name, output[0])
    if not recorder.record.attention:
        raise outside(model)
    speaks = model.get_output_embeddings() is not None
    return ShortRun(inputs, recorder.record, output, run_whole(model, inputs).logits if speaks else None)


def probe_inputs(hf_model: Any) -> dict[str, Tensor]:
    """Five tokens to read and, for an encoder-decoder, four to write, no special ones among them."""
    config = hf_model.config
    target = torch.tensor([_ordinary_ids(hf_model, 4)])
    if hf_model.main_input_name == "input_features":  # a spectrogram, of the one length that the model takes
        sound = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
        return {"input_features": sound, "decoder_input_ids": target}
    ids = torch.tensor([_ordinary_ids(hf_model, 5)])
    return {"input_ids": ids, "decoder_input_ids": target} if config.is_encoder_decoder else {"input_ids": ids}


def _ordinary_ids(hf_model: Any, count: int) -> list[int]:
    n_words = hf_model.get_input_embeddings().weight.shape[0]
    special = {getattr(hf_model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    ordinary = [i for i in range(n_words) if i not in special]
    return [ordinary[(i + 1) * len(ordinary) // (count + 2)] for i in range(count)]
