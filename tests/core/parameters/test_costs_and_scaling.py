"""What parameters cost, how parts grow, and why the value matrix is low rank."""

from __future__ import annotations

import families
import numpy as np
import pytest
import torch
import transformers
from configurations import BUILT, GROUPED, library_model

import attn_core as ac
from attn_core.parameters import costs, low_rank, scaling
from attn_core.parameters.count import count_parameters
from attn_core.parameters.latent_costs import latent_attention
from attn_core.parameters.shape import shape_of, with_numbers


def test_weights_in_memory() -> None:
    gpt3 = count_parameters("gpt-3")
    assert costs.weight_bytes(gpt3, "float16").value == 349_208_518_656
    assert costs.weight_bytes(gpt3, "int4").value == 87_302_129_664


def test_cache_of_a_real_decoder_is_the_formula() -> None:
    """The judge is the library's own cache after reading five tokens."""
    model = library_model("LlamaConfig", "LlamaForCausalLM", {**GROUPED, "head_dim": 4}).eval()
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
        table = count_parameters(name)
        linear = [cost for cost in costs.multiply_adds(shape_of(table.config), 1) if cost.grows == "not at all"]
        embedding = next(line.count for line in table.lesson if line.role == "embedding")
        assert sum(cost.value for cost in linear) == table.lesson_total - embedding


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
    cache = [costs.cache_bytes(shape_of(table.config), 1)[0].value for table in (full, grouped)]
    assert cache[0] / cache[1] == saving.cache_factor == 8
    assert costs.grouping_saves(shape_of(full.config)) is None


LAWS = {
    "d_model": {"embedding": "linear", "position": "linear", "attention": "quadratic", "mlp": "quadratic"},
    "n_layers": {"embedding": "constant", "position": "constant", "attention": "linear", "mlp": "linear"},
    "vocabulary": {"embedding": "linear", "position": "constant", "attention": "constant", "mlp": "constant"},
    "context": {"embedding": "constant", "position": "linear", "attention": "constant", "mlp": "constant"},
}


@pytest.mark.parametrize("knob", LAWS)
def test_what_grows_with_what(knob: str) -> None:
    curves = {curve.part: curve.law for curve in scaling.parameters_by(count_parameters("gpt-3"), knob).curves}
    assert {part: curves[part] for part in LAWS[knob]} == LAWS[knob]


def test_a_wider_model_keeps_its_heads_and_groups() -> None:
    curves = scaling.parameters_by(count_parameters("llama-2-70b"), "d_model").curves
    doubled = {curve.part: curve.doubling for curve in curves}
    assert (doubled["attention"], doubled["mlp"], doubled["norm"]) == (4, 4, 2)  # no biases: exactly


@pytest.mark.parametrize("knob", scaling.KNOBS)
def test_a_curve_passes_through_the_model_itself(knob: str) -> None:
    for name in ("gpt2", "llama-2-70b", "t5-small", "minilm", "HuggingFaceTB/SmolLM2-135M"):
        table = count_parameters(name)
        grown = scaling.parameters_by(table, knob)
        here = grown.at.index(getattr(shape_of(table.config), knob))
        assert {curve.part: curve.values[here] for curve in grown.curves} == table.parts()


def test_reading_is_quadratic_in_the_scores_alone() -> None:
    laws = {curve.part: curve.law for curve in scaling.reading_by(count_parameters("gpt2")).curves}
    assert [part for part, law in laws.items() if law == "quadratic"] == ["attention: scores and sums"]
    assert all(law == "linear" for part, law in laws.items() if part != "attention: scores and sums")


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


def test_a_decoder_pays_for_its_own_width() -> None:
    """Half as wide in the decoder: 12 encoder MLPs of 2 × 1,024 × 4,096, and 12 of 2 × 1,024 × 2,048."""
    shape = shape_of(count_parameters({"model_type": "bart", "decoder_ffn_dim": 2048}).config)
    mlp = next(cost for cost in costs.multiply_adds(shape, 1) if cost.what == "MLP")
    assert mlp.value == 2 * 1024 * (12 * 4096 + 12 * 2048) == eval(mlp.formula.replace(",", "").replace("×", "*"))
    same = shape_of(count_parameters({"model_type": "bart"}).config)
    assert next(cost.formula for cost in costs.multiply_adds(same, 1) if cost.what == "MLP") == "24 × 2 × 1,024 × 4,096"


@pytest.mark.parametrize(
    ("family", "settings"),
    [("deepseek_v2", {"q_lora_rank": None}), ("deepseek_v3", {"q_lora_rank": 12}), ("minicpm3", {"q_lora_rank": 12})],
)
def test_latent_attention_costs_what_torch_counts(family: str, settings: dict) -> None:
    """Without experts, so that all but attention is plain; 4 heads of 6 + 2 in queries and keys, of 5 in values."""
    from torch.utils.flop_counter import FlopCounterMode

    sizes = {
        "vocab_size": 40, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 4, "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 2, "v_head_dim": 5,
        "first_k_dense_replace": 3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    config = transformers.AutoConfig.for_model(family, **(sizes | settings), attn_implementation="eager")
    model, tokens = transformers.AutoModelForCausalLM.from_config(config).eval(), 5
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.arange(tokens)[None])
    latent = latent_attention(count_parameters(model))
    assert latent is not None and (latent.n_attentions, latent.latent) == (3, 12)
    others = 3 * 3 * 24 * 36 + 24 * 40  # MLPs and unembedding
    assert counter.get_total_flops() == 2 * tokens * (sum(c.value for c in latent.multiply_adds(tokens)) + others)
    assert latent.cache_bytes(7, "float32")[1].value == 7 * 3 * 12 * 4


def test_a_cache_of_latent_attention_is_the_papers() -> None:
    """DeepSeek-V2 keeps (512 + 64) × 60 numbers of a token, V3 (512 + 64) × 61, 71 times fewer than of every head."""
    v2 = latent_attention(count_parameters({"model_type": "deepseek_v2", "num_hidden_layers": 60}))
    v3 = latent_attention(count_parameters({"model_type": "deepseek_v3"}))
    assert v2.cache_bytes(1)[0].value == 2 * 34_560 and v3.cache_bytes(1)[0].value == 2 * 35_136
    assert v3.saves == pytest.approx(128 * (192 + 128) / 576)
    others = ("llama-3-8b", "bloom-176b", {"model_type": "kimi_linear"})  # which has both kinds, block by block
    assert [latent_attention(count_parameters(model)) for model in others] == [None] * 3


def test_the_thin_way_finds_the_same_directions() -> None:
    weights = ac.trace(ac.load("minilm"), "a fluffy blue creature").projections(0, 3)
    w_v, w_o = weights.w_v.numpy(), weights.w_o.numpy()
    whole, thin = low_rank.spectrum(w_v, w_o), low_rank.thin_spectrum(w_v, w_o)
    np.testing.assert_allclose(thin.values, whole.values[:32], rtol=1e-8)
    assert (thin.rank, thin.d_head, thin.directions_for) == (whole.rank, 32, whole.directions_for)
    with pytest.raises(ValueError, match="do not fit"):
        low_rank.thin_spectrum(w_v, w_o.T)
