"""A speech model's own transcript, token by token, the likeliest each time.

    for token in transcribe(model, spectrogram): ...

The encoder reads the recording once; the decoder keeps keys and values, so that each token costs one position. What
the model's own settings forbid is not written: signs of other tasks and languages, and marks that are no speech.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", sections 2.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.prediction.writing import ends_of

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.prediction.writing import Turn

MOST = 100  # tokens; half a minute of fast speech has about as many


def opening(model: Model) -> list[int]:
    """What a transcript begins with: the start sign and, where the model knows it, the sign for "no times"."""
    without_times = getattr(model.hf.generation_config, "no_timestamps_token_id", None)
    start = int(model.hf.config.decoder_start_token_id)
    return [start] if without_times is None else [start, int(without_times)]


def alignment_heads(model: Model) -> list[tuple[int, int]]:
    """The cross heads (layer, head) that follow the recording, as the model's own settings name them.

    Where they name none, all heads of the upper half of the layers, as Whisper's code takes them.
    """
    named = getattr(model.hf.generation_config, "alignment_heads", None)
    layers, heads = model.hf.config.decoder_layers, model.hf.config.decoder_attention_heads
    if named:
        return [(int(layer), int(head)) for layer, head in named]
    return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]


def transcribe(model: Model, spectrogram: Any, at_most: int = MOST, *, turn: Turn = nullcontext) -> Iterator[int]:
    """The tokens of what is said in a spectrogram [band, frame], without what a transcript begins and ends with.

    The encoder's pass and each token are computed inside a `turn()` of their own. Ends at the model's end sign, at its
    limit, or after `at_most` tokens. Raises HeadlightError for a model that reads text.
    """
    import torch

    if not model.reads_sound:
        raise HeadlightError(f"{model.name} reads text, not sound.")
    sound = torch.as_tensor(np.asarray(spectrogram), dtype=model.hf.dtype, device=model.hf.device)[None]
    with turn(), model.running():
        heard = model.hf.get_encoder()(sound)
    said = opening(model)
    n_opening, unread, kept = len(said), said, None
    settings = model.hf.generation_config
    never = list(getattr(settings, "suppress_tokens", None) or [])
    not_first = list(getattr(settings, "begin_suppress_tokens", None) or [])
    while len(said) - n_opening < at_most and len(said) < model.limit - 1:  # a place is the end sign's
        with turn(), model.running():
            output = model.hf(
                encoder_outputs=heard,
                decoder_input_ids=torch.tensor([unread], device=model.hf.device),
                past_key_values=kept,
                use_cache=True,
            )
            logits, kept = output.logits[0, -1].float().cpu().numpy().copy(), output.past_key_values
        logits[never + (not_first if len(said) == n_opening else [])] = -np.inf
        word = int(logits.argmax())
        if word in ends_of(model):
            return
        said, unread = [*said, word], [word]
        yield word
