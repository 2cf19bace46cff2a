"""Readers work in blocks of queries: the same numbers as at one go, and nothing quadratic on the way."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import every_family
import numpy as np
import pandas as pd
import pytest
import torch
import transformers as tf
from families import FAMILIES, TARGET, TEXT, of_each_kind, save, whisper, word_tokenizer
from test_keys_of_no_word import sinking
from torch.utils._python_dispatch import TorchDispatchMode

import attn_core as ac
from attn_core import attention, blocks, masks
from attn_core.capture.probing import own_pass
from attn_core.circuits.fine_tuning.changed_heads import head_changes
from attn_core.circuits.flow import FLOW_MEASURES, flow
from attn_core.circuits.logit_flow import logit_top
from attn_core.masks import Mask
from attn_core.traces import call as calls
from attn_core.traces import comparisons, parity
from attn_core.traces.layer import Layer
from attn_core.traces.parity import Parity
from attn_core.traces.wiring import TAPS
from attn_core.views.derived_checks import full_pattern

SMALL = 16  # scores at a time, instead of `blocks.CELLS`
NAN = math.nan


@pytest.fixture(scope="module", params=of_each_kind())
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ac.Model:
    folder = tmp_path_factory.mktemp(request.param)
    save(request.param, folder)
    return ac.load(folder)


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", SMALL)


def run(model: Any) -> ac.Trace:
    return ac.trace(model, TEXT, target=TARGET if model.kind == "encoder-decoder" else None)


def readings(trace: ac.Trace) -> Iterator[np.ndarray]:
    for stream in map(trace.stream, trace.streams):
        for layer in range(stream.n_layers):
            yield stream.patterns(layer)
            yield stream.delta_e_sizes(layer)
            yield stream.attention_output(layer)
            yield np.stack([stream.pattern(layer, head) for head in range(stream.n_heads)])
            yield np.stack([stream.pattern_row(layer, 1, query) for query in range(len(stream.tokens))])
            yield stream.may_look(layer).astype(np.float32)
        yield np.array(stream.check(), dtype=float)


def test_blocks_give_the_same_numbers(model: ac.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = run(model)
    at_one_go = list(readings(trace))
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", SMALL)
    for ours, theirs in zip(readings(run(model)), at_one_go, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-6)


def test_rows_of_patterns_are_rows_of_the_square(model: ac.Model, in_blocks: None) -> None:
    trace = run(model)
    for stream in map(trace.stream, trace.streams):
        whole = stream.patterns(1)
        for rows, block in stream.iter_patterns(1):
            assert block.size <= max(SMALL, whole[:, 0].size)
            np.testing.assert_allclose(block, whole[:, rows], atol=1e-6)
        np.testing.assert_allclose(stream.patterns(1, slice(1, 3)), whole[:, 1:3], atol=1e-6)
        assert stream.patterns(1, slice(2, 2)).shape == (whole.shape[0], 0, whole.shape[2])


def test_sums_over_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added up over keys, rows, heads and layers block by block: parts of a score, flows, means, distances."""
    model, other = ac.load("tiny-decoder"), "the red creature slept near the old tree"
    plain, changed = ac.trace(model, other), ac.trace(model, other, without=[(0, 1)], patch={ac.at.residual(1): "mean"})

    def numbers() -> Iterator[np.ndarray]:
        for trace in (plain, changed):
            for against in (None, "mean", 1):
                parts = trace.score_parts(1, 2, 6, 3, against)
                yield pd.Series(parts.matrix.sum(axis=0), [str(writer) for writer in parts.key_writers]).sort_index()
            yield trace.value_parts(1, 2, 6, 3).vectors
            for measure in FLOW_MEASURES:
                yield flow(trace.stream(), measure).edges
        yield logit_top(plain.stream(), 6, 9).brought
        for over in ("one", "heads", "layers", "all"):
            yield full_pattern(plain.stream(), 1, 2, over)
        yield head_changes([(plain.stream(), changed.stream())]).patterns

    at_one_go = list(numbers())
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", SMALL)
    for ours, theirs in zip(numbers(), at_one_go, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=3e-6)


class LargestTensor(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation makes; views make none."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        storages = {t.untyped_storage().data_ptr() for t in args if isinstance(t, torch.Tensor)}
        for made in given if isinstance(given, (tuple, list)) else (given,):
            if isinstance(made, torch.Tensor) and made.untyped_storage().data_ptr() not in storages:
                self.size = max(self.size, made.numel())
        return given


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> ac.Model:
    folder = tmp_path_factory.mktemp("gpt2")
    save("gpt2", folder)
    return ac.load(folder)


def test_nothing_quadratic_is_made_on_the_way(gpt2: ac.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 60
    trace = ac.trace(gpt2, [3 + i % 20 for i in range(n)])
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", 4 * n)
    linear = n * 4 * trace.d_model
    assert linear > 4 * n
    readers = {
        "check": trace.check,
        "sizes": lambda: trace.delta_e_sizes(0),
        "output": lambda: trace.attention_output(0),
        "delta": lambda: trace.delta_e(0, 1),
        "row": lambda: trace.pattern_row(0, 1, n - 1),
        "source": lambda: trace.delta_e_by_source(0, 1, n - 1),
    }
    for name, read in readers.items():
        with LargestTensor() as largest:
            read()
        assert largest.size <= n * trace.d_model < n * n, name
    with LargestTensor() as largest:
        for _ in trace.iter_patterns(0):
            pass
    assert largest.size <= 4 * n
    square = masks.window(n, n, 7)
    with LargestTensor() as largest:
        assert Mask.of(square).back == 6
    assert largest.size <= 4 * n


def test_switched_off_heads_and_forced_patterns_keep_their_meaning_in_blocks(
    gpt2: ac.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = len(run(gpt2).tokens)
    first = np.zeros((n, n), np.float32)
    first[:, 0] = 1
    whole = ac.trace(gpt2, TEXT, without=[(0, 1)], edit={(0, 2): first})
    before = whole.patterns(0), whole.check()
    for module in (blocks, calls):
        monkeypatch.setattr(module, "CELLS", SMALL)
    assert np.allclose(whole.patterns(0), before[0], atol=1e-6) and np.array_equal(whole.pattern(0, 2), first)
    assert whole.check().ok and before[1].ok
    turned = np.eye(n, dtype=np.float32)  # whose rows differ, so that each has to stay in its place
    assert np.array_equal(ac.trace(gpt2, TEXT, edit={(0, 2): turned}).pattern(0, 2), turned)
    assert not whole.delta_e(0, 1).any() and not whole.delta_e_sizes(0)[1].any()
    given = np.tile(whole.value(0, 2)[0], (n, 1)) @ whole.w_o(0, 2)  # every query takes all from the first token
    np.testing.assert_allclose(whole.delta_e(0, 2), given, atol=1e-6)


# --- What `check` says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["embedding", "output projection", "value"])
def test_what_is_not_a_number_is_never_a_small_error(gpt2: ac.Model, part: str) -> None:
    broken = copy.deepcopy(gpt2.hf)
    wrapped = ac.wrap(broken, gpt2.tokenizer)
    block = broken.base_model.h[1].attn
    weight = {
        "embedding": broken.base_model.wte.weight,
        "output projection": block.c_proj.weight,
        "value": block.c_attn.weight,
    }[part]
    with torch.no_grad():
        weight[-1 if part == "value" else slice(None), -1] = NAN
    parity = run(wrapped).check()
    assert not parity.ok and math.isnan(parity.worst)


@pytest.mark.parametrize("name", ["transformer.wte.weight", "transformer.h.1.attn.c_proj.weight"])
def test_weights_that_are_not_finite_are_named_when_a_model_is_opened(name: str) -> None:
    hf_model = tf.GPT2LMHeadModel(FAMILIES["gpt2"].config()).eval()
    with torch.no_grad():
        hf_model.get_parameter(name)[:, 1] = NAN
    with pytest.raises(ac.DamagedModel, match=f"no finite numbers in its weights {name}"):
        ac.wrap(hf_model, word_tokenizer(), name="spoiled")


@torch.inference_mode()
def test_one_bad_row_of_one_layer_is_enough(model: ac.Model) -> None:
    """Damage the kept tensors, one kind and one number at a time: the right field moves."""
    for kind, field in (("weighted_values", "pattern"), ("projected", "delta"), ("embedding", "residual")):
        trace = run(model)
        layer = trace._all_layers()[-1]
        tensor = layer.call.weighted_values if kind == "weighted_values" else layer.taps[getattr(layer.site, kind)]
        if kind == "embedding" and layer.site.block is None:
            continue
        for number in (NAN, 1e6):
            kept = float(tensor[0, 0])
            tensor[0, 0] = number
            found = trace.check()
            assert not found.ok and not getattr(found, field) <= 1e-5, (kind, number)
            tensor[0, 0] = kept
        assert trace.check().ok


@torch.inference_mode()
def test_a_bad_row_is_found_in_whatever_block_it_stands(in_blocks: None) -> None:
    trace = ac.trace(ac.load("tiny-decoder"), TEXT)
    call = trace.stream()._layers[1].call
    for row in range(call.n_query):
        before = float(call.weighted_values[row, 0])
        call.weighted_values[row, 0] += 1
        assert trace.check(layers=[1]).pattern > 1e-2, row
        call.weighted_values[row, 0] = before
    assert trace.check().ok


def test_a_trace_is_ok_up_to_its_tolerance() -> None:
    for field in Parity._fields:
        assert Parity(0.0, 0.0, 0.0)._replace(**{field: 1e-5}).ok
        assert not Parity(0.0, 0.0, 0.0)._replace(**{field: 1.01e-5}).ok


def test_one_row_of_a_causal_pattern_is_that_of_the_square(in_blocks: None) -> None:
    trace = ac.trace(ac.load("tiny-decoder"), TEXT)
    for query in range(len(trace.tokens)):
        np.testing.assert_allclose(trace.pattern_row(1, 2, query), trace.patterns(1)[2, query], atol=1e-6)


def test_the_repr_names_what_was_not_compared() -> None:
    assert repr(Parity(2e-7, 3e-7, None)) == "Parity(pattern=2e-07, delta=3e-07, residual=not compared)"
    assert Parity(2e-7, 3e-7, None).not_compared == ("residual",)


def test_a_check_has_a_row_for_each_layer_and_head_and_says_what_it_compared_with() -> None:
    """What a paper's method section can hold: the table, and the worst of a whole study."""
    model = ac.load("tiny-decoder")
    trace = ac.trace(model, "the blue creature ate")
    check, table = trace.check(), trace.check().frame()
    assert list(table) == ["stream", "layer", "head", "part", "against", "error", "mean"]
    assert (table["mean"] <= table.error).all() and check.mean == pytest.approx(table["mean"].mean())
    heads = table[table.part == "pattern"]
    assert [*zip(heads.layer, heads["head"], strict=True)] == [(n, head) for n in range(2) for head in range(4)]
    assert (table[table.part != "pattern"]["head"].isna()).all() and set(table.part) == {"pattern", "delta", "residual"}
    assert tuple(table.groupby("part").error.max()[name] for name in Parity._fields) == pytest.approx(tuple(check))
    for layer, head in ((0, 1), (1, 3)):  # one by hand, from what stands in the trace
        call = trace.stream()._layers[layer].call
        ours, theirs = trace.pattern(layer, head) @ trace.value(layer, head), trace.weighted_values(layer, head)
        sizes = np.abs(theirs).max(axis=1)
        by_row = np.abs(ours - theirs).max(axis=1) / np.maximum(sizes, np.sort(sizes)[(len(sizes) - 1) // 2])
        found = heads[(heads.layer == layer) & (heads["head"] == head)]
        assert len(theirs) == call.n_query
        assert found.error.item() == pytest.approx(by_row.max(), rel=0.5, abs=1e-7)
        assert found["mean"].item() == pytest.approx(by_row.mean(), rel=0.5, abs=1e-7)
    for said in ("pattern against what the model's attention returned", "delta against what its output projection"):
        assert said in repr(check)
    assert "the stream that left the block" in repr(check) and "after attention" not in repr(check)
    post_norm = repr(ac.trace(ac.load("minilm"), "one bird").check())
    assert "the stream after attention and the stream that left the block" in post_norm
    assert set(trace.check(layers=[1]).frame().layer) == {1}

    texts = ["the creature", "the blue creature ate", "the red creature slept"]
    checks = [one.check() for one in ac.trace_many(model, texts)]
    assert ac.worst_parity(iter(checks[:1])) is checks[0]
    worst = ac.worst_parity(iter(checks))
    assert tuple(worst) == tuple(max(each) for each in zip(*checks, strict=True)) and worst.ok
    assert "worst of 3 traces; pattern against" in repr(worst) and worst.own_pass == checks[0].own_pass
    assert len(worst.frame()) == len(table)
    each = np.max([one.frame().error for one in checks], axis=0)
    np.testing.assert_array_equal(worst.frame().error, each)


def test_layers_of_a_short_sentence_are_compared_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows in the same order as layer by layer, which a long sentence keeps to."""
    trace, compared, real = ac.trace(ac.load("tiny-decoder"), "the blue creature ate"), [], comparisons._differences
    monkeypatch.setattr(comparisons, "_differences", lambda all_of, n: compared.append(len(all_of)) or real(all_of, n))
    together, in_one_go = trace.check(), compared.copy()
    compared.clear()
    monkeypatch.setattr(comparisons, "AT_ONCE", 0)
    one_by_one = trace.check()
    assert in_one_go == [1, 2, 4] and compared == [1, 1, 2, 1, 2]  # the final embedding, then heads and sums
    assert together == one_by_one and together.comparisons == one_by_one.comparisons


def test_what_every_head_adds_to_a_token_is_its_own_check_of_w_o(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = ac.load("minilm")
    own = ac.wrap(copy.deepcopy(loaded.hf), loaded.tokenizer)
    trace = ac.trace(own, "one bird")
    with monkeypatch.context() as patched:
        patched.setattr(Layer, "w_o", lambda *_: pytest.fail("W_O is multiplied once more to look at it"))
        added = trace.heads_delta_e(2, 1)
    np.testing.assert_allclose(added, [trace.delta_e(2, head)[1] for head in range(12)], rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        own.hf.encoder.layer[2].attention.output.dense.weight[3] *= 1.5
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        trace.heads_delta_e(2, 1)
    trace.heads_delta_e(1, 1)


@pytest.mark.parametrize("part", Parity._fields)
def test_a_word_of_huge_values_hides_no_others_error(
    gpt2: ac.Model, part: str, monkeypatch: pytest.MonkeyPatch, in_blocks: None
) -> None:
    """A massive activation in one word, and an error in another that is nothing beside it."""
    n_heads = 4 if part == "pattern" else 1
    theirs = torch.randn(len(run(gpt2).tokens), 32).sign()
    theirs[0] *= 1e6
    ours = theirs.clone()
    ours[5, -1] += 1e-3 * theirs[5, 32 - 32 // n_heads :].abs().max()  # in the last head
    against = comparisons.MODELS_OWN if part == "pattern" else "x"
    rows_of_both = lambda _layer, _model, rows, _: [((part, against), ours[rows], theirs[rows])]  # noqa: E731
    monkeypatch.setattr(comparisons, "_compared", rows_of_both)
    *others, last = [each for each in run(gpt2).check(layers=[1]).comparisons if each.against == against]
    assert last.error == pytest.approx(1e-3, rel=1e-3) and last.mean == pytest.approx(1e-3 / len(ours), rel=1e-3)
    assert len(others) == n_heads - 1 and not any(one.error for one in others)
    assert comparisons.row_errors(
        torch.tensor([[1e-6], [1e-6], [1e-6]]), torch.tensor([[1e-9], [1.0], [1e6]])
    ).tolist() == [pytest.approx([each]) for each in (1e-6, 1e-6, 1e-12)]


KINDS = ["query", "key", "value", "output matrix", "output bias", "mlp", "next", "mask", "rotation", "heads"]


@torch.inference_mode()
@pytest.mark.parametrize("damage", KINDS)
@pytest.mark.parametrize("layer", [0, 1])
def test_damage_of_any_kind_in_any_layer_turns_the_badge_red(gpt2: ac.Model, damage: str, layer: int) -> None:
    own = copy.deepcopy(gpt2.hf)
    trace = run(ac.wrap(own, gpt2.tokenizer))
    assert trace.check().ok
    kept = trace._all_layers()[layer]
    moved = "pattern"
    if damage in ("query", "key", "value"):
        getattr(kept.call, damage)[1, 3] += 1e-2
    elif damage == "mask":
        object.__setattr__(kept.call, "mask", Mask())
    elif damage == "rotation":  # as if each query stood one place further
        object.__setattr__(kept.call, "query", kept.call.query.roll(1, dims=1))
    elif damage == "heads":
        object.__setattr__(kept.call, "key", kept.call.key.roll(1, dims=0))
    elif damage == "mlp":
        own.transformer.h[layer].mlp.c_proj.weight.mul_(1.01)
        moved = "residual"
    elif damage == "next":
        kept.taps[kept.site.next][3] *= 1.001
        moved = "residual"
    else:
        attn = own.transformer.h[layer].attn.c_proj
        (attn.weight if damage == "output matrix" else attn.bias).mul_(1.01)
        moved = "delta"
    found = trace.check()
    assert not found.ok and getattr(found, moved) > parity.TOLERANCE
    assert not trace.check(layers=[layer]).ok and trace.check(layers=[1 - layer]).pattern <= parity.TOLERANCE
    assert found.pattern <= parity.TOLERANCE or moved == "pattern"


ENCODERS_AND_DECODERS = ["t5", "bart"]
WALKED = ["llama", "bert", "gpt_neox", "gemma2", "olmo2", "gpt_oss", *ENCODERS_AND_DECODERS]


@torch.inference_mode()
@pytest.mark.parametrize("name", WALKED)
def test_no_number_of_any_kept_tensor_can_be_wrong_unseen(name: str) -> None:
    """Every kind of block, groups, a capped score, two stacks, a relative bias, norms after projections, a learnt
    score: each tensor of each layer, also what leaves the last one."""
    hf_model = sinking(name) if name == "gpt_oss" else FAMILIES[name].build()
    model = ac.wrap(hf_model, word_tokenizer())
    trace = ac.trace(model, TEXT, **({"target": TARGET} if model.kind == "encoder-decoder" else {}))
    assert trace.check().ok
    seen = set()
    for stream in map(trace.stream, trace.streams):
        for kept in stream._layers:
            of_call = {each: getattr(kept.call, each) for each in ("query", "key", "value", "weighted_values", "sink")}
            of_call["bias"] = None if kept.call.bias is None else kept.call.bias.values
            tensors = of_call | {each: kept.taps.get(getattr(kept.site, each)) for each in TAPS}
            tensors["final"] = stream._final if kept is stream._layers[-1] else None
            for each, tensor in tensors.items():
                if tensor is None:
                    continue
                at = tuple(2 * size // 3 for size in tensor.shape)
                if each == "bias":  # of the word before: a decoder never reads those of words ahead
                    at = (at[0], kept.call.n_query - 2)
                right = tensor[at].item()
                tensor[at] += 0.02 * float(tensor.abs().max())
                found = trace.check()
                moved = "pattern" if each in of_call else "delta" if tensor is tensors["projected"] else "residual"
                assert not found.ok and getattr(found, moved) > parity.TOLERANCE, (stream.name, kept.site.layer, each)
                tensor[at] = right
                seen.add((stream.name, each))
    assert trace.check().ok
    known = {"query", "key", "value", "weighted_values", "projected", "embedding", "final"}
    assert known <= {each for _, each in seen} and ("next" in {each for _, each in seen})
    assert name != "t5" or {("encoder", "bias"), ("decoder", "bias"), ("cross", "x")} <= seen


ODD = {  # families whose blocks are found in part, and what they say is compared with nothing
    "mobilebert": ("mlp",),
    "granitemoehybrid": ("mlp",),
    "longcat_flash": ("mlp",),
    "minimax": ("mlp",),
    "xmod": ("mlp",),
    "falcon_h1": ("sums",),
    "inkling_text": ("sums",),
    "doge": ("sums",),
}


def odd(name: str) -> ac.Model:
    """A family in the first of its small forms that is read, with weights that are not those of a fresh model."""
    for made_with, other in itertools.product(every_family.names()[name], every_family.TRIED):
        try:
            hf_model = every_family.built(name, made_with, other)
            for n, weight in enumerate(hf_model.parameters()):
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(n)) * 0.1)
            return ac.wrap(hf_model, word_tokenizer())
        except Exception:  # these sizes do not fit it, or it has no attention in this form
            continue
    raise AssertionError(name)


@torch.inference_mode()
@pytest.mark.parametrize("name", ODD)
def test_what_is_kept_of_a_block_that_is_found_in_part_is_compared_all_the_same(name: str) -> None:
    """x by what W_V makes of it, the final embedding by what the last module received; the rest is named."""
    trace = ac.trace(odd(name), TEXT)
    found = trace.check()
    assert found.ok and found.left_out == ODD[name] and found.final is not None, found
    assert (found.residual is None) is ("sums" in ODD[name])
    assert repr(found).endswith("; ".join(f"compared with nothing: {parity.LEFT_OUT[key]}" for key in ODD[name]) + ")")
    stream = trace.stream()
    for kept in stream._layers:
        tensors = {each: kept.taps.get(getattr(kept.site, each)) for each in TAPS}
        tensors |= {each: getattr(kept.call, each) for each in ("query", "key", "value", "weighted_values")}
        tensors["final"] = stream._final if kept is stream._layers[-1] else None
        for each, tensor in tensors.items():
            if tensor is not None:
                at = (*(0 for _ in tensor.shape[:-2]), 1, 0)  # of the first words, which all look at
                right = tensor[at].item()
                tensor[at] += 0.1 * float(tensor.abs().max())
                assert not trace.check().ok, (kept.site.layer, each)
                tensor[at] = right
    assert trace.check().ok


@torch.inference_mode()
def test_a_norm_that_is_not_the_models_turns_the_badge_red() -> None:
    hf_model = FAMILIES["bert"].build()
    trace = ac.trace(ac.wrap(hf_model, word_tokenizer()), TEXT)
    assert trace.check().ok
    hf_model.encoder.layer[1].attention.output.LayerNorm.weight.mul_(1.001)
    found = trace.check()
    assert not found.ok and found.residual > 1e-4 and found.delta <= parity.TOLERANCE


# --- The family's own attention ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "llama", "gemma2", "t5", "whisper"])
def test_weights_are_compared_with_those_of_the_familys_own_attention(name: str) -> None:
    hf_model = whisper(16) if name == "whisper" else FAMILIES[name].build()
    model = ac.wrap(hf_model, word_tokenizer())
    assert model.wiring.own_weights is not None and model.wiring.own_weights < 1e-6


def test_a_pattern_that_the_values_do_not_show_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five keys and values of two dimensions: weights can be wrong though weights · values are right."""
    settings = {"vocab_size": 99, "n_embd": 8, "n_layer": 2, "n_head": 4, "n_positions": 64}
    hf_model = tf.GPT2LMHeadModel(tf.GPT2Config(**settings)).eval()
    right, calls = own_pass._pattern, []

    def shifted(call: Any) -> torch.Tensor:
        pattern = right(call)
        calls.append(call)
        if len(calls) > 1:  # one layer is enough
            return pattern
        *_, silent = torch.linalg.svd(call.value[1].T)  # [key, key]; its last rows see nothing of the values
        pattern[1, -1] += 0.05 * silent[-1]
        assert torch.allclose(pattern[1, -1] @ call.value[1], right(call)[1, -1] @ call.value[1], atol=1e-5)
        return pattern

    monkeypatch.setattr(own_pass, "_pattern", shifted)
    found = ac.trace(ac.wrap(hf_model, word_tokenizer()), "the old fox ran").check()
    assert found.worst <= parity.TOLERANCE and found.own_weights > 1e-3 and not found.ok
    assert "own weights=0.0" in repr(found)


def test_capped_scores_are_said_to_be_compared_with_our_own() -> None:
    trace = ac.trace(ac.wrap(FAMILIES["gemma2"].build(), word_tokenizer()), TEXT)
    assert "pattern against what our attention with capped scores returned" in repr(trace.check())


@pytest.mark.parametrize("where", ["our function", "the first layer", "the last layer"])
def test_a_cap_that_is_not_the_models_turns_the_badge_red(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our function computes the pattern and what the model goes on with, so weights of the family's own are the judge;
    what a trace keeps of the cap is held against what attention returned then."""
    hf_model, right = FAMILIES["gemma2"].build(), attention.soft_cap
    if where == "our function":
        with monkeypatch.context() as far_off, pytest.raises(ac.UnsupportedFamily, match="give another result when"):
            far_off.setattr(attention, "soft_cap", lambda scores, cap: right(scores, 0.99 * cap))
            ac.wrap(hf_model, word_tokenizer())
        monkeypatch.setattr(attention, "soft_cap", lambda scores, cap: right(scores, 0.9995 * cap))
        found = ac.trace(ac.wrap(hf_model, word_tokenizer()), TEXT).check()
        assert found.worst <= parity.TOLERANCE and found.own_weights > parity.TOLERANCE and not found.ok
        return
    trace = ac.trace(ac.wrap(hf_model, word_tokenizer()), TEXT)
    call = trace.stream()._layers[0 if where == "the first layer" else -1].call
    assert trace.check().ok
    object.__setattr__(call, "soft_cap", 0.5 * call.soft_cap)
    assert trace.check().pattern > parity.TOLERANCE and not trace.check().ok


def test_a_residual_that_was_not_found_is_not_compared(model: ac.Model) -> None:
    trace = run(model)
    for layer in trace._all_layers():
        object.__setattr__(layer, "site", replace(layer.site, block=None))
    parity = trace.check()
    assert parity.residual is None and parity.ok


def test_a_check_of_some_layers_compares_those_alone() -> None:
    trace = ac.trace(ac.load("tiny-decoder"), "the blue creature ate")
    each = [trace.check(layers=[layer]) for layer in range(trace.n_layers)]
    assert each[0] != each[1]
    assert trace.check() == tuple(max(errors) for errors in zip(*each, strict=True)) == trace.check(layers=[1, 0])
    assert trace.stream().check(layers=iter([1])) == each[1]
    with pytest.raises(IndexError, match="layer 2 is out of range"):
        trace.check(layers=[2])
