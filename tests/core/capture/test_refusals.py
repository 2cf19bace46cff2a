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
    tf.MambaConfig(vocab_size=99, state_size=4, **_SMALL),
    tf.Mamba2Config(vocab_size=99, num_heads=4, head_dim=16, n_groups=1, state_size=4, **_SMALL),
    tf.RwkvConfig(vocab_size=99, **_SMALL),
    tf.FNetConfig(vocab_size=99, intermediate_size=48, **_SMALL),
]
NO_TEXT = [
    (tf.ViTConfig(**_IMAGE), "images"),
    (tf.DeiTConfig(**_IMAGE), "images"),
    (tf.Dinov2Config(**_IMAGE), "images"),
    (tf.Wav2Vec2Config(**_SOUND), "sound"),
    (tf.HubertConfig(**_SOUND), "sound"),
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


def test_learned_sinks_are_refused_by_the_familys_name() -> None:
    config = tf.GptOssConfig(
        vocab_size=99, num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1, **_HEADS
    )
    assert refusal(config).startswith("gpt_oss models have learned attention sinks")
