"""Tiny random models of every family that Headlight knows, biases and norms made uneven, saved as a visitor would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

TEXT = "one grey fox ran far over the hill and the old fox sat by the tree while the sun went down on it"
STARTER_LABELS = [  # as MiniLM reads the first sentence
    *("[CLS]", "a", "fluffy", "blue", "creature", "roam", "##ed"),
    *("the", "ve", "##rdan", "##t", "forest", "[SEP]"),
]
TARGET = "un renard gris court loin de la colline"

_HEADS = {"num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 99}
_BERT = {**_HEADS, "intermediate_size": 48, "max_position_embeddings": 64}
_LLAMA = {**_HEADS, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
_BART = {
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
}
SEQ2SEQ = {  # still smaller, of one layer each
    "vocab_size": 40,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 32,
}
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Family:
    """A configuration, the class that it is built with, and what is special about it."""

    config: Callable[[], Any]
    auto: Any = tf.AutoModelForCausalLM
    block: str = "pre-norm"
    projections: bool = True

    def build(self, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        model = self.auto.from_config(self.config(), attn_implementation="eager").eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                noise = torch.randn_like(weight)
                if weight.dim() > 1:
                    weight.copy_(noise * 0.2)
                elif "bias" in name:
                    weight.copy_(noise * 0.1)
                else:  # norms
                    weight.add_(noise * 0.1)
        return model


FAMILIES = {
    "bert": Family(lambda: tf.BertConfig(**_BERT), tf.AutoModel, "post-norm"),
    "roberta": Family(lambda: tf.RobertaConfig(**_BERT, **_IDS), tf.AutoModel, "post-norm"),
    "distilbert": Family(
        lambda: tf.DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
        tf.AutoModel,
        "post-norm",
    ),
    "electra": Family(lambda: tf.ElectraConfig(**_BERT, embedding_size=16), tf.AutoModel, "post-norm"),
    "albert": Family(lambda: tf.AlbertConfig(**_BERT, embedding_size=16), tf.AutoModel, "post-norm"),
    "modernbert": Family(  # a window that looks both ways, on every other layer
        lambda: tf.ModernBertConfig(**_BERT, **_IDS, local_attention=8, global_attn_every_n_layers=2), tf.AutoModel
    ),
    "gpt2": Family(lambda: tf.GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=64, **_IDS)),
    "opt": Family(  # queries scaled before attention
        lambda: tf.OPTConfig(**_HEADS, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=32, **_IDS)
    ),
    "gpt_neox": Family(  # interleaved projections, a part of the dimensions rotated, parallel blocks
        lambda: tf.GPTNeoXConfig(**_BERT, **_IDS), block="parallel"
    ),
    "phi": Family(lambda: tf.PhiConfig(**_BERT, **_IDS), block="parallel"),
    "llama": Family(lambda: tf.LlamaConfig(**_LLAMA, **_IDS, attention_bias=True)),  # grouped queries
    "mistral": Family(  # a sliding window, shorter than the text
        lambda: tf.MistralConfig(**_LLAMA, **_IDS, sliding_window=6)
    ),
    "qwen2": Family(lambda: tf.Qwen2Config(**{**_LLAMA, "vocab_size": 400}, **_IDS)),
    "qwen3": Family(lambda: tf.Qwen3Config(**_LLAMA, **_IDS, head_dim=8), projections=False),
    "smollm3": Family(lambda: tf.SmolLM3Config(**_LLAMA, **_IDS)),
    "gemma2": Family(  # soft caps, norms after, a sliding window on every other layer
        lambda: tf.Gemma2Config(
            **_LLAMA, **_IDS, head_dim=8, query_pre_attn_scalar=8, sliding_window=6, attn_logit_softcapping=2.0
        ),
        block="norm-after",
    ),
    "gemma3": Family(
        lambda: tf.Gemma3TextConfig(**_LLAMA, **_IDS, head_dim=8, query_pre_attn_scalar=8, sliding_window=6),
        block="norm-after",
        projections=False,
    ),
    "olmo2": Family(lambda: tf.Olmo2Config(**_LLAMA, **_IDS), block="norm-after", projections=False),
    "t5": Family(  # a relative bias, no scale
        lambda: tf.T5Config(
            vocab_size=99, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=3, num_heads=4,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=2,
        ),
        tf.AutoModelForSeq2SeqLM,
    ),
    "bart": Family(
        lambda: tf.BartConfig(**_BART, **_IDS, decoder_start_token_id=2), tf.AutoModelForSeq2SeqLM, "post-norm"
    ),
    "mbart": Family(lambda: tf.MBartConfig(**_BART, **_IDS, decoder_start_token_id=2), tf.AutoModelForSeq2SeqLM),
    "marian": Family(
        lambda: tf.MarianConfig(**_BART, **{**_IDS, "pad_token_id": 98}, decoder_start_token_id=98),
        tf.AutoModelForSeq2SeqLM,
        "post-norm",
    ),
    "nllb-moe": Family(  # its decoder does not say that it is causal: only the mask does
        lambda: tf.NllbMoeConfig(
            **_BART, **_IDS, decoder_start_token_id=2, num_experts=4, encoder_sparse_step=2, decoder_sparse_step=2
        ),
        tf.AutoModelForSeq2SeqLM,
    ),
    "bigbird_pegasus": Family(  # a decoder alone, and again one that does not say so
        lambda: tf.BigBirdPegasusConfig(**{**_BART, "encoder_layers": 3}, **_IDS), tf.AutoModelForCausalLM
    ),
    "m2m_100": Family(
        lambda: tf.M2M100Config(**_BART, **_IDS, decoder_start_token_id=2), tf.AutoModelForSeq2SeqLM
    ),
    "xlm-roberta": Family(lambda: tf.XLMRobertaConfig(**_BERT, **_IDS), tf.AutoModel, "post-norm"),
    "gpt_bigcode": Family(  # one key and one value for all heads
        lambda: tf.GPTBigCodeConfig(
            vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=64, multi_query=True, **_IDS
        )
    ),
    "gemma": Family(lambda: tf.GemmaConfig(**_LLAMA, **_IDS, head_dim=8)),
    "cohere": Family(lambda: tf.CohereConfig(**_LLAMA, **_IDS), block="parallel"),  # neighbours are rotated
    "phi3": Family(lambda: tf.Phi3Config(**_LLAMA, **_IDS, sliding_window=6)),  # one projection for q, k and v
    "stablelm": Family(lambda: tf.StableLmConfig(**_LLAMA, **_IDS, use_qkv_bias=True)),
    "glm4": Family(lambda: tf.Glm4Config(**_LLAMA, **_IDS, head_dim=8), block="norm-after"),
    "nemotron": Family(lambda: tf.NemotronConfig(**_LLAMA, **_IDS)),
    "mixtral": Family(  # experts in place of one MLP
        lambda: tf.MixtralConfig(**_LLAMA, **_IDS, num_local_experts=4, num_experts_per_tok=2)
    ),
    "granite": Family(  # a share of what attention and the MLP give is added
        lambda: tf.GraniteConfig(
            **_LLAMA, **_IDS, residual_multiplier=0.22, embedding_multiplier=12.0, logits_scaling=8.0
        ),
        block="scaled",
    ),
}  # fmt: skip

# What has nothing that none of the others has. `test_capture` reads them in every run; what is asked of each family
# beside that, and takes long, is asked of these in `make test-full`.
ALIKE = (
    "roberta", "xlm-roberta", "distilbert", "albert", "phi", "phi3", "mistral", "qwen2", "smollm3", "gemma", "gemma3",
    "stablelm", "glm4", "nemotron", "marian", "m2m_100", "nllb-moe",
)  # fmt: skip


def of_each_kind(names: Iterable[str] = FAMILIES) -> list[Any]:
    """Families as parameters of a test; those that are like others are left to `make test-full`."""
    return [pytest.param(name, marks=[pytest.mark.full] if name in ALIKE else []) for name in sorted(names)]


OUTSIDE = {  # families whose attention does not go through the library's interface
    "gpt_neo": Family(
        lambda: tf.GPTNeoConfig(
            vocab_size=99, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], **_IDS
        )
    ),
    "bloom": Family(lambda: tf.BloomConfig(vocab_size=99, hidden_size=32, n_layer=2, n_head=4, **_IDS)),
    "mpt": Family(lambda: tf.MptConfig(vocab_size=99, d_model=32, n_layers=2, n_heads=4, max_seq_len=64)),
    "falcon": Family(
        lambda: tf.FalconConfig(
            vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True, **_IDS
        )
    ),
    "deberta-v2": Family(
        lambda: tf.DebertaV2Config(**_BERT, relative_attention=True, pos_att_type=["p2c", "c2p"]), tf.AutoModel
    ),
}


def word_tokenizer() -> Any:
    """A fast tokenizer of whole words, with a frame as BERT has it."""
    core = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=99, special_tokens=["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    core.train_from_iterator([TEXT, TARGET], trainer)
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    )  # fmt: skip


def byte_tokenizer() -> Any:
    """A true byte-level BPE, as GPT-2 has it: spaces become Ġ, every other letter of "café" two bytes."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    core.train_from_iterator([TEXT] * 8, trainer)
    return tf.GPT2TokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", model_max_length=64)


CAUSAL = ["gpt2", "opt", "gpt_neox", "llama", "gemma2", "olmo2"]  # whose next words are compared


def save(name: str, folder: Path, seed: int = 0) -> Any:
    """Save a tiny random model of a family with a tokenizer, and return the eager model that was saved."""
    model = (FAMILIES | OUTSIDE)[name].build(seed)
    model.save_pretrained(folder)
    (byte_tokenizer() if name in ("gpt2", "qwen2") else word_tokenizer()).save_pretrained(folder)
    return model


def whisper(n_key: int) -> Any:
    """A tiny model that reads sound of `n_key` moments and writes words; random weights, the same in every run."""
    torch.manual_seed(0)
    config = tf.WhisperConfig(
        vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=n_key, num_mel_bins=8,
        max_target_positions=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    return tf.WhisperForConditionalGeneration._from_config(config, attn_implementation="eager").eval()


# Signs, and ids without a word: what `save_whisper` never writes, so that it writes until it is stopped.
NEVER_WRITTEN = [0, 1, 2, 3, *range(len(word_tokenizer()), 99)]


def save_whisper(folder: Path) -> None:
    """A random Whisper of half a minute and eight bands whose cross heads look somewhere, two of them for alignment."""
    made = whisper(1500)
    with torch.no_grad():
        for layer in made.model.decoder.layers:
            layer.encoder_attn.q_proj.weight.mul_(300)  # or it would look everywhere alike, and times would be noise
    made.save_pretrained(folder)
    file = folder / "generation_config.json"
    own = {"alignment_heads": [[0, 1], [1, 2]], "suppress_tokens": NEVER_WRITTEN, "_from_model_config": False}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    word_tokenizer().save_pretrained(folder)
