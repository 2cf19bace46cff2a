"""Hand-made models whose heads do one thing: what a head's card must say of them is known."""

from __future__ import annotations

import torch
import transformers as tf

TOKENS = PLACES = 64
D_HEAD = 64


def silent(layers: int = 2):
    """A GPT-2 that adds next to nothing: tokens, places and a third block of its stream are 64 dimensions each.

    Its matrices are a little noise, not zeros: where nothing is computed, nothing shows how it is wired, nor where two
    are one.
    """
    torch.manual_seed(0)
    config = tf.GPT2Config(
        vocab_size=TOKENS, n_embd=3 * D_HEAD, n_layer=layers, n_head=3, n_positions=PLACES, n_inner=8,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = tf.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "ln_" in name:
                weight.fill_(float("weight" in name))
            else:
                weight.copy_(0.002 * torch.randn_like(weight) if weight.dim() > 1 else torch.zeros_like(weight))
        model.transformer.wte.weight[:, :D_HEAD] += torch.eye(TOKENS)
        model.transformer.wpe.weight[:, D_HEAD : 2 * D_HEAD] += torch.eye(PLACES)
    return model


def plant(model, layer, head, *, query=None, key=None, value=None, output=None):
    """Add to a head's matrices: W_Q, W_K, W_V as [d_model, d_head], W_O as [d_head, d_model]."""
    attention, d_model = model.transformer.h[layer].attn, model.config.n_embd
    own = slice(head * D_HEAD, (head + 1) * D_HEAD)
    with torch.no_grad():
        for at, matrix in enumerate((query, key, value)):
            if matrix is not None:
                attention.c_attn.weight[:, at * d_model + own.start : at * d_model + own.stop] += matrix
        if output is not None:
            attention.c_proj.weight[own] += output


def block(at, matrix=None):
    """A matrix [d_model, d_head] that reads one block of the stream, by default as it is."""
    read = torch.zeros(3 * D_HEAD, D_HEAD)
    read[at * D_HEAD : (at + 1) * D_HEAD] = torch.eye(D_HEAD) if matrix is None else matrix
    return read


def induction_pair():
    """Head 0.1 writes the token before into the third block; head 1.2 looks where that is its own token, and copies."""
    model = silent()
    before = torch.diag(torch.ones(PLACES - 1), -1)  # place i → place i − 1
    plant(model, 0, 1, query=block(1, before), key=block(1), value=block(0), output=block(2).T)
    plant(model, 1, 2, query=6 * block(0), key=block(2), value=block(0), output=block(0).T)
    return model
