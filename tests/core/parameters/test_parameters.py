"""The ledger of parameters, judged by hand, by the published figures, and by the library's own classes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import families
import numpy as np
import pytest
import torch
import transformers

import attn_core as ac
from attn_core.models.catalogue import CATALOGUE
from attn_core.parameters import costs, low_rank
from attn_core.parameters import scaling as growth
from attn_core.parameters.architectures.families import FAMILIES
from attn_core.parameters.count import ImpossibleModel, count_parameters
from attn_core.parameters.meta_model import build, reconcile
from attn_core.parameters.presets import PRESETS
from attn_core.parameters.shape import problems, shape_of, with_numbers
from attn_core.parameters.tree import shares, tree

# Four ledgers written out by hand: name → (numbers in one tensor, how many blocks have it).
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


@pytest.mark.parametrize("name", BY_HAND)
def test_ledger_is_what_a_person_writes(name: str) -> None:
    config, by_hand, total = BY_HAND[name]
    ledger = count_parameters(config)
    assert {row.name: (row.count, row.times) for row in ledger.rows if not row.tied_to} == by_hand
    assert ledger.total == total == sum(count * times for count, times in by_hand.values())
    assert ledger.source == "formula"


# Every family with a formula, with sizes that no two sides share, so that a wrong side cannot hide.
_NORMAL = {"hidden_size": 30, "num_attention_heads": 5, "num_hidden_layers": 3, "vocab_size": 41}
_MORE = {"intermediate_size": 44, "max_position_embeddings": 17}
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_GROUPED = {**_NORMAL, **_MORE, **_IDS, "hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2}
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
    "phi": ("PhiConfig", "PhiForCausalLM", dict(_GROUPED)),
    "phi tied": ("PhiConfig", "PhiForCausalLM", {**_GROUPED, "tie_word_embeddings": True}),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", dict(_GROUPED)),
    "llama": ("LlamaConfig", "LlamaForCausalLM", {**_GROUPED, "attention_bias": True, "mlp_bias": True}),
    "llama tied, d_head set": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {**_GROUPED, "head_dim": 4, "tie_word_embeddings": True},
    ),
    "mistral": ("MistralConfig", "MistralForCausalLM", dict(_GROUPED)),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", dict(_GROUPED)),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**_GROUPED, "head_dim": 8}),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", dict(_GROUPED)),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", {**_GROUPED, "head_dim": 8}),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", {**_GROUPED, "head_dim": 8}),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", {**_GROUPED, "head_dim": 8}),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", dict(_GROUPED)),
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


def _real(config_class: str, model_class: str, settings: dict[str, Any]) -> Any:
    config = getattr(transformers, config_class)(**{k: v for k, v in settings.items() if k != "model_type"})
    return getattr(transformers, model_class)(config)


@pytest.mark.parametrize("case", BUILT)
def test_ledger_equals_the_built_model(case: str) -> None:
    model = _real(*BUILT[case])
    ledger = count_parameters(model)
    assert ledger.source == "formula"
    assert ledger.total == sum(p.numel() for p in model.parameters())
    real = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    assert {name: shape for name, shape, _ in ledger.tensors()} == real
    once = {name for name, _ in model.named_parameters()}
    assert {name for name, _, tied in ledger.tensors() if not tied} == once
    assert reconcile(ledger).exact


def test_every_family_with_a_formula_is_judged() -> None:
    judged = {getattr(transformers, config_class).model_type for config_class, _, _ in BUILT.values()}
    assert judged == set(FAMILIES) - {"gpt-3", "transformer"}  # the library has neither
    assert len(judged) >= 16


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gpt-3", "transformer"}))
def test_silent_configuration_means_the_librarys_defaults(family: str) -> None:
    with torch.device("meta"):
        model = build({"model_type": family})
    ledger = count_parameters({"model_type": family})
    assert ledger.total == sum(p.numel() for p in model.parameters())
    assert reconcile(ledger).exact


@pytest.mark.parametrize("name", PRESETS)
def test_presets_reconcile_with_the_class_built_without_memory(name: str) -> None:
    checked = reconcile(count_parameters(name))
    if checked.built is None:  # heads that no class of the library can have
        assert checked.reason and (name.startswith("transformer-") or name == "gpt-3-13b")
    else:
        assert checked.exact and checked.ledger == checked.built


def test_catalogue_has_its_published_numbers_here() -> None:
    for name, entry in CATALOGUE.items():
        if name not in PRESETS:
            assert entry.kind == "shipped"  # not trained in this copy yet
        elif entry.parameters is not None:
            assert count_parameters(name).total == entry.parameters, name


PUBLISHED = {  # totals that the models' own papers, cards and users print
    "gpt-3": 174_604_259_328,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "mistral-7b": 7_241_732_096,
    "t5-small": 60_506_624,
    "minilm": 22_713_216,
    "bloom-176b": 176_247_271_424,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_totals(name: str) -> None:
    assert count_parameters(name).total == PUBLISHED[name]


def test_gpt3_as_the_lesson_counts_it() -> None:
    ledger = ac.count_parameters("gpt-3")
    lines = {line.role: line.count for line in ledger.lesson}
    assert lines == {
        "embedding": 617_558_016,
        "key": 14_495_514_624,
        "query": 14_495_514_624,
        "value": 14_495_514_624,
        "output": 14_495_514_624,
        "up": 57_982_058_496,
        "down": 57_982_058_496,
        "unembedding": 617_558_016,
    }
    assert ledger.lesson_total == 175_181_291_520
    assert ledger.lesson_attention == 57_982_058_496
    assert ledger.lesson_attention // 96 == 603_979_776  # one block
    assert ledger.lesson_attention // 96 // 96 == 6_291_456  # one head
    assert round(100 * ledger.lesson_attention / ledger.lesson_total, 1) == 33.1
    assert "96 × 128 × 12,288 × 96" in next(line.formula for line in ledger.lesson if line.role == "query")


SIZES_BY_NAME = {
    "gpt-3-small": 125e6,
    "gpt-3-medium": 350e6,
    "gpt-3-large": 760e6,
    "gpt-3-xl": 1.3e9,
    "gpt-3-2.7b": 2.7e9,
    "gpt-3-6.7b": 6.7e9,
    "gpt-3-13b": 13e9,
    "gpt-3": 175e9,
}


@pytest.mark.parametrize("name", SIZES_BY_NAME)
def test_gpt3_sizes_are_what_their_names_say(name: str) -> None:
    assert count_parameters(name).total == pytest.approx(SIZES_BY_NAME[name], rel=0.02)


def test_the_papers_own_row_for_xl_does_not_give_its_name() -> None:
    as_printed = {**PRESETS["gpt-3-xl"].config, "n_heads": 24}
    assert count_parameters(as_printed).total > 1.5e9
    assert "24 heads" in PRESETS["gpt-3-xl"].note


def test_tied_weights_count_once_and_are_named() -> None:
    tied = count_parameters(GPT2)
    untied = count_parameters({**GPT2, "tie_word_embeddings": False})
    assert untied.total - tied.total == 11 * 6
    assert [(row.name, row.tied_to) for row in tied.tied] == [("lm_head.weight", "transformer.wte.weight")]
    assert untied.tied == ()
    assert tied.lesson_total == untied.lesson_total  # the lesson counts both ends, tied or not


def test_parts_biases_and_norms_sum_to_the_total() -> None:
    for name in PRESETS:
        ledger = count_parameters(name)
        assert sum(ledger.parts().values()) == ledger.total == sum(row.total for row in ledger.rows)
        kinds = {row.kind for row in ledger.rows}
        assert sum(ledger.sum_of(kind=kind) for kind in kinds) == ledger.total
        assert ledger.embeddings + ledger.without_embeddings == ledger.total
    gpt2 = count_parameters("gpt2")
    assert gpt2.embeddings == (50_257 + 1_024) * 768
    assert gpt2.sum_of(kind="norm") == 25 * 2 * 768
    assert gpt2.sum_of(kind="bias") == 12 * (4 * 768 + 5 * 768)


def test_products_of_the_lessons_table_multiply_to_their_counts() -> None:
    for name in PRESETS:
        for line in count_parameters(name).lesson:
            assert eval(line.formula.replace(",", "").replace("×", "*")) == line.count, (name, line)


@pytest.mark.parametrize("lesson", [True, False])
@pytest.mark.parametrize("name", ["gpt-3", "minilm", "t5-small", "llama-2-70b", "bloom-176b"])
def test_boxes_are_the_ledger(name: str, lesson: bool) -> None:
    ledger = count_parameters(name)
    nodes = tree(ledger, lesson=lesson, inside="block 1")
    assert nodes[0].count == (ledger.lesson_total if lesson else ledger.total)
    held = [0] * len(nodes)
    for node in nodes[1:]:
        held[node.parent] += node.count
        assert nodes[node.parent].path == node.path[:-1]
    assert all(inside in (0, node.count) for node, inside in zip(nodes, held, strict=True))
    assert len({node.path for node in nodes}) == len(nodes)
    assert sum(shares(ledger, lesson=lesson).values()) == nodes[0].count


def _boxes(name: str, inside: str) -> dict[str, int]:
    return {"/".join(node.path): node.count for node in tree(count_parameters(name), lesson=True, inside=inside)}


def test_a_block_opens_into_its_heads() -> None:
    nodes = {
        "/".join(node.path): node.count for node in tree(count_parameters("gpt-3"), lesson=True, inside="block 57")
    }
    heads = [path for path in nodes if "/head " in path and path.count("/") == 2]
    assert len(heads) == 96 and all(path.startswith("block 57/self-attention/") for path in heads)
    assert {nodes[path] for path in heads} == {6_291_456}
    assert nodes["block 57/self-attention/head 40/value (down)"] == 12_288 * 128
    assert nodes["block 57/self-attention"] == nodes["block 3/self-attention"] == 603_979_776
    shared = {
        "/".join(node.path): node.count for node in tree(count_parameters("llama-3-8b"), lesson=True, inside="block 0")
    }
    assert shared["block 0/self-attention/head 31"] == 2 * 4096 * 128  # query and output
    assert shared["block 0/self-attention/keys and values of group 7"] == 2 * 4096 * 128


def test_what_the_lesson_leaves_out_is_listed() -> None:
    assert dict(count_parameters("gpt-3").left_out) == {
        "position embeddings": 2_048 * 12_288,
        "biases": 96 * (4 * 12_288 + 5 * 12_288),
        "norms": (2 * 96 + 1) * 2 * 12_288,
        "unembedding, which is the embedding again": -617_558_016,
    }
    for name in PRESETS:
        ledger = count_parameters(name)
        assert ledger.lesson_total + sum(count for _, count in ledger.left_out) == ledger.total


def test_frame_is_the_ledger() -> None:
    frame = count_parameters("gpt2").frame()
    assert frame["total"].sum() == 124_439_808
    query = frame.set_index("name").loc["transformer.h.{}.attn.c_attn.weight"]
    assert (query["shape"], query["count"], query["times"]) == ("768 × 2,304", 1_769_472, 12)
    assert query["formula"] == "3 × d_model × heads × d_head = 3 × 768 × 12 × 64"
    assert frame.set_index("name").loc["lm_head.weight", "tied_to"] == "transformer.wte.weight"


def test_formulas_multiply_to_their_counts() -> None:
    for name in PRESETS:
        for row in count_parameters(name).rows:
            numbers = row.formula.split(" = ")[-1].replace(",", "").replace("×", "*")
            assert eval(numbers) == row.count, (name, row.name, row.formula)


@pytest.mark.parametrize("family", ["gpt_neo", "bloom", "mpt", "deberta-v2", "falcon"])
def test_families_without_a_formula_are_built_without_memory(family: str) -> None:
    config = transformers.AutoConfig.for_model(family)
    ledger = count_parameters(config)
    with torch.device("meta"):
        model = build({"model_type": family})
    assert ledger.source == "built without memory"
    assert ledger.total == sum(p.numel() for p in model.parameters())
    assert "without memory" in ledger.notes[0]
    assert ledger.attention > 0 and ledger.sum_of(part="mlp") > 0
    assert reconcile(ledger).exact


def test_an_option_that_no_formula_covers_is_built_too() -> None:
    config = {**GPT2, "add_cross_attention": True}
    ledger = count_parameters(config)
    assert ledger.source == "built without memory"
    assert ledger.total > count_parameters(GPT2).total


def test_lesson_count_of_a_built_ledger_agrees_with_the_formula() -> None:
    from attn_core.parameters.meta_model import ledger_of

    for name in ("gpt2", "llama-3-8b", "EleutherAI/pythia-70m"):
        by_formula = count_parameters(name)
        built = ledger_of(by_formula.config, name)
        assert built.total == by_formula.total
        assert built.attention == by_formula.attention
        assert built.lesson_total == by_formula.lesson_total
        assert built.lesson_attention == by_formula.lesson_attention


def test_impossible_numbers_are_explained() -> None:
    with pytest.raises(ImpossibleModel, match="770 does not divide into 12 heads; take 768 or 780"):
        count_parameters({"model_type": "gpt2", "n_embd": 770})
    with pytest.raises(ImpossibleModel, match="set d_head"):
        count_parameters({"model_type": "gpt-3", "d_model": 100, "n_heads": 7})
    count_parameters({"model_type": "gpt-3", "d_model": 100, "n_heads": 7, "d_head": 16})  # possible once it is set
    with pytest.raises(ImpossibleModel, match="6 heads cannot share 4 keys"):
        count_parameters({**LLAMA, "num_key_value_heads": 4})
    with pytest.raises(ImpossibleModel, match=r"n_layers must be a whole number from 1 to 512, not -3"):
        count_parameters({**GPT2, "n_layer": -3})
    with pytest.raises(ImpossibleModel, match="d_model must be a whole number"):
        count_parameters({**GPT2, "n_embd": "six"})
    assert problems({"model_type": "gpt-3"}) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_wrong_number_is_more_than_one_clear_sentence(family: str) -> None:
    for name in FAMILIES[family].defaults:
        for wrong in (None, "six", -1, 0, 1.5, [], {}):
            try:
                assert count_parameters({"model_type": family, name: wrong}).total > 0
            except ac.HeadlightError as error:
                assert str(error)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("bloom", {"hidden_size": -4}),
        ("mpt", {"d_model": 0}),
        ("gpt_neo", {"num_attention_heads": "x"}),
        ("mbart", {"tie_word_embeddings": None}),  # no formula covers it, and the library refuses it
    ],
)
def test_a_class_that_cannot_be_built_is_one_clear_sentence_too(family: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ImpossibleModel, match="The library refuses to build these numbers"):
        count_parameters({"model_type": family, **wrong})


def test_numbers_that_the_library_refuses_are_counted_and_said() -> None:
    checked = reconcile(count_parameters({**LLAMA, "head_dim": 5}))  # rotary positions turn pairs
    assert checked.built is None and "refuses" in checked.reason and "even" in checked.reason


def test_a_wrong_ledger_is_found_out() -> None:
    ledger = count_parameters(LLAMA)
    without_one = dataclasses.replace(ledger, rows=ledger.rows[1:])
    checked = reconcile(without_one)
    assert not checked.exact and checked.built == ledger.total
    assert checked.differing == ("model.embed_tokens.weight",)
    norm = next(row for row in ledger.rows if row.name == "model.norm.weight")
    turned = dataclasses.replace(norm, name="model.norm.bias")  # the same count under a wrong name
    checked = reconcile(dataclasses.replace(ledger, rows=(*(r for r in ledger.rows if r is not norm), turned)))
    assert checked.built == checked.ledger and not checked.exact
    assert checked.differing == ("model.norm.bias", "model.norm.weight")


def test_names_that_nobody_published() -> None:
    with pytest.raises(ac.UnknownModel, match="gpt2-xl"):
        count_parameters("gpt2-xxl")
    with pytest.raises(ac.UnknownModel, match="model_type"):
        count_parameters({"hidden_size": 4})
    with pytest.raises(ac.UnsupportedFamily, match="no-such-family"):
        count_parameters({"model_type": "no-such-family"})
    with pytest.raises(TypeError):
        count_parameters(42)
    for name in ("x" * 5000, "~nobody", "", "<b>x</b>", "🤗"):
        with pytest.raises(ac.UnknownModel, match="Nearest: "):
            count_parameters(name)


def test_a_model_that_listens_is_counted_with_both_stacks() -> None:
    sizes = {"d_model": 24, "vocab_size": 20, "encoder_layers": 1, "decoder_layers": 1, "pad_token_id": 0}
    config = transformers.WhisperConfig(**sizes)
    model = transformers.WhisperForConditionalGeneration(config)
    assert count_parameters(config).total == sum(parameter.numel() for parameter in model.parameters())


def test_a_model_that_is_open_can_be_counted() -> None:
    model = ac.load("tiny-translator")
    assert count_parameters(model).total == count_parameters(model.hf).total == model.n_parameters == 200_704


def test_a_folder_is_read_and_a_damaged_one_is_said(tmp_path: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    assert count_parameters(tmp_path).total == 1_650
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ac.DamagedModel, match="cannot be read"):
        count_parameters(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ac.DamagedModel, match="no configuration"):
        count_parameters(str(tmp_path))


def test_counting_needs_neither_torch_nor_the_library() -> None:
    code = (
        "import sys, attn_core as ac; from attn_core.parameters import costs, presets, scaling; "
        "[ac.count_parameters(name) for name in presets.PRESETS if name != 'bloom-176b']; "
        "print([m for m in ('torch', 'transformers', 'pandas', 'streamlit') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# What it costs.


def test_weights_in_memory() -> None:
    gpt3 = count_parameters("gpt-3")
    assert costs.weight_bytes(gpt3, "float16").value == 349_208_518_656
    assert costs.weight_bytes(gpt3, "int4").value == 87_302_129_664


def test_cache_of_a_real_decoder_is_the_formula() -> None:
    """The judge is the library's own cache after reading five tokens."""
    model = _real("LlamaConfig", "LlamaForCausalLM", {**_GROUPED, "head_dim": 4}).eval()
    with torch.no_grad():
        cache = model(torch.tensor([[3, 4, 5, 6, 7]]), use_cache=True).past_key_values
    real = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    shape = shape_of(count_parameters(model).config)
    assert costs.cache_bytes(shape, 5, "int8")[1].value == real
    assert costs.cache_bytes(shape, 5, "float32")[0].value * 5 == 4 * real


def test_encoders_keep_no_cache_and_translators_two() -> None:
    assert costs.cache_bytes(shape_of(count_parameters("bert-base").config), 512) == []
    t5 = costs.cache_bytes(shape_of(count_parameters("t5-small").config), 512)
    assert [cost.value for cost in t5] == [2 * 6 * 8 * 64 * 2, 512 * 12_288, 512 * 12_288]


@pytest.mark.parametrize("case", ["gpt2", "llama", "bert", "gpt_neox", "modernbert without a head"])
def test_multiply_adds_are_what_torch_counts(case: str) -> None:
    """torch's own flop counter on a real pass over five tokens; two flops are one multiply-add.

    Eager attention computes every score, masked or not, which is `tokens` for each token.
    """
    from torch.utils.flop_counter import FlopCounterMode

    config_class, model_class, settings = BUILT[case]
    config = getattr(transformers, config_class)(**{k: v for k, v in settings.items() if k != "model_type"})
    config._attn_implementation = "eager"
    model, tokens = getattr(transformers, model_class)(config).eval(), 5
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.arange(tokens)[None])
    shape = shape_of(count_parameters(model).config)
    pooler = shape.d_model**2 if case == "bert" else 0  # reads one token
    expected = sum(cost.value for cost in costs.multiply_adds(shape, tokens)) * tokens
    assert counter.get_total_flops() == 2 * (expected + pooler)


def test_linear_multiply_adds_use_every_matrix_once() -> None:
    for name in ("gpt-3", "gpt2", "llama-2-70b", "mistral-7b", "EleutherAI/pythia-160m"):
        ledger = count_parameters(name)
        linear = [cost for cost in costs.multiply_adds(shape_of(ledger.config), 1) if cost.grows == "not at all"]
        embedding = next(line.count for line in ledger.lesson if line.role == "embedding")
        assert sum(cost.value for cost in linear) == ledger.lesson_total - embedding


def test_scores_cost_as_much_as_projections_at_the_even_point() -> None:
    for name in ("gpt-3", "llama-2-70b"):
        shape = shape_of(count_parameters(name).config)
        projections, scores, *_ = costs.multiply_adds(shape, costs.even_point(shape))
        assert projections.value == scores.value
    assert costs.even_point(shape_of(count_parameters("gpt-3").config)) == 24_576


def test_what_grouped_queries_save() -> None:
    grouped = count_parameters("llama-2-70b")
    shape = shape_of(grouped.config)
    saving = costs.grouping_saves(shape)
    full = count_parameters(with_numbers(grouped.config, n_groups=64))
    assert saving is not None and full.total - grouped.total == saving.parameters == 9_395_240_960
    cache = [costs.cache_bytes(shape_of(ledger.config), 1)[0].value for ledger in (full, grouped)]
    assert cache[0] / cache[1] == saving.cache_factor == 8
    assert costs.grouping_saves(shape_of(full.config)) is None


# How it grows.

LAWS = {
    "d_model": {"embedding": "linear", "position": "linear", "attention": "quadratic", "mlp": "quadratic"},
    "n_layers": {"embedding": "constant", "position": "constant", "attention": "linear", "mlp": "linear"},
    "vocabulary": {"embedding": "linear", "position": "constant", "attention": "constant", "mlp": "constant"},
    "context": {"embedding": "constant", "position": "linear", "attention": "constant", "mlp": "constant"},
}


@pytest.mark.parametrize("knob", LAWS)
def test_what_grows_with_what(knob: str) -> None:
    curves = {curve.part: curve.law for curve in growth.parameters_by(count_parameters("gpt-3"), knob).curves}
    assert {part: curves[part] for part in LAWS[knob]} == LAWS[knob]


def test_a_wider_model_keeps_its_heads_and_groups() -> None:
    curves = growth.parameters_by(count_parameters("llama-2-70b"), "d_model").curves
    doubled = {curve.part: curve.doubling for curve in curves}
    assert (doubled["attention"], doubled["mlp"], doubled["norm"]) == (4, 4, 2)  # no biases: exactly


@pytest.mark.parametrize("knob", growth.KNOBS)
def test_a_curve_passes_through_the_model_itself(knob: str) -> None:
    for name in ("gpt2", "llama-2-70b", "t5-small", "minilm", "HuggingFaceTB/SmolLM2-135M"):
        ledger = count_parameters(name)
        grown = growth.parameters_by(ledger, knob)
        here = grown.at.index(getattr(shape_of(ledger.config), knob))
        assert {curve.part: curve.values[here] for curve in grown.curves} == ledger.parts()


def test_reading_is_quadratic_in_the_scores_alone() -> None:
    laws = {curve.part: curve.law for curve in growth.reading_by(count_parameters("gpt2")).curves}
    assert [part for part, law in laws.items() if law == "quadratic"] == ["attention: scores and sums"]
    assert all(law == "linear" for part, law in laws.items() if part != "attention: scores and sums")


# Why the value matrix is low rank.


def test_the_lessons_comparison() -> None:
    head = low_rank.Factored(12_288, 128)
    assert (head.full, head.thin, head.query_and_key) == (150_994_944, 3_145_728, 3_145_728)
    assert head.times == 48
    assert low_rank.Factored(512, 256).times == 1  # from half of d_model on, nothing is saved


def test_a_head_has_no_more_directions_than_d_head() -> None:
    rng = np.random.default_rng(0)
    w_v, w_o = rng.normal(size=(40, 6)), rng.normal(size=(6, 40))
    found = low_rank.spectrum(w_v.astype(np.float32), w_o.astype(np.float32))
    assert found.values.shape == (40,) and found.rank == 6 == np.linalg.matrix_rank(w_v @ w_o)
    assert np.allclose(found.values[:6], np.linalg.svd(w_v @ w_o, compute_uv=False)[:6], rtol=1e-5)
    w_v[:, 5] = w_v[:, 4]  # a head can use fewer than it has
    assert low_rank.spectrum(w_v, w_o).rank == 5
    with pytest.raises(ValueError, match="do not fit"):
        low_rank.spectrum(w_v, w_o.T)


def test_real_heads_have_rank_d_head() -> None:
    trace = ac.trace(ac.load("minilm"), "a fluffy blue creature")
    for layer, head in ((0, 2), (5, 11)):
        weights = trace.projections(layer, head)
        found = low_rank.spectrum(weights.w_v.numpy(), weights.w_o.numpy())
        assert len(found.values) == 384 and found.d_head == 32
        assert found.rank == 32
        assert found.values[32] < 1e-10 * found.values[0]


@pytest.mark.parametrize("family", ["qwen3", "gemma3", "olmo2", "t5", "gpt2"])
def test_the_two_thin_matrices_are_there_also_where_queries_are_normalised(family: str) -> None:
    """ΔE without the values' bias is pattern · x · W_V · W_O, x being what attention was given."""
    torch.manual_seed(0)
    model = ac.wrap(families.FAMILIES[family].build(), families.word_tokenizer())
    stream = "decoder" if model.kind == "encoder-decoder" else None
    trace = ac.trace(model, families.TEXT, **({"target": families.TARGET} if stream else {}))
    x, at = trace.attention_input(1, stream=stream), {"stream": stream}
    by_hand = trace.pattern(1, 3, **at) @ x @ trace.w_v(1, 3, **at) @ trace.w_o(1, 3, **at)
    bias = trace.value(1, 3, **at) - x @ trace.w_v(1, 3, **at)
    assert np.allclose(bias, bias[0], atol=1e-5)  # the same for every token: a bias, and nothing else
    assert np.allclose(trace.delta_e(1, 3, **at) - bias[0] @ trace.w_o(1, 3, **at), by_hand, atol=1e-5)
