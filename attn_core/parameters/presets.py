"""Published hyper-parameters, each with its source, so that a model can be counted without being fetched.

They are in each family's own words; what a family's configuration leaves unsaid is in `architectures.families`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attn_core.settings import assets_folder


@dataclass(frozen=True)
class Preset:
    """One set of published numbers. `note` is what somebody who compares them with the source should know."""

    name: str
    title: str
    group: str
    config: Mapping[str, Any]
    source: str
    note: str = ""


_SHARED = (
    "The lesson counts an embedding and an unembedding; the total counts one matrix for both, as in GPT-2, whose "
    "architecture GPT-3 uses."
)
_XL = (
    "Table 2.1 prints 24 heads of 128 for this size, but 24 × 128 = 3,072 is not d_model = 2,048 and would make 1.5 "
    "billion. Counted here with 16 heads of 128, which give the 1.3 billion of its name."
)
_13B = "Table 2.1 prints d_model 5,140, though 40 heads of 128 make 5,120. Counted here as printed."
_WINDOW = "A sliding window of 4,096 tokens bounds the cache that it really keeps."


def _gpt3(name: str, title: str, n_layers: int, d_model: int, n_heads: int, d_head: int, note: str = "") -> Preset:
    sizes = {"n_layers": n_layers, "d_model": d_model, "n_heads": n_heads, "d_head": d_head, "d_ff": 4 * d_model}
    config = {"model_type": "gpt-3", **sizes, "vocabulary": 50257, "context": 2048, "tied": True}
    return Preset(name, title, "GPT-3", config, "Brown et al. 2020, Table 2.1 and section 2.1", note)


def _gpt2(name: str, title: str, n_layer: int, n_embd: int, n_head: int) -> Preset:
    return _published(
        *(name, title, "GPT-2", "gpt2", "GPT2LMHeadModel"),
        "Sanh et al. 2019" if name == "distilgpt2" else "Radford et al. 2019, Table 2",
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_positions=1024,
        vocab_size=50257,
    )


def _bert(name: str, title: str, group: str, source: str, d_model: int, n_layers: int, n_heads: int) -> Preset:
    return _published(
        *(name, title, group, "bert", "BertModel", source),
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * d_model,
        vocab_size=30522,
        max_position_embeddings=512,
        type_vocab_size=2,
    )


def _first(name: str, title: str, d_model: int, d_ff: int, n_heads: int, millions: int) -> Preset:
    sizes = {"d_model": d_model, "d_ff": d_ff, "n_heads": n_heads, "d_head": 64, "n_layers": 6, "n_decoder_layers": 6}
    config = {"model_type": "transformer", **sizes, "vocabulary": 37000, "context": 512, "tied": True}
    note = f"The paper says {millions} million and “about 37,000” shared tokens; counted here with exactly 37,000."
    return Preset(name, title, "First Transformer", config, "Vaswani et al. 2017, Table 3 and section 5.1", note)


def _llama(name: str, title: str, source: str, *sizes: int, family: str = "llama", note: str = "") -> Preset:
    """`sizes`: d_model, blocks, heads, groups, d_ff, vocabulary, context."""
    names = "hidden_size num_hidden_layers num_attention_heads num_key_value_heads intermediate_size vocab_size"
    config = dict(zip([*names.split(), "max_position_embeddings"], sizes, strict=True))
    top = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}[family]
    return _published(name, title, "Grouped queries", family, top, source, note, tie_word_embeddings=False, **config)


def _smollm2(key: str, title: str) -> Preset:
    return _published(
        *(key, title, "Catalogue", "llama", "LlamaForCausalLM"),
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        vocab_size=49152,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )


def _neox(name: str, title: str, d_model: int, n_layers: int, n_heads: int) -> Preset:
    return _published(
        *(name, title, "Catalogue", "gpt_neox", "GPTNeoXForCausalLM", "Biderman et al. 2023, Table 1"),
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * d_model,
        vocab_size=50304,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )


def _published(
    name: str, title: str, group: str, family: str, top: str, source: str = "", note: str = "", **config: Any
) -> Preset:
    """Numbers that stand in a config.json on the hub, and in a paper where `source` names one."""
    source = f"{source}, and the published configuration" if source else "the published configuration"
    return Preset(name, title, group, {"model_type": family, "architectures": [top], **config}, source, note)


def _shipped(name: str, title: str) -> list[Preset]:
    """A model that we trained: its numbers are in the file beside its weights."""
    file = assets_folder() / "models" / name / "config.json"
    if not file.is_file():
        return []
    return [Preset(name, title, "Catalogue", json.loads(file.read_text()), f"assets/models/{name}/config.json")]


_ALL = (
    _gpt3("gpt-3", "GPT-3 175B", 96, 12288, 96, 128, _SHARED),
    _gpt3("gpt-3-13b", "GPT-3 13B", 40, 5140, 40, 128, _13B),
    _gpt3("gpt-3-6.7b", "GPT-3 6.7B", 32, 4096, 32, 128),
    _gpt3("gpt-3-2.7b", "GPT-3 2.7B", 32, 2560, 32, 80),
    _gpt3("gpt-3-xl", "GPT-3 XL 1.3B", 24, 2048, 16, 128, _XL),
    _gpt3("gpt-3-large", "GPT-3 Large 760M", 24, 1536, 16, 96),
    _gpt3("gpt-3-medium", "GPT-3 Medium 350M", 24, 1024, 16, 64),
    _gpt3("gpt-3-small", "GPT-3 Small 125M", 12, 768, 12, 64),
    _gpt2("gpt2", "GPT-2", 12, 768, 12),
    _gpt2("gpt2-medium", "GPT-2 medium", 24, 1024, 16),
    _gpt2("gpt2-large", "GPT-2 large", 36, 1280, 20),
    _gpt2("gpt2-xl", "GPT-2 XL", 48, 1600, 25),
    _bert("bert-base-uncased", "BERT base", "BERT", "Devlin et al. 2018, section 3", 768, 12, 12),
    _bert("bert-large-uncased", "BERT large", "BERT", "Devlin et al. 2018, section 3", 1024, 24, 16),
    _first("transformer-base", "Transformer base", 512, 2048, 8, 65),
    _first("transformer-big", "Transformer big", 1024, 4096, 16, 213),
    _llama("llama-2-7b", "Llama 2 7B", "Touvron et al. 2023b", 4096, 32, 32, 32, 11008, 32000, 4096),
    _llama("llama-2-70b", "Llama 2 70B", "Touvron et al. 2023b", 8192, 80, 64, 8, 28672, 32000, 4096),
    _llama("llama-3-8b", "Llama 3 8B", "Llama Team 2024, Table 3", 4096, 32, 32, 8, 14336, 128256, 8192),
    _llama(
        *("mistral-7b", "Mistral 7B", "Jiang et al. 2023, Table 1"),
        *(4096, 32, 32, 8, 14336, 32000, 32768),
        family="mistral",
        note=_WINDOW,
    ),
    _bert("minilm", "MiniLM", "Catalogue", "Wang et al. 2020", 384, 6, 12),
    *_shipped("tiny-decoder", "Tiny decoder"),
    *_shipped("tiny-translator", "Tiny translator"),
    _gpt2("distilgpt2", "DistilGPT-2", 6, 768, 12),
    _published(
        *("distilbert-base-uncased", "DistilBERT", "Catalogue", "distilbert", "DistilBertModel", "Sanh et al. 2019"),
        dim=768,
        n_layers=6,
        n_heads=12,
        hidden_dim=3072,
        vocab_size=30522,
        max_position_embeddings=512,
    ),
    _published(
        *("roberta-base", "RoBERTa base", "Catalogue", "roberta", "RobertaModel", "Liu et al. 2019"),
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
    ),
    _neox("EleutherAI/pythia-70m", "Pythia 70M", 512, 6, 8),
    _neox("EleutherAI/pythia-160m", "Pythia 160M", 768, 12, 12),
    _smollm2("HuggingFaceTB/SmolLM2-135M", "SmolLM2 135M"),
    _smollm2("smollm2", "SmolLM2 Instruct"),
    _published(
        *("whisper-tiny.en", "Whisper tiny (English)", "Catalogue", "whisper", "WhisperForConditionalGeneration"),
        "Radford et al. 2022, Table 1",
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        vocab_size=51864,
        num_mel_bins=80,
        max_source_positions=1500,
        max_target_positions=448,
        pad_token_id=50256,
    ),
    _published(
        *("e5-multilingual", "Multilingual E5", "Catalogue", "bert", "BertModel", "Wang et al. 2024"),
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        vocab_size=250037,
        max_position_embeddings=512,
        type_vocab_size=2,
    ),
    _published(
        *("rxnmapper", "RXNMapper", "Catalogue", "albert", "AlbertModel", "Schwaller et al. 2021"),
        embedding_size=128,
        hidden_size=256,
        num_hidden_layers=12,
        num_attention_heads=8,
        intermediate_size=512,
        vocab_size=591,
        max_position_embeddings=512,
        type_vocab_size=2,
    ),
    _published(
        *("t5-small", "T5 small", "Catalogue", "t5", "T5ForConditionalGeneration", "Raffel et al. 2019"),
        d_model=512,
        num_layers=6,
        num_decoder_layers=6,
        num_heads=8,
        d_kv=64,
        d_ff=2048,
        vocab_size=32128,
        relative_attention_num_buckets=32,
        n_positions=512,
    ),
    _published(
        *("Helsinki-NLP/opus-mt-en-fr", "OPUS-MT English–French", "Catalogue", "marian", "MarianMTModel"),
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        vocab_size=59514,
        max_position_embeddings=512,
    ),
    _published(
        *("bloom-176b", "BLOOM 176B", "Without a formula", "bloom", "BloomForCausalLM", "Scao et al. 2022, Table 3"),
        hidden_size=14336,
        n_layer=70,
        n_head=112,
        vocab_size=250880,
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}
ALIASES = {"gpt-3-175b": "gpt-3", "bert-base": "bert-base-uncased", "bert-large": "bert-large-uncased"}
