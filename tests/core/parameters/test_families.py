"""The table of every family beside the library's own class, built without memory: tensor by tensor."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
import transformers
from configurations import BUILT, GPT2, LLAMA, library_model
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from attn_core.errors import HeadlightError
from attn_core.parameters.architectures.families import FAMILIES
from attn_core.parameters.count import count_parameters
from attn_core.parameters.meta_model import build, reconcile
from attn_core.parameters.presets import PRESETS


@pytest.mark.parametrize("case", BUILT)
def test_table_equals_the_built_model(case: str) -> None:
    model = library_model(*BUILT[case])
    table = count_parameters(model)
    assert table.source == "formula"
    assert table.total == sum(p.numel() for p in model.parameters())
    real = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    assert {name: shape for name, shape, _ in table.tensors()} == real
    once = {name for name, _ in model.named_parameters()}
    assert {name for name, _, tied in table.tensors() if not tied} == once
    assert reconcile(table).exact


def test_every_family_with_a_formula_is_judged() -> None:
    judged = {getattr(transformers, config_class).model_type for config_class, _, _ in BUILT.values()}
    assert judged == set(FAMILIES) - {"gpt-3", "transformer"}  # the library has neither
    assert len(judged) >= 16


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gpt-3", "transformer"}))
def test_silent_configuration_means_the_librarys_defaults(family: str) -> None:
    with torch.device("meta"):
        model = build({"model_type": family})
    table = count_parameters({"model_type": family})
    assert table.total == sum(p.numel() for p in model.parameters())
    assert reconcile(table).exact


@pytest.mark.parametrize("name", PRESETS)
def test_presets_reconcile_with_the_class_built_without_memory(name: str) -> None:
    checked = reconcile(count_parameters(name))
    if checked.built is None:  # heads that no class of the library can have
        assert checked.reason and (name.startswith("transformer-") or name == "gpt-3-13b")
    else:
        assert checked.exact and checked.table == checked.built


@pytest.mark.parametrize("family", ["gpt_neo", "bloom", "mpt", "deberta-v2", "falcon"])
def test_families_without_a_formula_are_built_without_memory(family: str) -> None:
    config = transformers.AutoConfig.for_model(family)
    table = count_parameters(config)
    with torch.device("meta"):
        model = build({"model_type": family})
    assert table.source == "built without memory"
    assert table.total == sum(p.numel() for p in model.parameters())
    assert "without memory" in table.notes[0]
    assert table.attention > 0 and table.sum_of(part="mlp") > 0
    assert reconcile(table).exact


def test_an_option_that_no_formula_covers_is_built_too() -> None:
    config = {**GPT2, "add_cross_attention": True}
    table = count_parameters(config)
    assert table.source == "built without memory"
    assert table.total > count_parameters(GPT2).total


def test_lesson_count_of_a_built_table_agrees_with_the_formula() -> None:
    from attn_core.parameters.from_class import table_of

    for name in ("gpt2", "llama-3-8b", "EleutherAI/pythia-70m"):
        by_formula = count_parameters(name)
        built = table_of(by_formula.config, name)
        assert built.total == by_formula.total
        assert built.attention == by_formula.attention
        assert built.lesson_total == by_formula.lesson_total
        assert built.lesson_attention == by_formula.lesson_attention


def test_numbers_that_the_library_refuses_are_counted_and_said() -> None:
    checked = reconcile(count_parameters({**LLAMA, "head_dim": 5}))  # rotary positions turn pairs
    assert checked.built is None and "refuses" in checked.reason and "even" in checked.reason


def test_a_wrong_table_is_found_out() -> None:
    table = count_parameters(LLAMA)
    without_one = dataclasses.replace(table, rows=table.rows[1:])
    checked = reconcile(without_one)
    assert not checked.exact and checked.built == table.total
    assert checked.differing == ("model.embed_tokens.weight",)
    norm = next(row for row in table.rows if row.name == "model.norm.weight")
    turned = dataclasses.replace(norm, name="model.norm.bias")  # the same count under a wrong name
    checked = reconcile(dataclasses.replace(table, rows=(*(r for r in table.rows if r is not norm), turned)))
    assert checked.built == checked.table and not checked.exact
    assert checked.differing == ("model.norm.bias", "model.norm.weight")


def test_a_model_that_listens_is_counted_with_both_stacks() -> None:
    sizes = {"d_model": 24, "vocab_size": 20, "encoder_layers": 1, "decoder_layers": 1, "pad_token_id": 0}
    config = transformers.WhisperConfig(**sizes)
    model = transformers.WhisperForConditionalGeneration(config)
    assert count_parameters(config).total == sum(parameter.numel() for parameter in model.parameters())


# Parts of families that have no formula, judged by a rule of this file alone: the words of a path, cut where
# the letters change case, and the class of the module that holds it.

FEW = (
    *("mt5", "umt5", "longt5", "switch_transformers", "xlm-roberta", "deberta-v2", "camembert", "layoutlm", "bloom"),
    *("falcon", "mixtral", "xlnet", "nystromformer", "nemotron_h", "recurrent_gemma", "doge", "deepseek_v3"),
)
LEFT_OUT = {  # families whose parts the rule below can't tell by words, each with its reason
    "rwkv": "its token mixing is called attention and has none",
    "reformer": "its shared projections lie in modules of another name",
    "funnel": "its attention lies in a module called multihead",
    "axk2": "its norms behind attention have an MLP of their own",
    "levit": "its attention lies in a module called residual, with norms between its projections",
    "mllama": "one number that opens its MLP is called cross_attn_mlp_gate",
    "videoprism": "a learnt query that pools its frames lies outside its modules of attention",
}


def words_of(path: str) -> set[str]:
    """self_attn.q_proj → {self, attn, q, proj}; SelfAttention → {self, attention}."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", path)
    return {word.lower() for word in re.split(r"[^A-Za-z]+", spaced)}


def attention_by_words(model: torch.nn.Module) -> int:
    """Parameters inside modules whose name or class is attention, each counted once however many layers share it;
    without norms, tables of positions, and what scales the residual stream behind it."""
    found: dict[torch.nn.Parameter, int] = {}
    modules = dict(model.named_modules())
    for path, module in modules.items():
        parts = path.split(".") if path else []
        around = [type(modules[".".join(parts[: i + 1])]).__name__ for i in range(len(parts))]
        inside = any("attention" in word or word == "attn" for word in words_of(path))
        inside |= any(name.endswith(("Attention", "Attn")) for name in around)
        if not inside or "norm" in type(module).__name__.lower() or "norm" in path.rpartition(".")[2].lower():
            continue
        for name, p in module.named_parameters(recurse=False):
            if not words_of(f"{path}.{name}") & {"relative", "position", "norm", "residual"}:
                found[p] = p.numel()
    return sum(found.values())


def norms_by_class(model: torch.nn.Module) -> int:
    norms = [module for module in model.modules() if "norm" in type(module).__name__.lower()]
    return sum(p.numel() for norm in norms for p in norm.parameters(recurse=False))


def _judge(family: str) -> torch.nn.Module:
    with torch.device("meta"):
        model = build({"model_type": family})
    table = count_parameters({"model_type": family})
    assert table.total == sum(p.numel() for p in model.parameters())
    assert sum(table.parts().values()) == table.total
    assert table.attention == attention_by_words(model)
    return model


@pytest.mark.parametrize("family", FEW)
def test_attention_is_what_lies_in_modules_of_that_name(family: str) -> None:
    model, table = _judge(family), count_parameters({"model_type": family})
    assert table.attention > 0 and table.sum_of(kind="norm") == norms_by_class(model)
    words, says = model.get_input_embeddings().weight, model.get_output_embeddings()
    untied = says is not None and says.weight is not words
    assert table.sum_of(part="unembedding", kind="matrix") == (says.weight.numel() if untied else 0)
    assert table.parts()["embedding"] >= words.numel()


@pytest.mark.full
@pytest.mark.parametrize("family", sorted(MODEL_MAPPING_NAMES))
def test_every_family_that_the_library_can_build(family: str) -> None:
    try:
        with torch.device("meta"):
            build({"model_type": family})
    except (HeadlightError, ImportError) as error:
        pytest.skip(f"the library builds none from its defaults: {error}")
    if family in LEFT_OUT:
        pytest.skip(LEFT_OUT[family])
    _judge(family)


SMALL = {"d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 6}
FLAN = {**SMALL, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
DISENTANGLED = {"relative_attention": True, "position_buckets": 256, "share_att_key": True, "pos_att_type": "p2c|c2p"}


@pytest.mark.parametrize(
    ("config", "total", "attention"),
    [
        ({"model_type": "t5", "vocab_size": 32128, **FLAN}, 76_961_152, 18_874_368),  # flan-t5-small
        ({"model_type": "mt5", "vocab_size": 250112, **FLAN}, 300_176_768, 18_874_368),  # mt5-small
        ({"model_type": "xlm-roberta", "vocab_size": 250002, **BASE}, None, 28_348_416),
        ({"model_type": "deberta-v2", "vocab_size": 128100, **BASE, **DISENTANGLED}, None, 28_348_416),
    ],
)
def test_published_models_without_a_formula_of_their_own(config: dict, total: int | None, attention: int) -> None:
    table = count_parameters(config)
    assert table.attention == attention
    assert total is None or table.total == total
    assert reconcile(table).exact


def test_numbers_at_both_ends_are_the_embeddings() -> None:
    table = count_parameters({"model_type": "xlm-roberta", "architectures": ["XLMRobertaForMaskedLM"], **BASE})
    assert table.parts()["embedding"] > 30_000 * 768 > table.parts()["unembedding"]
