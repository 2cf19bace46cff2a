"""Which families have a formula, what their configurations leave unsaid, and our words for their hyper-parameters.

A published config.json names only what differs from the library's defaults; `complete` fills in the rest, so that a
table needs neither the library nor the weights. Where an option that a formula doesn't cover is switched on,
`complete` gives None and the model is built without memory instead (see `meta_model`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attn_core.parameters.architectures import decoders, encoders
from attn_core.parameters.architectures import encoder_decoders as translators
from attn_core.parameters.architectures.layout import Config, TensorLayout
from attn_core.parameters.tensors import Row

_COMMON = {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "vocabulary": "vocab_size",
    "context": "max_position_embeddings",
    "tied": "tie_word_embeddings",
}
_PHI = {**_COMMON, "n_groups": "num_key_value_heads"}
_LLAMA = {**_PHI, "d_head": "head_dim"}
_GPT2 = {
    **_COMMON,
    "d_model": "n_embd",
    "n_layers": "n_layer",
    "n_heads": "n_head",
    "d_ff": "n_inner",
    "context": "n_positions",
}
_DISTIL = {**_COMMON, "d_model": "dim", "n_layers": "n_layers", "n_heads": "n_heads", "d_ff": "hidden_dim"}
_OPT = {**_COMMON, "d_ff": "ffn_dim"}
_T5 = {
    **_COMMON,
    "d_model": "d_model",
    "n_layers": "num_layers",
    "n_decoder_layers": "num_decoder_layers",
    "n_heads": "num_heads",
    "d_head": "d_kv",
    "d_ff": "d_ff",
    "context": "n_positions",
}
_BART = {
    **_COMMON,
    "d_model": "d_model",
    "n_layers": "encoder_layers",
    "n_decoder_layers": "decoder_layers",
    "n_heads": "encoder_attention_heads",
    "n_decoder_heads": "decoder_attention_heads",
    "d_ff": "encoder_ffn_dim",
    "decoder_d_ff": "decoder_ffn_dim",
}


@dataclass(frozen=True)
class Family:
    """One architecture: how its tensors are laid out, and how its configuration is read.

    `sizes` are the library's defaults, said in our words; `words` translates ours to the library's; `options` are
    further defaults, in the library's words. `tops` maps class names to what stands on top of the body, and the first
    is counted when a configuration names no class. The formula holds only where the options are as in `assumes`.
    """

    title: str
    kind: str
    layout: Callable[[Config, str], TensorLayout]
    words: Mapping[str, str]
    sizes: Mapping[str, Any]
    tops: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    assumes: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """What a configuration of this family means where it is silent, in the library's words."""
        return {self.words[name]: value for name, value in self.sizes.items()} | dict(self.options)


Sizes = Mapping[str, Any]
Layout = Callable[[Config, str], TensorLayout]


def _sizes(d_model: int, n_layers: int, n_heads: int, d_ff: int | None, vocabulary: int, context: int) -> Sizes:
    """What every family has, in the order in which papers print it. A d_ff of None stands for 4 × d_model."""
    first = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads, "d_ff": d_ff}
    return {**first, "vocabulary": vocabulary, "context": context}


def _ours(title: str, kind: str, layout: Layout, sizes: Sizes) -> Family:
    """A family that the library doesn't have: its configuration is in our words, and words are always on top."""
    return Family(title, kind, layout, {name: name for name in sizes}, sizes, {"": "words"})


def _decoder(title: str, stem: str, layout: Layout, words: Mapping[str, str], sizes: Sizes, **rest: Any) -> Family:
    tops = {f"{stem}ForCausalLM": "words", f"{stem}Model": ""}
    return Family(title, "decoder", layout, words, sizes, tops, **rest)


def _llama(title: str, stem: str, *sizes: int, **more: Any) -> Family:
    """`more` are groups, d_head and tied, where they are not what they usually are."""
    ours = {**_sizes(*sizes), "n_groups": None, "d_head": None, "tied": False, **more}
    options = {"attention_bias": False, "mlp_bias": False}
    return _decoder(title, stem, decoders.llama, _LLAMA, ours, options=options, gated=True)


def _encoder(title: str, stem: str, layout: Layout, *sizes: int, **options: Any) -> Family:
    """`options` are further defaults; two of them are ours: `base`, what stands on the bare model, and `words`."""
    base, words = options.pop("base", "pooler"), options.pop("words", _COMMON)
    gated = layout is encoders.modernbert
    tops, ours = {f"{stem}Model": base, f"{stem}ForMaskedLM": "words"}, {**_sizes(*sizes), "tied": True}
    assumes = {"is_decoder": False, "add_cross_attention": False}
    return Family(title, "encoder", layout, words, ours, tops, options, assumes, gated)


def _bart(title: str, stem: str, top: str, vocabulary: int, **assumes: Any) -> Family:
    more = {"n_decoder_layers": 12, "n_decoder_heads": 16, "decoder_d_ff": 4096, "tied": True}
    sizes, tops = {**_sizes(1024, 12, 16, 4096, vocabulary, 1024), **more}, {top: "words", f"{stem}Model": ""}
    assumes["tie_word_embeddings"] = True
    return Family(title, "encoder-decoder", translators.bart, _BART, sizes, tops, assumes=assumes)


_GPT3_SIZES = {**_sizes(12288, 96, 96, None, 50257, 2048), "d_head": None, "n_groups": None, "tied": True}
_FIRST_SIZES = {**_sizes(512, 6, 8, 2048, 37000, 512), "n_decoder_layers": 6, "d_head": None, "tied": True}
_T5_SIZES = {**_sizes(512, 6, 8, 2048, 32128, 512), "n_decoder_layers": None, "d_head": 64, "tied": True}
_GPT2_SIZES = {**_sizes(768, 12, 12, None, 50257, 1024), "tied": True}
_NEOX_SIZES = {**_sizes(6144, 44, 64, 24576, 50432, 2048), "tied": False}
_OPT_SIZES = {**_sizes(768, 12, 12, 3072, 50272, 2048), "tied": True}
_PHI_SIZES = {**_sizes(2048, 24, 32, 8192, 51200, 2048), "n_groups": None, "tied": False}
_OPT_ASSUMES = {"do_layer_norm_before": True, "_remove_final_layer_norm": False, "enable_bias": True}
_TYPES = {"type_vocab_size": 2}
_MODERN = dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), False) | {"decoder_bias": True}

FAMILIES: dict[str, Family] = {
    "gpt-3": _ours("GPT-3", "decoder", decoders.gpt3, _GPT3_SIZES),
    "transformer": _ours("the first Transformer", "encoder-decoder", translators.transformer, _FIRST_SIZES),
    "gpt2": Family(
        "GPT-2",
        "decoder",
        decoders.gpt2,
        _GPT2,
        _GPT2_SIZES,
        {"GPT2LMHeadModel": "words", "GPT2Model": ""},
        assumes={"add_cross_attention": False},
    ),
    "gpt_neox": _decoder(
        "GPT-NeoX", "GPTNeoX", decoders.gpt_neox, _COMMON, _NEOX_SIZES, options={"attention_bias": True}
    ),
    "opt": _decoder(
        "OPT",
        "OPT",
        decoders.opt,
        _OPT,
        _OPT_SIZES,
        options={"word_embed_proj_dim": None},
        assumes={**_OPT_ASSUMES, "layer_norm_elementwise_affine": True},
    ),
    "phi": _decoder(
        "Phi",
        "Phi",
        decoders.phi,
        _PHI,
        _PHI_SIZES,
        assumes={"qk_layernorm": False},
    ),
    "llama": _llama("Llama", "Llama", 4096, 32, 32, 11008, 32000, 2048),
    "mistral": _llama("Mistral", "Mistral", 4096, 32, 32, 14336, 32000, 131072, n_groups=8),
    "qwen2": _llama("Qwen2", "Qwen2", 4096, 32, 32, 22016, 151936, 32768, n_groups=32),
    "qwen3": _llama("Qwen3", "Qwen3", 4096, 32, 32, 22016, 151936, 32768, n_groups=32, d_head=128),
    "smollm3": _llama("SmolLM3", "SmolLM3", 2048, 36, 16, 11008, 128256, 32768, n_groups=4, tied=True),
    "gemma": _llama("Gemma", "Gemma", 3072, 28, 16, 24576, 256000, 8192, n_groups=16, d_head=256, tied=True),
    "gemma2": _llama("Gemma 2", "Gemma2", 2304, 26, 8, 9216, 256000, 8192, n_groups=4, d_head=256, tied=True),
    "gemma3_text": _llama("Gemma 3", "Gemma3", 2304, 26, 8, 9216, 262208, 131072, n_groups=4, d_head=256, tied=True),
    "olmo2": _llama("OLMo 2", "Olmo2", 4096, 32, 32, 11008, 50304, 2048),
    "phi3": _llama("Phi-3", "Phi3", 3072, 32, 32, 8192, 32064, 4096),
    "bert": _encoder("BERT", "Bert", encoders.bert, 768, 12, 12, 3072, 30522, 512, **_TYPES),
    "roberta": _encoder("RoBERTa", "Roberta", encoders.bert, 768, 12, 12, 3072, 50265, 512, **_TYPES),
    "electra": _encoder(
        "ELECTRA", "Electra", encoders.bert, 256, 12, 4, 1024, 30522, 512, base="", embedding_size=128, **_TYPES
    ),
    "distilbert": _encoder(
        "DistilBERT",
        "DistilBert",
        encoders.distilbert,
        *(768, 6, 12, 3072, 30522, 512),
        base="",
        words=_DISTIL,
        sinusoidal_pos_embds=False,
    ),
    "albert": _encoder(
        "ALBERT",
        "Albert",
        encoders.albert,
        *(4096, 12, 64, 16384, 30000, 512),
        embedding_size=128,
        num_hidden_groups=1,
        inner_group_num=1,
        **_TYPES,
    ),
    "modernbert": _encoder(
        "ModernBERT",
        "ModernBert",
        encoders.modernbert,
        *(768, 22, 12, 1152, 50368, 8192),
        base="",
        **_MODERN,
    ),
    "t5": Family(
        "T5",
        "encoder-decoder",
        translators.t5,
        _T5,
        _T5_SIZES,
        {"T5ForConditionalGeneration": "words", "T5Model": "", "T5WithLMHeadModel": "words"},
        options={"relative_attention_num_buckets": 32, "feed_forward_proj": "relu"},
    ),
    "bart": _bart("BART", "Bart", "BartForConditionalGeneration", 50265),
    "mbart": _bart("mBART", "MBart", "MBartForConditionalGeneration", 50265),
    "marian": _bart("Marian", "Marian", "MarianMTModel", 58101, share_encoder_decoder_embeddings=True),
}


def complete(config: Config) -> dict[str, Any] | None:
    """The configuration with its family's defaults filled in, or None where no formula covers it."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None or any(config.get(name, value) != value for name, value in family.assumes.items()):
        return None
    known = all(name in family.tops for name in config.get("architectures") or ())
    return {**family.defaults, **config} if known else None


def lay_out(config: Config) -> tuple[Row, ...]:
    """The rows of a complete configuration, with the head on top that its class has, or its family usually has."""
    family = FAMILIES[config["model_type"]]
    named = next(iter(config.get("architectures") or ()), next(iter(family.tops)))
    return tuple(family.layout(config, family.tops[named]).rows)
