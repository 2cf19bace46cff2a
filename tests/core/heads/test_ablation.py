"""Switching heads off and forcing patterns, judged by copied models whose W_O rows are zeroed, and by hand."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedTokenizerFast,
)

import attn_core as ac
from attn_core.heads import ablation, baselines
from attn_core.heads.summary import delta_shares, summarise_head

WORDS = ["a", "fluffy", "blue", "creature", "roamed", "the", "verdant", "forest", "and", "saw", "old", "mole"]
TEXT = "a fluffy blue creature roamed the verdant forest"
N = 4 + len(WORDS)


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def loud(build, config):
    """Weights so large that patterns are far from even, and every bias at work; the same in every run."""
    torch.manual_seed(7)
    model = build(config)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3) if parameter.dim() == 1 else parameter.data.mul_(8)
    return model.eval()


def gpt2():
    return loud(GPT2LMHeadModel, GPT2Config(vocab_size=N, n_embd=32, n_layer=2, n_head=4, n_positions=32, **SPECIAL))


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, **SPECIAL}


def bert():
    return loud(BertModel, BertConfig(vocab_size=N, **SIZES))


def neox():
    return loud(GPTNeoXForCausalLM, GPTNeoXConfig(vocab_size=N, **SIZES))


def llama():
    return loud(LlamaForCausalLM, LlamaConfig(vocab_size=N, num_key_value_heads=2, **SIZES))


OUTPUT = {  # where each family keeps W_O of a layer; only the judge knows
    gpt2: lambda m, layer: m.transformer.h[layer].attn.c_proj,
    bert: lambda m, layer: m.encoder.layer[layer].attention.output.dense,
    neox: lambda m, layer: m.gpt_neox.layers[layer].attention.dense,
    llama: lambda m, layer: m.model.layers[layer].self_attn.o_proj,
}


def without_rows(model, family, layer, head, d_head=8):
    """A copy of the model in which the head's rows of W_O are 0: the judge."""
    judge = copy.deepcopy(model)
    weight = OUTPUT[family](judge, layer).weight.data
    rows = slice(head * d_head, (head + 1) * d_head)
    if family is gpt2:  # Conv1D keeps [in, out]
        weight[rows] = 0
    else:
        weight[:, rows] = 0
    return judge


@pytest.mark.parametrize("family", list(OUTPUT), ids=lambda f: f.__name__)
@pytest.mark.parametrize(("layer", "head"), [(0, 3), (1, 0)])
def test_switching_off_equals_zeroing_the_heads_rows_of_the_output_matrix(family, layer, head):
    original = family()
    judged = ac.trace(ac.wrap(without_rows(original, family, layer, head), tokenizer()), TEXT)
    ours = ac.trace(ac.wrap(original, tokenizer()), TEXT, without=[(layer, head)])
    plain = ac.trace(ac.wrap(original, tokenizer()), TEXT)
    np.testing.assert_allclose(ours.final_embedding(), judged.final_embedding(), atol=2e-5)
    assert np.abs(ours.final_embedding() - plain.final_embedding()).max() > 0.01, "the head does something"
    assert np.abs(ours.delta_e(layer, head)).max() == 0


def test_a_cut_after_the_output_matrix_would_be_another_number():
    """Zeroing d_head features of the block's output is not switching a head off, whatever peers do."""
    original = gpt2()
    trace = ac.trace(ac.wrap(original, tokenizer()), TEXT)
    wrong = trace.attention_output(0).copy()
    wrong[:, 24:32] = 0
    right = trace.attention_output(0) - trace.delta_e(0, 3)
    off = ac.trace(ac.wrap(original, tokenizer()), TEXT, without=[(0, 3)])
    np.testing.assert_allclose(off.attention_output(0), right, atol=1e-5)
    assert np.abs(wrong - right).max() > 0.1


def test_the_mean_fill_is_the_heads_mean_over_the_sentence():
    model = ac.wrap(gpt2(), tokenizer())
    plain, off = ac.trace(model, TEXT), ac.trace(model, TEXT, without=[(0, 1)], replacement="mean")
    weighted = plain.pattern(0, 1) @ plain.value(0, 1)
    expected = np.repeat(weighted.mean(axis=0, keepdims=True), len(weighted), axis=0) @ plain.w_o(0, 1)
    np.testing.assert_allclose(off.delta_e(0, 1), expected, atol=1e-5)
    np.testing.assert_allclose(
        off.attention_output(0), plain.attention_output(0) - plain.delta_e(0, 1) + expected, atol=1e-5
    )


def test_a_forced_pattern_equals_a_hand_computation():
    model = ac.wrap(bert(), tokenizer())
    plain = ac.trace(model, TEXT)
    n = len(plain.tokens)
    previous = np.eye(n)[[0, *range(n - 1)]]
    edited = ac.trace(model, TEXT, edit={(0, 2): previous})
    by_hand = previous @ plain.value(0, 2) @ plain.w_o(0, 2)
    np.testing.assert_allclose(edited.delta_e(0, 2), by_hand, atol=1e-5)
    np.testing.assert_allclose(
        edited.attention_output(0), plain.attention_output(0) - plain.delta_e(0, 2) + by_hand, atol=1e-5
    )
    np.testing.assert_array_equal(edited.pattern(0, 2), previous.astype(np.float32))


@pytest.mark.parametrize("key", [0, (0, 1), [(0,)], [("self", 0, 1, 2)], ["0.3"]])
def test_what_names_no_head_is_refused_in_words(key):
    with pytest.raises(ValueError, match="names no head"):
        ac.trace(ac.wrap(gpt2(), tokenizer()), TEXT, without=key if isinstance(key, list | tuple) else [key])


def test_what_can_stand_in_for_a_head():
    model = ac.wrap(gpt2(), tokenizer())
    trace = ac.trace(model, TEXT)
    n = len(trace.tokens)
    assert ablation.replacement_options(trace.stream(), [(0, 1)], "mean") == {
        "without": [(0, 1)],
        "replacement": "mean",
    }
    even = ablation.replacement_options(trace.stream(), [(0, 1)], "even")["edit"][0, 1]
    np.testing.assert_allclose(even, np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None], atol=1e-6)
    previous = ablation.replacement_options(trace.stream(), [(1, 2)], "previous")["edit"][1, 2]
    np.testing.assert_array_equal(previous.argmax(axis=1), [0, *range(n - 1)])
    painted = ablation.replacement_options(trace.stream(), [(1, 2)], "painted", [(4, 1), (4, 2), (2, 5)])["edit"][1, 2]
    assert painted[4, 1] == painted[4, 2] == 0.5
    np.testing.assert_array_equal(painted[2], trace.pattern(1, 2)[2], "what the mask forbids is not painted")
    np.testing.assert_array_equal(painted[5], trace.pattern(1, 2)[5], "rows without paint stay as they were")
    for how in ablation.REPLACEMENTS:
        after = ac.trace(model, TEXT, **ablation.replacement_options(trace.stream(), [(1, 2)], how, [(4, 1)]))
        assert np.abs(after.attention_output(1) - trace.attention_output(1)).max() > 1e-3, how


def test_two_visitors_one_with_a_head_off_never_mix():
    model = ac.wrap(gpt2(), tokenizer())
    expected = {
        off: ac.trace(model, TEXT, without=[(0, 0), (1, 2)] if off else []).final_embedding() for off in (True, False)
    }
    assert np.abs(expected[True] - expected[False]).max() > 0.01
    wrong: list[bool] = []

    def visit(off: bool) -> None:
        for _ in range(25):
            got = ac.trace(model, TEXT, without=[(0, 0), (1, 2)] if off else []).final_embedding()
            if not np.allclose(got, expected[off], atol=1e-6):
                wrong.append(off)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(visit, (True, False, True, False)))
    assert wrong == []


def test_effect_of_a_decoder_is_the_divergence_of_its_next_word():
    original = gpt2()
    model = ac.wrap(original, tokenizer())
    before, after = ac.trace(model, TEXT), ac.trace(model, TEXT, without=[(0, 3)])
    found = ablation.effect(before.stream(), after.stream(), query=3)
    ids = torch.tensor([before.tokens.ids])
    with torch.no_grad():
        p = original(ids).logits[0, 3].double().log_softmax(-1)
        q = without_rows(original, gpt2, 0, 3)(ids).logits[0, 3].double().log_softmax(-1)
    kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="sum") / np.log(2)
    assert found.unit == "bits"
    assert found.value == pytest.approx(float(kl), rel=1e-3)
    change = (q.exp() - p.exp()).numpy()
    names = ["<pad>", "<s>", "</s>", "<unk>", *WORDS]
    assert found.rising[0].text == names[change.argmax()]
    assert found.falling[0].text == names[change.argmin()]
    assert found.rising[0].after - found.rising[0].before == pytest.approx(change.max(), abs=1e-4)
    assert all(w.after > w.before for w in found.rising) and all(w.after < w.before for w in found.falling)


def test_effect_of_an_encoder_is_the_angle_of_its_final_embedding():
    original = bert()
    model = ac.wrap(original, tokenizer())
    before, after = ac.trace(model, TEXT), ac.trace(model, TEXT, without=[(1, 2)])
    ids = torch.tensor([before.tokens.ids])
    with torch.no_grad():
        a = original(ids).last_hidden_state[0, 4].double()
        b = without_rows(original, bert, 1, 2)(ids).last_hidden_state[0, 4].double()
    angle = float(torch.rad2deg(torch.acos(torch.nn.functional.cosine_similarity(a, b, dim=0))))
    found = ablation.effect(before.stream(), after.stream(), query=4)
    assert found.unit == "°" and angle > 0.1
    assert found.value == pytest.approx(angle, rel=1e-3)
    assert ablation.effect(before.stream(), before.stream(), query=4).value == 0


def test_shares_of_a_layer_sum_to_one_and_are_norms():
    model = ac.wrap(gpt2(), tokenizer())
    trace = ac.trace(model, TEXT)
    shares = delta_shares(trace.stream(), 1, query=5)
    norms = np.array([np.linalg.norm(trace.delta_e(1, head)[5]) for head in range(4)])
    np.testing.assert_allclose(shares, norms / norms.sum(), rtol=1e-5)
    assert shares.sum() == pytest.approx(1)


def test_a_strip_reads_as_four_numbers():
    model = ac.wrap(gpt2(), tokenizer())
    trace = ac.trace(model, TEXT)
    summary = summarise_head(trace.stream(), ablation.runner(model, trace), layer=0, head=1, query=4)
    row = trace.pattern(0, 1)[4]
    assert summary.sink == pytest.approx(row[0], abs=1e-6)
    assert summary.sink_labels == ("a",)
    assert summary.entropy == pytest.approx(-(row[row > 0] * np.log2(row[row > 0])).sum(), abs=1e-5)
    numbers, what = zip(*summary.parts(), strict=True)
    assert what == ("of this layer's ΔE", "change of the next word", "on a", "entropy")
    assert numbers[0].endswith(" %") and numbers[1].endswith(" bits") and numbers[3].endswith(" bits")


def test_an_effect_names_the_words_that_rise_and_fall():
    word, still = ablation.Word("dog", 0.05, 0.091), ablation.Word("a", 0.50001, 0.50002)
    assert ablation.Effect(1.0, "bits", "", (word,), (ablation.Word("<b> cat", 0.12, 0.03),)).says == (
        "Without it “dog” rises from 5 % to 9.1 % and “<b>␠cat” falls from 12 % to 3 %."
    )
    assert ablation.Effect(0.0, "bits", "", (still,), ()).says == "", "what reads the same has not moved"
    assert ablation.Effect(3.5, "°", "turn if switched off").says == ""


def test_every_head_is_switched_off_once_and_one_can_stop():
    model = ac.wrap(bert(), tokenizer())
    trace = ac.trace(model, TEXT)
    passes: list[list] = []

    def run(**options):
        passes.append(options["without"])
        return ac.trace(model, trace.tokens.ids, **options)

    every = ablation.switch_off_each(trace.stream(), run, query=4)
    assert next(every)[:2] == (0, 0) and passes == [[(0, 0)]]
    values = {(layer, head): value for layer, head, value in every}
    assert len(values) == 7
    single = ablation.effect(trace.stream(), ac.trace(model, TEXT, without=[(1, 2)]).stream(), query=4).value
    assert values[1, 2] == pytest.approx(single)
    together = list(ablation.switch_off_each(trace.stream(), run, query=4, off=[(0, 0)]))
    pair = ablation.effect(
        ac.trace(model, TEXT, without=[(0, 0)]).stream(),
        ac.trace(model, TEXT, without=[(0, 0), (1, 2)]).stream(),
        query=4,
    )
    assert together[6] == (1, 2, pytest.approx(pair.value))
    assert together[0][2] == 0, "a head that is off already changes nothing"


def test_words_compared_are_the_likeliest_of_both_passes_and_the_movers():
    original = gpt2()
    model = ac.wrap(original, tokenizer())
    before, after = ac.trace(model, TEXT), ac.trace(model, TEXT, without=[(0, 3)])
    ids = torch.tensor([before.tokens.ids])
    with torch.no_grad():
        p = original(ids).logits[0, -1].softmax(-1).numpy()
        q = without_rows(original, gpt2, 0, 3)(ids).logits[0, -1].softmax(-1).numpy()
    found = ablation.words_compared(before.stream(), after.stream(), len(before.tokens) - 1, n=2)
    wanted = {*np.argsort(-p)[:2], *np.argsort(-q)[:2], *np.argsort(-np.abs(p - q))[:2]}
    assert {round(word.before, 4) for word in found} == {round(float(p[i]), 4) for i in wanted}
    assert found[0].before == pytest.approx(p.max(), rel=1e-4)
    for word in found:
        i = int(np.abs(p - word.before).argmin())
        assert word.after == pytest.approx(q[i], rel=1e-3)


def mbart():
    return loud(
        MBartForConditionalGeneration,
        MBartConfig(
            vocab_size=N,
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=32,
            decoder_start_token_id=2,
            **SPECIAL,
        ),
    )


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
def test_each_stream_of_an_encoder_decoder_has_its_effects(stream):
    original = mbart()
    model = ac.wrap(original, tokenizer())
    trace = ac.trace(model, TEXT, target="the old mole saw")
    run = ablation.runner(model, trace)
    summary = summarise_head(trace.stream(stream), run, layer=0, head=1, query=2)
    assert summary.effect.unit == ("°" if stream == "encoder" else "bits") and summary.effect.value > 0
    judge = copy.deepcopy(original)
    block = judge.model.encoder.layers[0] if stream == "encoder" else judge.model.decoder.layers[0]
    attention = block.encoder_attn if stream == "cross" else block.self_attn
    attention.out_proj.weight.data[:, 8:16] = 0
    judged = ac.trace(ac.wrap(judge, tokenizer()), TEXT, target="the old mole saw")
    off = run(without=[(stream, 0, 1)])
    np.testing.assert_allclose(
        off.final_embedding(stream="decoder"), judged.final_embedding(stream="decoder"), atol=2e-5
    )


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
def test_in_each_stream_a_mean_and_a_forced_pattern_equal_a_hand_computation(stream):
    model = ac.wrap(mbart(), tokenizer())
    plain = ac.trace(model, TEXT, target="the old mole saw")
    pattern, value, w_o = (read(0, 1, stream=stream) for read in (plain.pattern, plain.value, plain.w_o))
    even = (cells := plain.may_look(0, stream=stream)) / cells.sum(axis=1, keepdims=True)
    mean = np.broadcast_to((pattern @ value).mean(axis=0), (len(pattern), value.shape[1]))
    for options, by_hand in (
        ({"without": [(stream, 0, 1)], "replacement": "mean"}, mean @ w_o),
        ({"edit": {(stream, 0, 1): even}}, even @ value @ w_o),
    ):
        after = ac.trace(model, TEXT, target="the old mole saw", **options)
        expected = plain.attention_output(0, stream=stream) - plain.delta_e(0, 1, stream=stream) + by_hand
        np.testing.assert_allclose(after.attention_output(0, stream=stream), expected, atol=1e-5)
        moved = after.final_embedding(stream="decoder") - plain.final_embedding(stream="decoder")
        assert np.abs(moved).max() > 0, "what the head does instead goes on to the end"


def test_random_weights_keep_the_shape_and_leave_the_model_and_the_dice_alone():
    original = gpt2()
    model = ac.wrap(original, tokenizer(), name="loud")
    before = ac.trace(model, TEXT).pattern(0, 1)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fresh = baselines.random_weights(model, seed=5)
    assert torch.rand(1) == expected
    assert fresh.name == "loud, random weights"
    random = ac.trace(fresh, TEXT)
    assert random.pattern(0, 1).shape == before.shape
    assert np.abs(random.pattern(0, 1) - before).max() > 0.01
    np.testing.assert_array_equal(ac.trace(model, TEXT).pattern(0, 1), before)
    np.testing.assert_array_equal(
        ac.trace(baselines.random_weights(model, seed=5), TEXT).pattern(0, 1), random.pattern(0, 1)
    )


def test_shuffles_keep_specials_in_place_and_average_to_rows_of_one():
    ids, special = [1, 10, 11, 12, 13, 2], [True, False, False, False, False, True]
    reordered = baselines.shuffled(ids, special, seed=2)
    assert reordered[0] == 1 and reordered[-1] == 2 and sorted(reordered) == sorted(ids) and reordered != ids
    model = ac.wrap(bert(), tokenizer())
    trace = ac.trace(model, TEXT)
    orders = [baselines.shuffled(trace.tokens.ids, trace.tokens.special, seed) for seed in range(3)]
    mean = baselines.mean_patterns(ac.trace(model, order).stream() for order in orders)
    assert [layer.shape for layer in mean] == [(4, 8, 8)] * 2
    np.testing.assert_allclose(mean[1].sum(axis=-1), 1, atol=1e-5)
    by_hand = np.mean([ac.trace(model, order).pattern(0, 1) for order in orders], axis=0)
    np.testing.assert_allclose(mean[0][1], by_hand, atol=1e-6)
