"""The small models as checkpoints of the transformers library: the decoder as GPT-2, the translator as mBART.

Only names change, and mBART's matrices, which the library keeps as [out, in]. Everything that opens a library model can
therefore open ours, and the library itself can be asked whether our forward pass is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny import grammar_words as lexicon
from attn_core.tiny.decoder import Decoder
from attn_core.tiny.layers import Attention
from attn_core.tiny.tokenizer import word_tokenizer
from attn_core.tiny.translator import Translator

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Parts = dict[str, tuple[Tensor, ...]]  # the library's name of a matrix → ours, to be put side by side

ENGLISH_WORD = r"<\w+>|\w+(?:['-]\w+)*|[^\w\s]"
EITHER_WORD = r"</?\w+>|\w+'|\w+|[^\w\s]"  # the French l' is a word of its own


def story_tokenizer(limit: int) -> PreTrainedTokenizerFast:
    """The decoder's words; every text begins with `<bos>`."""
    return word_tokenizer(
        stories.vocabulary(),
        lexicon.SLOTS,
        template="<bos> $A",
        cut=ENGLISH_WORD,
        limit=limit,
        bos_token=lexicon.BOS,
    )


def phrase_tokenizer(limit: int) -> PreTrainedTokenizerFast:
    """The words of both languages; every text ends with `</s>`."""
    special = {"pad_token": phrases.PAD, "bos_token": phrases.START, "eos_token": phrases.END}
    return word_tokenizer(
        phrases.vocabulary(), phrases.SLOTS, template="$A </s>", cut=EITHER_WORD, limit=limit, **special
    )


def save_decoder(model: Decoder, folder: Path) -> None:
    """Write model.safetensors, config.json and the tokenizer's files of a GPT-2 with these weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = model.shape
    config = GPT2Config(
        vocab_size=shape.n_words, n_positions=shape.context, n_embd=shape.d_model, n_layer=shape.n_layers,
        n_head=shape.n_heads, n_inner=shape.d_mlp, activation_function="gelu", bos_token_id=0, eos_token_id=None,
    )  # fmt: skip
    _save(GPT2LMHeadModel(config), gpt2_names(model), story_tokenizer(shape.context), folder)


def save_translator(model: Translator, folder: Path) -> None:
    """Write model.safetensors, config.json and the tokenizer's files of an mBART with these weights."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    shape = model.shape
    words = phrases.vocabulary()
    config = MBartConfig(
        vocab_size=shape.n_words, d_model=shape.d_model, max_position_embeddings=shape.context, scale_embedding=False,
        encoder_layers=shape.n_layers, encoder_attention_heads=shape.n_heads, encoder_ffn_dim=shape.d_mlp,
        decoder_layers=shape.n_layers, decoder_attention_heads=shape.n_heads, decoder_ffn_dim=shape.d_mlp,
        pad_token_id=words.index(phrases.PAD), bos_token_id=words.index(phrases.START),
        eos_token_id=words.index(phrases.END), decoder_start_token_id=words.index(phrases.START),
        forced_eos_token_id=None,
    )  # fmt: skip
    _save(MBartForConditionalGeneration(config), mbart_names(model), phrase_tokenizer(shape.context), folder)


def _save(theirs: Any, weights: Parts, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    state = {name: torch.cat(parts, dim=-1).detach().contiguous() for name, parts in weights.items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    tied = ("lm_head.weight", "embed_tokens.weight", "final_logits_bias")
    if unexpected or not all(name.endswith(tied) for name in missing):
        raise ValueError(f"the library's model has other weights; ours only: {unexpected}; theirs only: {missing}")
    theirs.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # the library makes it readable for its owner only
    tokenizer.save_pretrained(folder)


def gpt2_names(model: Decoder) -> Parts:
    """What GPT-2 calls the weights of the decoder; its q, k and v lie side by side in one matrix."""
    names: Parts = {
        "transformer.wte.weight": (model.word.weight,),
        "transformer.wpe.weight": (model.position.weight,),
        **_norm("transformer.ln_f", model.norm),
    }
    block: Any
    for number, block in enumerate(model.blocks):
        own, at, mlp = f"transformer.h.{number}", block.attention, block.mlp
        names |= {
            **_norm(f"{own}.ln_1", block.norm_1),
            **_norm(f"{own}.ln_2", block.norm_2),
            f"{own}.attn.c_attn.weight": (at.w_q, at.w_k, at.w_v),
            f"{own}.attn.c_attn.bias": (at.b_q, at.b_k, at.b_v),
            f"{own}.attn.c_proj.weight": (at.w_o,),
            f"{own}.attn.c_proj.bias": (at.b_o,),
            f"{own}.mlp.c_fc.weight": (mlp.w_up,),
            f"{own}.mlp.c_fc.bias": (mlp.b_up,),
            f"{own}.mlp.c_proj.weight": (mlp.w_down,),
            f"{own}.mlp.c_proj.bias": (mlp.b_down,),
        }
    return names


def mbart_names(model: Translator) -> Parts:
    """What mBART calls the weights of the translator."""
    names: Parts = {"model.shared.weight": (model.word.weight,)}
    block: Any
    for side, stem, blocks, norm in (
        ("encoder", model.encoder_stem, model.encoder, model.encoder_norm),
        ("decoder", model.decoder_stem, model.decoder, model.decoder_norm),
    ):
        names |= {
            f"model.{side}.embed_positions.weight": (stem.position.weight,),
            **_norm(f"model.{side}.layernorm_embedding", stem.norm),
            **_norm(f"model.{side}.layer_norm", norm),
        }
        for number, block in enumerate(blocks):
            own = f"model.{side}.layers.{number}"
            names |= _linear(f"{own}.fc1", block.mlp.w_up, block.mlp.b_up)
            names |= _linear(f"{own}.fc2", block.mlp.w_down, block.mlp.b_down)
            names |= _attention(f"{own}.self_attn", block.attention) | _norm(
                f"{own}.self_attn_layer_norm", block.norm_1
            )
            if side == "encoder":
                names |= _norm(f"{own}.final_layer_norm", block.norm_2)
            else:
                names |= _attention(f"{own}.encoder_attn", block.across)
                names |= _norm(f"{own}.encoder_attn_layer_norm", block.norm_2)
                names |= _norm(f"{own}.final_layer_norm", block.norm_3)
    return names


def _norm(name: str, norm: nn.LayerNorm) -> Parts:
    return {f"{name}.weight": (norm.weight,), f"{name}.bias": (norm.bias,)}


def _linear(name: str, weight: Tensor, bias: Tensor) -> Parts:
    return {f"{name}.weight": (weight.T,), f"{name}.bias": (bias,)}


def _attention(name: str, at: Attention) -> Parts:
    return (
        _linear(f"{name}.q_proj", at.w_q, at.b_q)
        | _linear(f"{name}.k_proj", at.w_k, at.b_k)
        | _linear(f"{name}.v_proj", at.w_v, at.b_v)
        | _linear(f"{name}.out_proj", at.w_o, at.b_o)
    )
