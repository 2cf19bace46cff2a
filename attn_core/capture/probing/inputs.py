"""What a fresh model is given to read, so that its wiring shows: ordinary tokens, as few as tell streams apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
