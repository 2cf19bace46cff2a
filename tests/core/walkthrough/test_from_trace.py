"""Real heads of tiny models: every stage from W_Q to ΔE against the library's own eager attention and float64."""

import numpy as np
import pytest
import torch
import transformers as tf
from families import SEQ2SEQ

import attn_core as ac
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.from_trace import from_trace, places_of
from attn_core.walkthrough.head import run_stages

IDS = [5, 9, 12, 30, 31, 7, 5, 22, 11]
LLAMA = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4} | {
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
BERT = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}
OPT = BERT | {"ffn_dim": 24, "word_embed_proj_dim": 24}
T5 = {"vocab_size": 40, "d_model": 24, "d_kv": 6, "num_heads": 4, "num_layers": 2, "d_ff": 24}
DISTILBERT = {"vocab_size": 40, "dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 32}
FAMILIES = {
    "bert": lambda: tf.BertConfig(**BERT),
    "roberta": lambda: tf.RobertaConfig(**BERT, pad_token_id=1),
    "distilbert": lambda: tf.DistilBertConfig(**DISTILBERT),
    "gpt2": lambda: tf.GPT2Config(vocab_size=40, n_embd=24, n_layer=2, n_head=4, n_positions=32),
    "gpt-neox": lambda: tf.GPTNeoXConfig(**BERT, rotary_pct=0.5),
    "opt": lambda: tf.OPTConfig(**OPT),
    "llama": lambda: tf.LlamaConfig(**LLAMA),
    "qwen2": lambda: tf.Qwen2Config(**LLAMA),
    "mistral": lambda: tf.MistralConfig(**LLAMA, sliding_window=4),
    "gemma2": lambda: tf.Gemma2Config(**LLAMA, head_dim=6, query_pre_attn_scalar=9, sliding_window=4),
    "t5-encoder": lambda: tf.T5Config(**T5),
    "bart": lambda: tf.BartConfig(**SEQ2SEQ),
    "marian": lambda: tf.MarianConfig(**SEQ2SEQ, pad_token_id=0),
}
STREAMS = {"t5-encoder": ("encoder", "decoder", "cross")} | dict.fromkeys(
    ("bart", "marian"), ("encoder", "decoder", "cross")
)


class Words:
    """As much of a tokenizer as ids need."""

    is_fast, model_max_length = True, 32
    unk_token_id = mask_token_id = bos_token_id = eos_token_id = cls_token_id = sep_token_id = None
    all_special_ids: list[int] = []
    backend_tokenizer = None

    def convert_ids_to_tokens(self, ids):
        return [f"w{i}" for i in ids]

    def convert_tokens_to_ids(self, tokens):
        return []


def make(family: str):
    torch.manual_seed(1)
    config = FAMILIES[family]()
    config._attn_implementation = "eager"
    model = tf.AutoModel.from_config(config).eval()
    for parameter in model.parameters():  # biases too, and weights large enough for patterns that are not flat
        torch.nn.init.normal_(parameter.data, std=0.3)
    return model


def run(family: str, model, ids=IDS):
    wrapped = ac.wrap(model, Words())
    return ac.trace(wrapped, ids, target=[3, 8, 9, 30]) if family in STREAMS else ac.trace(wrapped, ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_walk_gives_the_models_own_pattern_and_output(family):
    model = make(family)
    trace = run(family, model)
    inputs = {"input_ids": torch.tensor([IDS])}
    if family in STREAMS:
        inputs["decoder_input_ids"] = torch.tensor([[3, 8, 9, 30]])
    with torch.inference_mode():
        eager = model(**inputs, output_attentions=True)
    for stream in STREAMS.get(family, (None,)):
        named = {None: "attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions"}
        library = eager[named.get(stream, "cross_attentions")]
        for layer in range(trace.n_layers_of(stream)):
            for head in (0, 3 if family not in ("bart", "marian") else 1):
                inputs = from_trace(trace.stream(stream), layer, head)
                made = run_stages(inputs)
                assert inputs.weights is not None and "query" in made.ran, "W_Q should have been found"
                np.testing.assert_allclose(made.pattern, library[layer][0, head], atol=2e-5)
                weighted = trace.weighted_values(layer, head, stream=stream)
                np.testing.assert_allclose(made.weighted_values, weighted, atol=1e-5 * np.abs(weighted).max() + 1e-6)
                np.testing.assert_allclose(made.delta, trace.delta_e(layer, head, stream=stream), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_every_stage_against_float64(family):
    """From what W_Q receives to ΔE with nothing of ours: weights cut by hand, einsum, complex rotation."""
    model, layer, head, d = make(family), 1, 2, 6
    trace = run(family, model)
    x = trace.attention_input(layer).astype(np.float64)
    cut, group = slice(head * d, head * d + d), slice(d, 2 * d)  # head 2 of 4 uses the second of two groups

    def w(module, columns):
        weight = module.weight.detach().double().numpy()[columns]
        return x @ weight.T + (0 if module.bias is None else module.bias.detach().double().numpy()[columns])

    if family == "bert":
        block = model.encoder.layer[layer].attention
        q, k, v = (w(m, cut) for m in (block.self.query, block.self.key, block.self.value))
        w_o = block.output.dense.weight.detach().double().numpy()[:, cut].T
    elif family == "gpt2":
        block = model.h[layer].attn
        fused = x @ block.c_attn.weight.detach().double().numpy() + block.c_attn.bias.detach().double().numpy()
        q, k, v = (fused[:, part * 24 : part * 24 + 24][:, cut] for part in range(3))
        w_o = block.c_proj.weight.detach().double().numpy()[cut]
    else:
        block = model.layers[layer].self_attn
        q, k, v = w(block.q_proj, cut), w(block.k_proj, group), w(block.v_proj, group)
        w_o = block.o_proj.weight.detach().double().numpy()[:, cut].T
    plain_q, plain_k = q, k
    if family == "llama":
        turns = np.exp(1j * np.arange(len(IDS))[:, None] * 10000.0 ** -(np.arange(3) / 3))
        q, k = (np.concatenate([z.real, z.imag], 1) for z in ((p[:, :3] + 1j * p[:, 3:]) * turns for p in (q, k)))
    raw = np.einsum("qd,kd->qk", q, k)
    masked = raw / np.sqrt(d)
    if family != "bert":
        masked = np.where(np.tri(len(IDS)) > 0, masked, -np.inf)
    pattern = np.exp(masked - masked.max(1, keepdims=True))
    pattern /= pattern.sum(1, keepdims=True)
    expected = {
        "query": plain_q,
        "key": plain_k,
        "turned_query": q,
        "turned_key": k,
        "value": v,
        "raw_scores": raw,
        "scaled": raw / np.sqrt(d),
        "masked": masked,
        "pattern": pattern,
        "weighted_values": pattern @ v,
        "delta": pattern @ v @ w_o,
    }
    made = run_stages(from_trace(trace.stream(), layer, head))
    for name, numbers in expected.items():
        np.testing.assert_allclose(getattr(made, name), numbers, rtol=1e-4, atol=1e-4, err_msg=name)


def test_where_queries_are_normalised_on_the_way_the_walk_starts_from_what_was_captured():
    torch.manual_seed(1)
    model = tf.AutoModel.from_config(tf.Qwen3Config(**LLAMA, head_dim=6)).eval()
    trace = run("qwen3", model)
    inputs = from_trace(trace.stream(), 1, 2)
    assert inputs.weights is None
    np.testing.assert_allclose(run_stages(inputs).pattern, trace.pattern(1, 2), atol=1e-6)
    assert StageAblation.RANDOM_WEIGHTS not in inputs.possible_ablations()


def test_opt_has_its_scale_in_the_queries_and_the_walk_knows():
    model = make("opt")
    inputs = from_trace(run("opt", model).stream(), 0, 1)
    assert inputs.scaled_before == pytest.approx(6**-0.5) and inputs.scale_factor() == 1
    assert StageAblation.NO_SCALE in inputs.possible_ablations()


def test_shuffled_words_are_read_by_the_model_anew():
    """The judge: the model's own pattern for the shuffled sentence, its rows and columns laid back."""
    model = make("gpt2")
    trace = run("gpt2", model)
    inputs = from_trace(trace.stream(), 1, 2, retrace=lambda ids: run("gpt2", model, ids))
    assert StageAblation.SHUFFLED_POSITIONS in inputs.possible_ablations()
    made = run_stages(inputs, frozenset({StageAblation.SHUFFLED_POSITIONS}))
    standing = places_of(trace.tokens.special)
    assert sorted(standing) == list(range(len(IDS))) and standing != list(range(len(IDS)))
    shuffled = [next(IDS[w] for w in range(len(IDS)) if standing[w] == p) for p in range(len(IDS))]
    with torch.inference_mode():
        library = model(torch.tensor([shuffled]), output_attentions=True).attentions[1][0, 2].numpy()
    expected = np.array([[library[standing[q], standing[k]] for k in range(len(IDS))] for q in range(len(IDS))])
    np.testing.assert_allclose(made.pattern, expected, atol=1e-5)
    assert np.abs(expected - trace.pattern(1, 2)).max() > 0.01


def test_special_tokens_keep_their_places():
    assert places_of([True, False, False, False, True])[::4] == [0, 4]
    assert places_of([True, False]) == [0, 1]


@pytest.mark.parametrize("width", [32, 64])
def test_values_that_read_something_else_than_keys_are_started_from(width):
    """MobileBERT's keys read a bottleneck and its values the whole stream, which may be as wide."""
    config = tf.MobileBertConfig(
        vocab_size=60, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        embedding_size=32, intra_bottleneck_size=width,
    )  # fmt: skip
    torch.manual_seed(0)
    trace = ac.trace(ac.wrap(tf.MobileBertModel(config).eval(), Words()), IDS)
    for head in (0, 3):
        made = run_stages(from_trace(trace.stream(), 1, head))
        np.testing.assert_allclose(made.pattern, trace.pattern(1, head), atol=2e-6)
        np.testing.assert_allclose(made.value, trace.value(1, head), atol=1e-6)
        np.testing.assert_allclose(made.delta, trace.delta_e(1, head), atol=1e-5)
