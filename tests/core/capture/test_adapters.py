"""Adapters of the peft library: what is read is what a call of the owner's object gives, or it is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import peft
import pytest
import torch
from families import FAMILIES, TEXT, word_tokenizer

import attn_core as ac
from attn_core.circuits.flow import FLOW_MEASURES, flow
from attn_core.prediction.writing import write

TOKENIZER = word_tokenizer()
ALL = ["q_proj", "k_proj", "v_proj", "o_proj"]


def random_adapter(model: Any) -> Any:
    """Every weight of the adapter that training could have changed, changed: fresh adapters often add nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad and weight.is_floating_point():
                weight.add_(torch.randn_like(weight) * 0.2)
    return model.eval()


def adapted(family: str = "llama", **options: Any) -> Any:
    config = peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options)
    return random_adapter(peft.get_peft_model(FAMILIES[family].build(), config))


def judge(model: Any, trace: ac.Trace, module: str = "self_attn.o_proj") -> None:
    """ΔE and the last states against what modules of the owner's object return when it is called."""
    seen: dict[str, torch.Tensor] = {}
    inside = model.get_base_model()
    names = [name for name, _ in inside.named_modules() if name.endswith(module)]
    hooks = [
        inside.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out[0]}))
        for name in names
    ]
    with torch.inference_mode():
        said = model(input_ids=torch.tensor([trace.tokens.ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    assert len(names) == trace.n_layers
    for layer, name in enumerate(names):
        total = sum(trace.delta_e(layer, head) for head in range(4)) + trace.output_bias(layer)
        theirs = seen[name].numpy()
        assert np.abs(total - theirs).max() / np.abs(theirs).max() < 1e-5
    assert np.abs(trace.logits() - said.logits[0, -1].numpy()).max() < 1e-4
    check = trace.check()
    assert check.ok and check.residual is not None and check.own_pass < 1e-5


@pytest.mark.parametrize(
    ("family", "module", "options"),
    [
        ("llama", "self_attn.o_proj", {}),
        ("llama", "self_attn.o_proj", {"use_dora": True}),
        ("llama", "self_attn.o_proj", {"target_modules": ["o_proj"], "use_rslora": True}),
        ("gpt2", "attn.c_proj", {"fan_in_fan_out": True}),
        ("llama", "self_attn.o_proj", {"target_modules": ["embed_tokens", "o_proj"]}),
        ("llama", "self_attn.o_proj", {"modules_to_save": ["lm_head"]}),
    ],
)
def test_w_o_is_the_outermost_affine_map(family: str, module: str, options: dict[str, Any]) -> None:
    model = adapted(family, **options)
    judge(model, ac.trace(ac.wrap(model, TOKENIZER), TEXT), module)


def test_step_by_step_reads_the_adapters_of_q_k_and_v() -> None:
    model = adapted()
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    weights = trace.projections(1, 2)
    value = trace.attention_memory(1) @ weights.w_v.numpy() + weights.b_v.numpy()
    assert np.abs(value - trace.value(1, 2)).max() < 1e-4


class Pair(torch.nn.Module):
    """W_O as two matrices, one after the other."""

    def __init__(self, *parts: torch.nn.Module) -> None:
        super().__init__()
        self.parts = torch.nn.Sequential(*parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.parts(x)


def with_output(make: Any) -> Any:
    torch.manual_seed(0)
    model = FAMILIES["llama"].build()
    for layer in model.model.layers:
        layer.self_attn.o_proj = make(layer.self_attn.o_proj)
    return model.eval()


def test_a_low_rank_pair_is_read() -> None:
    model = with_output(lambda _: Pair(torch.nn.Linear(32, 5), torch.nn.Linear(5, 32)))
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    assert trace.check().ok and trace.check().residual is not None
    total = sum(trace.delta_e(1, head) for head in range(4)) + trace.output_bias(1)
    assert np.abs(total - trace.attention_added(1)).max() < 1e-5


def test_a_pair_that_no_module_holds_is_read() -> None:
    model = FAMILIES["llama"].build()
    torch.manual_seed(0)
    for layer in model.model.layers:
        own, layer.self_attn.up = layer.self_attn.forward, torch.nn.Linear(5, 32)
        layer.self_attn.o_proj = torch.nn.Linear(32, 5)

        def forward(*args: Any, own: Any = own, up: Any = layer.self_attn.up, **kwargs: Any) -> Any:
            output, weights = own(*args, **kwargs)
            return up(output), weights

        layer.self_attn.forward = forward
    trace = ac.trace(ac.wrap(model.eval(), TOKENIZER), TEXT)
    assert trace.check().ok and trace.check().residual is not None
    total = sum(trace.delta_e(1, head) for head in range(4)) + trace.output_bias(1)
    assert np.abs(total - trace.attention_added(1)).max() < 1e-5


@pytest.mark.parametrize(
    "make", [lambda o: torch.nn.Sequential(o, torch.nn.GELU()), lambda o: Pair(o, torch.nn.Tanh())]
)
def test_what_is_not_affine_behind_w_o_is_refused(make: Any) -> None:
    with pytest.raises(ac.UnsupportedFamily, match="does more than multiply by a matrix"):
        ac.wrap(with_output(make), TOKENIZER)


def test_an_adapter_put_in_after_a_model_was_wrapped_is_noticed() -> None:
    model = FAMILIES["llama"].build()
    before = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    before.delta_e(0, 0)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=ALL)
    owners = random_adapter(peft.get_peft_model(model, config))
    judge(owners, ac.trace(ac.wrap(owners, TOKENIZER), TEXT))
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        before.delta_e(0, 0)


def test_weights_that_were_changed_a_little_are_noticed() -> None:
    model = FAMILIES["gpt2"].build()
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    model.transformer.h[1].attn.c_proj.weight.data.mul_(1.0003)
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        trace.delta_e(1, 0)
    assert trace.delta_e(0, 0).any()  # another layer is as it was


@pytest.mark.parametrize("how", ["scaled", "adapter", "unembedding"])
def test_weights_that_were_changed_after_a_trace_are_noticed(how: str) -> None:
    """`p.data.mul_()` changes neither an address nor a version."""
    model = adapted()
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    kept = trace.delta_e(1, 0), trace.logits()
    names = {
        "scaled": "layers.1.self_attn.o_proj.base_layer.weight",
        "adapter": "layers.1.self_attn.o_proj.lora_B.default.weight",
    }
    weight = next(p for name, p in model.named_parameters() if name.endswith(names.get(how, "lm_head.weight")))
    weight.data.mul_(2)
    read = trace.logits if how == "unembedding" else lambda: trace.delta_e(1, 0)
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        read()
    if how != "unembedding":
        assert trace.check().delta > 1e-2 and not trace.check().ok
    weight.data.div_(2)
    assert np.allclose(trace.delta_e(1, 0), kept[0], atol=1e-6) and np.allclose(trace.logits(), kept[1], atol=1e-5)


@pytest.mark.parametrize(
    ("family", "name", "read"),
    [
        ("llama", "layers.1.self_attn.q_proj.weight", lambda trace: trace.projections(1, 0)),
        ("llama", "layers.1.self_attn.k_proj.weight", lambda trace: trace.projections(1, 0)),
        ("gpt2", "h.1.attn.c_attn.weight", lambda trace: trace.w_v(1, 0)),
        ("gpt2", "ln_f.weight", lambda trace: trace.final_norm(trace.embedding(2))),
        ("bert", "layer.1.attention.output.LayerNorm.weight", lambda t: t.block_norm(1, "attention", t.embedding(1))),
    ],
)
def test_whatever_a_reader_uses_is_noticed_when_it_changed(family: str, name: str, read: Any) -> None:
    """A sign that is turned changes no length, and `p.data.neg_()` neither an address nor a version."""
    model = FAMILIES[family].build()
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    read(trace)
    weight = next(p for own, p in model.named_parameters() if own.endswith(name))
    weight.data.neg_()
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        read(trace)
    weight.data.neg_()
    read(trace)


@pytest.mark.parametrize("name", ["layer.1.attention.output.LayerNorm.weight", "layer.0.output.LayerNorm.bias"])
def test_check_is_red_where_a_norm_changed_after_a_trace(name: str) -> None:
    model = FAMILIES["bert"].build()
    trace = ac.trace(ac.wrap(model, TOKENIZER), TEXT)
    assert trace.check().ok
    next(p for own, p in model.named_parameters() if own.endswith(name)).data.add_(0.01)
    assert not trace.check().ok and trace.check().residual > 1e-3


# --- Every method of peft -------------------------------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {  # what a method needs beside the modules that it changes
    "ADALORA": {"total_step": 10, "init_r": 4},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 2, "target_modules": None},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 8},
    "CARTRIDGE": {"num_virtual_tokens": 4},
    "CPT": {"cpt_token_ids": [5, 6], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 2]},
    "FOURIERFT": {"n_frequency": 20},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 4, "num_tasks": 2},
    "OFT": {"r": 0, "oft_block_size": 4},
    "MISS": {"r": 4},
    "PROMPT_TUNING": {"num_virtual_tokens": 4},
    "P_TUNING": {"num_virtual_tokens": 4, "encoder_hidden_size": 8},
    "PREFIX_TUNING": {"num_virtual_tokens": 4},
    "PSOFT": {"r": 4},
    "ROAD": {"group_size": 4},
    "SHADOW": {"target_modules": ["o_proj"]},
    "SHIRA": {"r": 4},
    "TRAINABLE_TOKENS": {"token_indices": [5, 6], "target_modules": ["embed_tokens"]},
    "UNILORA": {"theta_d_length": 64},
    "VBLORA": {"vector_length": 4, "num_vectors": 8, "topk": 2},
    "XLORA": {"hidden_size": 32},
    "WAVEFT": {"n_frequency": 20},
}  # fmt: skip


def with_method(method: Any) -> Any:
    kind, name = peft.PEFT_TYPE_TO_CONFIG_MAPPING[method], method.value
    fields = kind.__dataclass_fields__
    options = {"task_type": "CAUSAL_LM"} | (
        {"target_modules": ["v_proj", "o_proj"]} if "target_modules" in fields else {}
    )
    options |= {key: value for key, value in OPTIONS.get(name, {}).items() if key in fields}
    model = FAMILIES["llama"].build()
    if name == "XLORA":  # it mixes adapters that are there; this one reads the prompt twice, and only without a cache
        model.config.use_cache = False
    return random_adapter(peft.get_peft_model(model, kind(**options)))


@pytest.mark.parametrize("method", list(peft.PEFT_TYPE_TO_CONFIG_MAPPING), ids=lambda method: method.value)
def test_every_method_is_read_as_the_owner_runs_it_or_refused_with_the_way_out(method: Any) -> None:
    owners = with_method(method)
    try:
        model = ac.wrap(owners, TOKENIZER)
    except ac.HeadlightError as error:
        said = str(error)
        assert "merge_and_unload" not in said and "outside the library's attention interface" not in said
        with contextlib.suppress(ac.UnsupportedFamily):  # what is inside has the adapter in it, with some methods
            ac.wrap(owners.get_base_model(), TOKENIZER)
        if "call model.base_model.disable_adapter_layers() and wrap model.get_base_model()" in said:
            owners.base_model.disable_adapter_layers()
            inside = owners.get_base_model()
        elif "take it out (model = model.unload()) and wrap the result" in said:
            inside = owners.unload()
        else:
            assert "wrap model.get_base_model()" in said
            inside = owners.get_base_model()
        plain = ac.trace(ac.wrap(inside, TOKENIZER), TEXT)
        expected = ac.trace(ac.wrap(FAMILIES["llama"].build(), TOKENIZER), TEXT)
        np.testing.assert_array_equal(plain.logits(), expected.logits())
        return
    trace = ac.trace(model, TEXT)
    judge(owners, trace)
    if not owners.active_peft_config.is_prompt_learning:  # of whatever else is refused it is said that it can be merged
        merged = ac.trace(ac.wrap(owners.merge_and_unload(), TOKENIZER), TEXT)
        np.testing.assert_allclose(merged.logits(), trace.logits(), atol=1e-4)


def prefixed(family: str) -> Any:
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    return random_adapter(peft.get_peft_model(FAMILIES[family].build(), config))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])  # gemma2 lets the last words see no prefix: a window
def test_virtual_tokens_are_columns(family: str) -> None:
    owners = prefixed(family)
    model = ac.wrap(owners, TOKENIZER)
    trace = ac.trace(model, TEXT)
    n = len(trace.tokens)
    assert trace.tokens_of("self")[1].labels == [*trace.tokens.labels, "prefix 1", "prefix 2", "prefix 3"]
    inside = owners.get_base_model()
    inside.set_attn_implementation("eager")
    with torch.inference_mode():
        said = owners(input_ids=torch.tensor([trace.tokens.ids]), output_attentions=True)
    for layer, theirs in enumerate(said.attentions):
        words_first = theirs[0].roll(-3, dims=-1).numpy()
        np.testing.assert_allclose(trace.patterns(layer), words_first, atol=3e-6)
        assert trace.key(layer, 1).shape[0] == trace.value(layer, 1).shape[0] == n + 3
        sources = trace.delta_e_by_source(layer, 2, n - 1)
        np.testing.assert_allclose(sources.sum(axis=0), trace.delta_e(layer, 2)[n - 1], atol=1e-4)
    assert trace.value(0, 1)[n:].any() and trace.pattern(0, 1)[:, n:].any()
    np.testing.assert_allclose(trace.logits(), said.logits[0, -1], atol=1e-4)
    check = trace.check()
    assert check.ok and check.own_pass < 1e-5 and check.own_weights < 1e-5
    graph = ac.trace(model, TEXT, grad=True)
    np.testing.assert_allclose(graph.pattern(1, 1).detach(), trace.pattern(1, 1), atol=1e-5)
    many, *_ = ac.trace_many(model, [TEXT, "the old fox"])
    np.testing.assert_array_equal(many.pattern(1, 1), trace.pattern(1, 1))
    assert [word.id for word in write(model, trace.tokens.ids, 1)] in ([int(said.logits[0, -1].argmax())], [])
    assert not model.hf.training and ac.trace(model, TEXT).check().ok


def test_what_virtual_tokens_bring_is_told_beside_what_words_bring() -> None:
    trace = ac.trace(ac.wrap(prefixed("gpt2"), TOKENIZER), TEXT)
    n, prefix = len(trace.tokens), ["prefix 1", "prefix 2", "prefix 3"]
    for key, against, learnt in (
        (1, None, []), (n, None, prefix[:1]), (1, n + 2, prefix[2:]), (n + 1, "mean", prefix), (1, "mean", prefix)
    ):  # fmt: skip
        parts = trace.score_parts(1, 2, 3, key, against)
        assert parts.residue < 1e-6 and parts.matrix.shape == (len(parts.query_writers), len(parts.key_writers))
        assert [writer for writer in parts.key_writers if writer.kind == "learnt"] == learnt
    values, sources = trace.value_parts(1, 2, 3, n + 1), trace.delta_e_by_source(1, 2, 3)
    assert values.writers == ("prefix 2",) and np.abs(sources[n + 1]).max() > 1e-4
    np.testing.assert_allclose(values.vectors[0], sources[n + 1], atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_flow_of_a_word_says_what_comes_from_virtual_tokens(family: str) -> None:
    trace = ac.trace(ac.wrap(prefixed(family), TOKENIZER), TEXT)
    for measure in FLOW_MEASURES:
        np.testing.assert_allclose(flow(trace.stream(), measure).edges.sum(axis=-1), 1, atol=1e-6)
    by_hand = trace.patterns(0).mean(axis=0)[:, len(trace.tokens) :].sum(axis=1) / 2
    np.testing.assert_allclose(flow(trace.stream(), "rollout").edges[0][:, -1], by_hand, atol=1e-6)
    if family != "gpt2":
        with pytest.raises(ac.HeadlightError, match="models that read after virtual tokens W_Q and W_K could not be"):
            trace.score_parts(1, 2, 3, 1)


def test_virtual_tokens_that_ask_as_words_do_are_refused_with_the_way_out() -> None:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    owners = random_adapter(peft.get_peft_model(FAMILIES["llama"].build(), config))
    with pytest.raises(ac.UnsupportedFamily, match=r"reads 3 virtual tokens .*wrap model.get_base_model\(\)"):
        ac.wrap(owners, TOKENIZER)


def test_an_adapted_model_is_patched_and_differentiated_like_any_other() -> None:
    model = ac.wrap(adapted(), TOKENIZER)
    plain, other = ac.trace(model, TEXT), ac.trace(model, "the old fox")
    graph = ac.trace(model, TEXT, grad=True)
    (slope,) = torch.autograd.grad(graph.final_embedding().sum(), graph.delta_e(0, 1))
    assert slope.abs().max() > 0 and graph.check().ok
    np.testing.assert_allclose(graph.delta_e(1, 2).detach(), plain.delta_e(1, 2), atol=1e-4)
    patched = ac.trace(model, TEXT, patch={ac.at.head(0, 1, position=1): other, ac.at.attention(0, position=2): other})
    assert patched.check().ok
    np.testing.assert_array_equal(patched.attention_added(0)[2], other.attention_added(0)[2])
