"""Our own small models with the weights of a checkpoint, so that the library can judge our forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from attn_core.tiny import checkpoints
from attn_core.tiny.decoder import Decoder, DecoderShape
from attn_core.tiny.translator import Translator, TranslatorShape


def load_decoder(folder: Path) -> Decoder:
    """Our own decoder with the weights of a folder that `save_decoder` wrote."""
    config, weights = _read(folder)
    model = Decoder(
        DecoderShape(
            config["vocab_size"], config["n_layer"], config["n_head"], config["n_embd"], config["n_inner"],
            config["n_positions"],
        )
    )  # fmt: skip
    _fill(checkpoints.gpt2_names(model), weights)
    return model.eval()


def load_translator(folder: Path) -> Translator:
    """Our own translator with the weights of a folder that `save_translator` wrote."""
    config, weights = _read(folder)
    model = Translator(
        TranslatorShape(
            config["vocab_size"], config["encoder_layers"], config["encoder_attention_heads"], config["d_model"],
            config["encoder_ffn_dim"], config["max_position_embeddings"],
        )
    )  # fmt: skip
    _fill(checkpoints.mbart_names(model), weights)
    return model.eval()


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


@torch.no_grad()
def _fill(names: checkpoints.Parts, weights: dict[str, Tensor]) -> None:
    """Write the library's weights into ours, through the views that `names` holds."""
    for name, parts in names.items():
        pieces = torch.split(weights[name], [part.shape[-1] for part in parts], dim=-1)
        for part, piece in zip(parts, pieces, strict=True):
            part.copy_(piece)
