"""A family that cannot be shown is refused for the reason that is true, and by its name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf
from families import word_tokenizer

import attn_core as ac

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2}
_HEADS = {**_SMALL, "num_attention_heads": 4, "intermediate_size": 48}
_IMAGE = {**_HEADS, "image_size": 16, "patch_size": 8}
_SOUND = {
    **_HEADS, "vocab_size": 99, "conv_dim": (16, 16), "conv_stride": (2, 2), "conv_kernel": (3, 3),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip

NO_ATTENTION = [
    tf.AutoConfig.for_model("xlstm", vocab_size=99, num_blocks=2, num_heads=4, **_SMALL),
    tf.MambaConfig(vocab_size=99, state_size=4, **_SMALL),
    tf.Mamba2Config(vocab_size=99, num_heads=4, head_dim=16, n_groups=1, state_size=4, **_SMALL),
    tf.RwkvConfig(vocab_size=99, **_SMALL),
    tf.FNetConfig(vocab_size=99, intermediate_size=48, **_SMALL),
]
_LISTENER = tf.AutoConfig.for_model(
    "moonshine", vocab_size=99, hidden_size=32, intermediate_size=48, encoder_num_hidden_layers=2,
    decoder_num_hidden_layers=2, encoder_num_attention_heads=4, decoder_num_attention_heads=4, bos_token_id=1,
    eos_token_id=2, pad_token_id=0, decoder_start_token_id=1,
)  # fmt: skip
NO_TEXT = [  # and what it looks at or listens to is of a form that is not known
    (tf.VideoMAEConfig(**_IMAGE, num_frames=2, decoder_num_hidden_layers=1), "images"),
    (tf.VivitConfig(**_IMAGE, num_frames=2, tubelet_size=[2, 8, 8]), "images"),
    (_LISTENER, "sound"),
    (tf.ASTConfig(**_HEADS, patch_size=8, max_length=64, num_mel_bins=16), "sound"),
]
ELSEWHERE = [  # a bias of their own stands in the way of the library's interface
    tf.WavLMConfig(**_SOUND),
]


def refusal(config: Any) -> str:
    torch.manual_seed(0)
    with pytest.raises(ac.UnsupportedFamily) as raised:
        ac.wrap(tf.AutoModel.from_config(config).eval(), word_tokenizer())
    return str(raised.value)


@pytest.mark.parametrize("config", NO_ATTENTION, ids=lambda config: config.model_type)
def test_what_has_no_attention_says_so(config: Any) -> None:
    assert refusal(config) == (
        f"{config.model_type} models have no attention: they mix words in another way, "
        "so there are no patterns to show."
    )


@pytest.mark.parametrize(("config", "reads"), NO_TEXT, ids=lambda value: getattr(value, "model_type", value))
def test_what_reads_no_text_says_what_it_reads(config: Any, reads: str) -> None:
    assert refusal(config) == (
        f"{config.model_type} models read {reads}, and no text alone: there is no sentence to show."
    )


@pytest.mark.parametrize("config", ELSEWHERE, ids=lambda config: config.model_type)
def test_attention_outside_of_the_interface_is_said_of_models_of_images_and_sound(config: Any) -> None:
    assert refusal(config).startswith(f"{config.model_type} models compute attention outside the library's")


def test_windows_that_attend_by_themselves_are_refused() -> None:
    swin = tf.SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
    assert refusal(swin).startswith("This model cuts what it reads into windows")


def test_two_stacks_of_their_own_are_wrapped_one_by_one() -> None:
    text = {**_HEADS, "vocab_size": 99, "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2}
    said = refusal(tf.CLIPConfig(text_config=text, vision_config=_IMAGE, projection_dim=16))
    assert "wrap one of them, such as model.text_model or model.vision_model" in said


# What attention gives goes through something else before its output projection, or through none of it.
NO_W_O = [  # the first turns it back by each word's position, the second has a gate
    tf.AutoConfig.for_model("deepseek_v4", **_HEADS, vocab_size=99, num_key_value_heads=2),
    tf.AutoConfig.for_model("hy_v4", **_HEADS, vocab_size=99, num_key_value_heads=2, pad_token_id=0),
]


@pytest.mark.parametrize("config", NO_W_O, ids=lambda config: config.model_type)
def test_what_changes_what_attention_returns_before_a_linear_map_says_so_by_its_name(config: Any) -> None:
    assert refusal(config) == (
        f"In {config.model_type} models what attention returns is changed, as by a gate or a rotation, before a linear "
        "map takes it, so ΔE cannot be told per head."
    )


class _Curved(torch.nn.Module):
    def __init__(self, dense: torch.nn.Module) -> None:
        super().__init__()
        self.weight = dense.weight

    def forward(self, joined: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(joined @ self.weight.T)


def test_what_has_no_linear_map_behind_attention_says_so() -> None:
    """Where the module that follows stands in attention's own, it is known that it is this one that is not linear."""
    bert = tf.BertModel(tf.BertConfig(**_HEADS, vocab_size=99)).eval()
    output = bert.encoder.layer[0].attention.output
    output.dense = _Curved(output.dense)
    llama = tf.LlamaModel(tf.LlamaConfig(**_HEADS, vocab_size=99)).eval()
    llama.layers[0].self_attn.o_proj = _Curved(llama.layers[0].self_attn.o_proj)
    said = []
    for model in (bert, llama):
        with pytest.raises(ac.UnsupportedFamily) as raised:
            ac.wrap(model, word_tokenizer())
        said.append(str(raised.value))
    assert said == [
        "In bert models no linear map takes what attention returns, so ΔE cannot be told per head.",
        "In llama models what takes what attention returns is no linear map, so ΔE cannot be told per head.",
    ]


def test_a_family_that_does_not_run_with_its_own_attention_is_refused() -> None:
    """Nothing could be compared then; its sizes leave no keys (KV size 0)."""
    config = tf.AutoConfig.for_model("glm_moe_dsa", vocab_size=99, n_routed_experts=4, num_experts_per_tok=2, **_HEADS)
    with pytest.raises(ac.UnsupportedFamily, match="glm_moe_dsa models do not run with"):
        ac.wrap(tf.AutoModel.from_config(config).eval(), word_tokenizer())


# --- Two models joined, and configurations within configurations ----------------------------------------------------


def test_two_encoders_joined_write_a_text() -> None:
    """Such a configuration names no end and no width of its own."""
    sizes = {**_HEADS, "vocab_size": 99, "max_position_embeddings": 64}
    parts = tf.BertConfig(**sizes), tf.BertConfig(**sizes, is_decoder=True, add_cross_attention=True)
    config = tf.EncoderDecoderConfig.from_encoder_decoder_configs(*parts)
    config.decoder_start_token_id = 1
    model = ac.wrap(tf.EncoderDecoderModel(config=config).eval(), word_tokenizer())
    trace = ac.trace(model, "the old fox", target="the grey fox")
    assert trace.tokens_of("decoder")[0].labels == ["[CLS]", "the", "grey", "fox"]
    assert trace.check().ok and trace.vocabulary.matrix.shape[1] == 32


def test_the_words_of_a_configuration_in_two_parts() -> None:
    part = {**_HEADS, "num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8, "vocab_size": 99}
    config = tf.T5GemmaConfig(encoder=part, decoder=part, vocab_size=99, decoder_start_token_id=1)
    model = ac.wrap(tf.AutoModelForSeq2SeqLM.from_config(config).eval(), word_tokenizer())
    trace = ac.trace(model, "the old fox", target="the grey fox")
    assert trace.vocabulary.matrix.shape == (99, 32) and trace.logits().shape == (99,)
