"""Configurations that several tests of the table of parameters share, and four tables written out by hand."""

from __future__ import annotations

from typing import Any

import transformers

# Four tables written out by hand: name → (numbers in one tensor, how many blocks have it).
GPT2 = {"model_type": "gpt2", "n_embd": 6, "n_head": 2, "n_layer": 3, "n_positions": 7, "vocab_size": 11}

GPT2_BY_HAND = {
    "transformer.wte.weight": (11 * 6, 1),
    "transformer.wpe.weight": (7 * 6, 1),
    "transformer.h.{}.ln_1.weight": (6, 3),
    "transformer.h.{}.ln_1.bias": (6, 3),
    "transformer.h.{}.attn.c_attn.weight": (6 * 18, 3),
    "transformer.h.{}.attn.c_attn.bias": (18, 3),
    "transformer.h.{}.attn.c_proj.weight": (36, 3),
    "transformer.h.{}.attn.c_proj.bias": (6, 3),
    "transformer.h.{}.ln_2.weight": (6, 3),
    "transformer.h.{}.ln_2.bias": (6, 3),
    "transformer.h.{}.mlp.c_fc.weight": (6 * 24, 3),
    "transformer.h.{}.mlp.c_fc.bias": (24, 3),
    "transformer.h.{}.mlp.c_proj.weight": (24 * 6, 3),
    "transformer.h.{}.mlp.c_proj.bias": (6, 3),
    "transformer.ln_f.weight": (6, 1),
    "transformer.ln_f.bias": (6, 1),
}  # and lm_head.weight, which is wte again

BERT = {
    "model_type": "bert",
    "hidden_size": 6,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "intermediate_size": 10,
    "max_position_embeddings": 5,
    "vocab_size": 13,
    "type_vocab_size": 2,
}

BERT_BY_HAND = {
    "embeddings.word_embeddings.weight": (13 * 6, 1),
    "embeddings.position_embeddings.weight": (5 * 6, 1),
    "embeddings.token_type_embeddings.weight": (2 * 6, 1),
    "embeddings.LayerNorm.weight": (6, 1),
    "embeddings.LayerNorm.bias": (6, 1),
    "encoder.layer.{}.attention.self.query.weight": (36, 2),
    "encoder.layer.{}.attention.self.query.bias": (6, 2),
    "encoder.layer.{}.attention.self.key.weight": (36, 2),
    "encoder.layer.{}.attention.self.key.bias": (6, 2),
    "encoder.layer.{}.attention.self.value.weight": (36, 2),
    "encoder.layer.{}.attention.self.value.bias": (6, 2),
    "encoder.layer.{}.attention.output.dense.weight": (36, 2),
    "encoder.layer.{}.attention.output.dense.bias": (6, 2),
    "encoder.layer.{}.attention.output.LayerNorm.weight": (6, 2),
    "encoder.layer.{}.attention.output.LayerNorm.bias": (6, 2),
    "encoder.layer.{}.intermediate.dense.weight": (60, 2),
    "encoder.layer.{}.intermediate.dense.bias": (10, 2),
    "encoder.layer.{}.output.dense.weight": (60, 2),
    "encoder.layer.{}.output.dense.bias": (6, 2),
    "encoder.layer.{}.output.LayerNorm.weight": (6, 2),
    "encoder.layer.{}.output.LayerNorm.bias": (6, 2),
    "pooler.dense.weight": (36, 1),
    "pooler.dense.bias": (6, 1),
}

LLAMA = {
    "model_type": "llama",
    "hidden_size": 12,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,  # two query heads share a key and a value
    "num_hidden_layers": 2,
    "intermediate_size": 20,
    "vocab_size": 17,
    "tie_word_embeddings": False,
}

LLAMA_BY_HAND = {
    "model.embed_tokens.weight": (17 * 12, 1),
    "model.layers.{}.self_attn.q_proj.weight": (12 * 12, 2),
    "model.layers.{}.self_attn.k_proj.weight": (6 * 12, 2),
    "model.layers.{}.self_attn.v_proj.weight": (6 * 12, 2),
    "model.layers.{}.self_attn.o_proj.weight": (12 * 12, 2),
    "model.layers.{}.mlp.gate_proj.weight": (20 * 12, 2),
    "model.layers.{}.mlp.up_proj.weight": (20 * 12, 2),
    "model.layers.{}.mlp.down_proj.weight": (12 * 20, 2),
    "model.layers.{}.input_layernorm.weight": (12, 2),
    "model.layers.{}.post_attention_layernorm.weight": (12, 2),
    "model.norm.weight": (12, 1),
    "lm_head.weight": (17 * 12, 1),
}

T5 = {
    "model_type": "t5",
    "d_model": 6,
    "num_heads": 2,
    "d_kv": 5,  # heads × d_kv = 10 is not d_model
    "num_layers": 2,
    "num_decoder_layers": 3,
    "d_ff": 8,
    "vocab_size": 19,
    "relative_attention_num_buckets": 4,
}

_T5_SELF = {f"layer.0.SelfAttention.{name}.weight": 60 for name in "qkvo"}

_T5_CROSS = {f"layer.1.EncDecAttention.{name}.weight": 60 for name in "qkvo"}

_T5_MLP = {"DenseReluDense.wi.weight": 48, "DenseReluDense.wo.weight": 48, "layer_norm.weight": 6}

T5_BY_HAND = {
    "shared.weight": (19 * 6, 1),
    "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight": (4 * 2, 1),
    **{f"encoder.block.{{}}.{name}": (count, 2) for name, count in _T5_SELF.items()},
    "encoder.block.{}.layer.0.layer_norm.weight": (6, 2),
    **{f"encoder.block.{{}}.layer.1.{name}": (count, 2) for name, count in _T5_MLP.items()},
    "encoder.final_layer_norm.weight": (6, 1),
    "decoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight": (4 * 2, 1),
    **{f"decoder.block.{{}}.{name}": (count, 3) for name, count in (_T5_SELF | _T5_CROSS).items()},
    "decoder.block.{}.layer.0.layer_norm.weight": (6, 3),
    "decoder.block.{}.layer.1.layer_norm.weight": (6, 3),
    **{f"decoder.block.{{}}.layer.2.{name}": (count, 3) for name, count in _T5_MLP.items()},
    "decoder.final_layer_norm.weight": (6, 1),
}

BY_HAND = {
    "gpt2": (GPT2, GPT2_BY_HAND, 1_650),
    "bert": (BERT, BERT_BY_HAND, 830),
    "llama": (LLAMA, LLAMA_BY_HAND, 2_772),
    "t5": (T5, T5_BY_HAND, 2_620),
}

# Every family with a formula, with sizes that no two sides share, so that a wrong side cannot hide.
_NORMAL = {"hidden_size": 30, "num_attention_heads": 5, "num_hidden_layers": 3, "vocab_size": 41}

_MORE = {"intermediate_size": 44, "max_position_embeddings": 17}

_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

GROUPED = {**_NORMAL, **_MORE, **_IDS, "hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2}

_STACKS = {
    "d_model": 30,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 5,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 44,
    "decoder_ffn_dim": 46,
    "max_position_embeddings": 17,
    "vocab_size": 41,
    **_IDS,
}

BUILT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", dict(GPT2)),
    "gpt2 without a head": ("GPT2Config", "GPT2Model", dict(GPT2)),
    "gpt2 untied, d_ff set": ("GPT2Config", "GPT2LMHeadModel", {**GPT2, "n_inner": 19, "tie_word_embeddings": False}),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", {**_NORMAL, **_MORE}),
    "gpt_neox without attention biases": ("GPTNeoXConfig", "GPTNeoXModel", {**_NORMAL, "attention_bias": False}),
    "opt": ("OPTConfig", "OPTForCausalLM", {**_NORMAL, "ffn_dim": 44, "word_embed_proj_dim": 30, **_IDS}),
    "opt with a narrow embedding": ("OPTConfig", "OPTForCausalLM", {**_NORMAL, "word_embed_proj_dim": 16, **_IDS}),
    "phi": ("PhiConfig", "PhiForCausalLM", dict(GROUPED)),
    "phi tied": ("PhiConfig", "PhiForCausalLM", {**GROUPED, "tie_word_embeddings": True}),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", dict(GROUPED)),
    "llama": ("LlamaConfig", "LlamaForCausalLM", {**GROUPED, "attention_bias": True, "mlp_bias": True}),
    "llama tied, d_head set": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {**GROUPED, "head_dim": 4, "tie_word_embeddings": True},
    ),
    "mistral": ("MistralConfig", "MistralForCausalLM", dict(GROUPED)),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", dict(GROUPED)),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**GROUPED, "head_dim": 8}),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", dict(GROUPED)),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", {**GROUPED, "head_dim": 8}),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", {**GROUPED, "head_dim": 8}),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", {**GROUPED, "head_dim": 8}),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", dict(GROUPED)),
    "bert": ("BertConfig", "BertModel", dict(BERT)),
    "bert with its masked-word head": ("BertConfig", "BertForMaskedLM", dict(BERT)),
    "bert untied": ("BertConfig", "BertForMaskedLM", {**BERT, "tie_word_embeddings": False}),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", {**_NORMAL, **_MORE, **_IDS, "type_vocab_size": 1}),
    "electra": ("ElectraConfig", "ElectraForMaskedLM", {**_NORMAL, **_MORE, "embedding_size": 12}),
    "electra, embedding as wide": ("ElectraConfig", "ElectraModel", {**_NORMAL, **_MORE, "embedding_size": 30}),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        {"dim": 30, "n_heads": 5, "n_layers": 3, "hidden_dim": 44},
    ),
    "distilbert without a head": ("DistilBertConfig", "DistilBertModel", {"dim": 30, "n_heads": 5, "hidden_dim": 44}),
    "albert": ("AlbertConfig", "AlbertForMaskedLM", {**_NORMAL, **_MORE, "embedding_size": 12}),
    "albert in two groups": (
        "AlbertConfig",
        "AlbertModel",
        {**_NORMAL, **_MORE, "embedding_size": 12, "num_hidden_groups": 2, "inner_group_num": 2},
    ),
    "modernbert": ("ModernBertConfig", "ModernBertForMaskedLM", {**_NORMAL, **_MORE, **_IDS}),
    "modernbert without a head": ("ModernBertConfig", "ModernBertModel", {**_NORMAL, **_MORE, **_IDS}),
    "t5": ("T5Config", "T5ForConditionalGeneration", dict(T5)),
    "t5 gated": ("T5Config", "T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu"}),
    "bart": ("BartConfig", "BartForConditionalGeneration", dict(_STACKS)),
    "mbart": ("MBartConfig", "MBartForConditionalGeneration", dict(_STACKS)),
    "marian": ("MarianConfig", "MarianMTModel", {**_STACKS, "decoder_vocab_size": 41}),
    "marian without a head": ("MarianConfig", "MarianModel", {**_STACKS, "decoder_vocab_size": 41}),
}


def library_model(config_class: str, model_class: str, settings: dict[str, Any]) -> Any:
    config = getattr(transformers, config_class)(**{k: v for k, v in settings.items() if k != "model_type"})
    return getattr(transformers, model_class)(config)
