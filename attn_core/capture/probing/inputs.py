"""What a fresh model is given to read, so that its wiring shows: ordinary tokens, as few as tell streams apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def probe_inputs(hf_model: Any) -> dict[str, Tensor]:
    """Five tokens to read and, for an encoder-decoder, four to write, no special ones among them.

    A model that looks gets an image of noise, of the size that it was made for, one that listens a short noise.
    """
    config, main = hf_model.config, hf_model.main_input_name
    if main == "pixel_values" and is_known(hf_model):
        size = config.image_size
        height, width = size if isinstance(size, list | tuple) else (size, size)
        return {main: torch.randn(1, getattr(config, "num_channels", 3), height, width)}
    if main == "input_values" and is_known(hf_model):
        return {main: torch.randn(1, _samples(config, 6))}
    target = torch.tensor([_ordinary_ids(hf_model, 4)])
    if hf_model.main_input_name == "input_features":  # a spectrogram, of the one length that the model takes
        sound = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
        return {"input_features": sound, "decoder_input_ids": target}
    ids = torch.tensor([_ordinary_ids(hf_model, 5)])
    return {"input_ids": ids, "decoder_input_ids": target} if config.is_encoder_decoder else {"input_ids": ids}


def is_known(hf_model: Any) -> bool:
    """Whether it is known what a model looks at or listens to: an image of one size, samples for convolutions."""
    asked = {"pixel_values": "image_size", "input_values": "conv_stride"}.get(hf_model.main_input_name, "")
    return hasattr(hf_model.config, asked) and not hasattr(hf_model.config, "tubelet_size")  # which films are cut into


def _samples(config: Any, n_positions: int) -> int:
    """How many samples a stack of convolutions makes so many positions of."""
    count = n_positions
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        count = (count - 1) * stride + kernel
    return count


def _ordinary_ids(hf_model: Any, count: int) -> list[int]:
    n_words = hf_model.get_input_embeddings().weight.shape[0]
    special = {getattr(hf_model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    ordinary = [i for i in range(n_words) if i not in special]
    return [ordinary[(i + 1) * len(ordinary) // (count + 2)] for i in range(count)]
