"""The judge is the library's own eager model: its attentions, its modules' outputs, its hidden states."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import FAMILIES, OUTSIDE, TARGET, TEXT, Family, save, whisper, word_tokenizer

import attn_core as ac
from attn_core.capture import interface
from attn_core.capture.probing.logits import fit_logit_rule
from attn_core.capture.running import use_ours_always

TOKENIZER = word_tokenizer()
THEIRS = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


def run(model: Any, **options: Any) -> ac.Trace:
    target = TARGET if model.kind == "encoder-decoder" else None
    return ac.trace(model, TEXT, target=target, **options)


def inputs(trace: ac.Trace) -> dict[str, torch.Tensor]:
    given = {"input_ids": torch.tensor([trace.tokens_of(trace.streams[0])[0].ids])}
    if len(trace.streams) > 1:
        given["decoder_input_ids"] = torch.tensor([trace.tokens_of("decoder")[0].ids])
    return given


def relative(ours: Any, theirs: torch.Tensor) -> float:
    return float((torch.as_tensor(ours) - theirs).abs().max() / theirs.abs().max())


@pytest.fixture(scope="module", params=list(FAMILIES))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Family, Any, ac.Trace]]:
    """(family, the library's eager model, our trace), both loaded from one folder that such a model was saved to."""
    folder = tmp_path_factory.mktemp(request.param)
    save(request.param, folder)
    model, family = ac.load(folder), FAMILIES[request.param]
    yield family, family.auto.from_pretrained(folder, attn_implementation="eager").eval(), run(model)
    del model


def test_patterns_equal_the_eager_models(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, eager, trace = pair
    with torch.inference_mode():
        theirs = eager(**inputs(trace), output_attentions=True, use_cache=False)
    for stream in trace.streams:
        attentions = theirs[THEIRS[stream]]
        assert trace.n_layers_of(stream) == len(attentions)
        for layer, attention in enumerate(attentions):
            ours = trace.patterns(layer, stream=stream)
            assert np.abs(ours - attention[0].numpy()).max() < 1e-5
            assert np.allclose(ours.sum(axis=-1), 1, atol=1e-5)
            for head in range(4):
                assert np.array_equal(trace.pattern(layer, head, stream=stream), ours[head])


def test_delta_e_and_bias_sum_to_the_modules_own_output(pair: tuple[Family, Any, ac.Trace]) -> None:
    """Taken from the eager model, by hooks of this test on the modules whose weights are W_O."""
    _, eager, trace = pair
    sites = [layer.site for stream in trace.streams for layer in trace.stream(stream)._layers]
    seen: dict[str, list[torch.Tensor]] = {}
    for name in {site.output.module for site in sites}:
        eager.get_submodule(name).register_forward_hook(lambda _m, _i, out, n=name: seen.setdefault(n, []).append(out))
    with torch.inference_mode():
        eager(**inputs(trace), use_cache=False)
    for site in sites:
        outputs = seen[site.output.module]
        theirs = outputs[site.layer if len(outputs) > 1 else 0][0]
        parts = [trace.delta_e(site.layer, head, stream=site.stream) for head in range(4)]
        total = np.sum(parts, axis=0) + trace.output_bias(site.layer, stream=site.stream)
        assert relative(total, theirs) < 1e-5
        assert relative(trace.attention_output(site.layer, stream=site.stream), theirs) < 1e-5


def test_no_storage_is_kept_for_more_than_what_is_shown_of_it(pair: tuple[Family, Any, ac.Trace]) -> None:
    """A view of a fused projection would keep all of it alive: v alone the rotated q and k too, 5/3 of the bytes."""
    _, _, trace = pair
    shown: dict[int, dict[int, int]] = {}
    whole: dict[int, int] = {}
    finals = [own._final for own in map(trace.stream, trace.streams) if own._final is not None]
    for tensor in [*finals, *(t for layer in trace._all_layers() for t in layer.tensors())]:
        storage = tensor.untyped_storage()
        shown.setdefault(storage.data_ptr(), {})[tensor.data_ptr()] = tensor.nbytes
        whole[storage.data_ptr()] = storage.nbytes()
    assert trace.n_bytes == sum(whole.values())
    for at, parts in shown.items():
        assert sum(parts.values()) >= whole[at]


def test_equal_tensors_are_kept_once(pair: tuple[Family, Any, ac.Trace]) -> None:
    """What a post-norm block starts from is the very tensor that the block before ended with."""
    family, _, trace = pair
    if family.block != "post-norm":
        return
    for stream in set(trace.streams) - {"cross", "decoder"}:
        layers = trace.stream(stream)._layers
        for this, following in zip(layers[:-1], layers[1:], strict=True):
            end, start = this.taps[this.site.next], following.taps[following.site.embedding]
            assert end.data_ptr() == start.data_ptr()


def test_a_pass_describes_no_tokens(monkeypatch: pytest.MonkeyPatch, pair: tuple[Family, Any, ac.Trace]) -> None:
    """Ids are enough for a pass; labels and words are made when they are asked for."""
    from attn_core.text import tokens

    _, _, trace = pair
    own, described = trace.stream(trace.streams[0]).tokens, []
    monkeypatch.setattr(tokens, "describe", lambda *a, **k: described.append(a) or own)
    late = tokens.from_ids(TOKENIZER, own.ids)
    assert len(late) == len(own) and late.ids == own.ids and not described
    assert late.labels == own.labels and late.words == own.words and len(described) == 1


def test_the_stream_of_every_layer_is_the_models_hidden_state(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, eager, trace = pair
    with torch.inference_mode():
        theirs = eager(**inputs(trace), output_hidden_states=True, use_cache=False)
    names = {"self": "hidden_states", "encoder": "encoder_hidden_states", "decoder": "decoder_hidden_states"}
    for stream in set(trace.streams) - {"cross"}:
        states = theirs[names[stream]]
        for layer in range(trace.n_layers_of(stream)):
            assert relative(trace.embedding(layer, stream=stream), states[layer][0]) < 1e-5
        assert relative(trace.final_embedding(stream=stream), states[-1][0]) < 1e-5


def test_the_blocks_add_up(pair: tuple[Family, Any, ac.Trace]) -> None:
    """E + attention (+ cross-attention) + MLP is the next E; in post-norm blocks through the norms, by `check`."""
    family, _, trace = pair
    for stream in set(trace.streams) - {"cross"}:
        for layer in range(trace.n_layers_of(stream)):
            assert trace.block(layer, stream=stream) == family.block
            if family.block == "post-norm":
                continue
            end = trace.embedding(layer, stream=stream) + trace.attention_added(layer, stream=stream)
            if family.block != "parallel":
                assert relative(end, torch.as_tensor(trace.after_attention(layer, stream=stream))) < 1e-5
            if stream == "decoder":
                end = end + trace.attention_added(layer, stream="cross")
            end = end + trace.mlp_added(layer, stream=stream)
            assert relative(end, torch.as_tensor(trace.embedding(layer + 1, stream=stream))) < 1e-5
    parity = trace.check()
    assert parity.ok and max(parity) < 2e-6


def test_by_source_sums_to_the_head(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, _, trace = pair
    for stream in trace.streams:
        parts = trace.delta_e_by_source(1, 2, 3, stream=stream)
        whole = torch.as_tensor(trace.delta_e(1, 2, stream=stream)[3])
        assert parts.shape[0] == trace.pattern(1, 2, stream=stream).shape[1]
        assert relative(parts.sum(axis=0), whole) < 1e-5
        assert relative(trace.heads_delta_e(1, 3, stream=stream)[2], whole) < 1e-5
        sizes = trace.delta_e_sizes(1, stream=stream)
        assert sizes[2, 3] == pytest.approx(float(whole.norm()), rel=1e-5)


def test_a_stream_is_a_value_that_reads_as_the_trace_does(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, _, trace = pair
    for name in trace.streams:
        own = trace.stream(name)
        assert (own.name, own.model_name, own.kind) == (name, trace.model_name, trace.kind)
        assert (own.tokens, own.key_tokens) == trace.tokens_of(name)
        assert np.array_equal(own.patterns(1), trace.patterns(1, stream=name))
        assert np.array_equal(own.delta_e(0, 2), trace.delta_e(0, 2, stream=name))
        assert own.block(0) == trace.block(0, stream=name) and own.block(0).formula
        assert own.check().ok and max(own.check()) <= max(trace.check())
    if len(trace.streams) == 1:
        assert trace.stream() is trace.stream("self")
        assert trace.stream().head_key(0, 3) == (0, 3)
    else:
        assert trace.stream("cross").head_key(0, 3) == ("cross", 0, 3)
        assert [own.name for own in trace.stream("decoder").block_calls()] == ["decoder", "cross"]
        with pytest.raises(ValueError, match="'encoder', 'decoder', 'cross'; got None"):
            trace.stream()
        with pytest.raises(ac.HeadlightError, match="encoder of .* does not predict"):
            trace.stream("encoder").logits()


def rotates(config: Any, layer: int) -> bool:
    """Whether a family turns queries and keys by their position in this layer, by its own configuration."""
    turned = getattr(config, "no_rope_layers", None)
    return getattr(config, "rope_parameters", None) is not None and (not turned or bool(turned[layer]))


def test_projections_make_the_captured_vectors(pair: tuple[Family, Any, ac.Trace]) -> None:
    """x·W + b, turned by position where the model does so, is what attention saw; at position 0 nothing is turned."""
    family, eager, trace = pair
    for stream in trace.streams:
        for layer, head in ((0, 0), (1, 3)):
            if not family.projections:
                with pytest.raises(ac.HeadlightError, match="normalised"):
                    trace.projections(layer, head)
                continue
            w = trace.projections(layer, head, stream=stream)
            x = torch.as_tensor(trace.attention_input(layer, stream=stream))
            memory = torch.as_tensor(trace.attention_memory(layer, stream=stream))
            zero = torch.zeros(1)
            value = memory @ w.w_v + (zero if w.b_v is None else w.b_v)
            assert relative(trace.value(layer, head, stream=stream), value) < 1e-5
            for seen, matrix, bias, given in (
                (trace.query(layer, head, stream=stream), w.w_q, w.b_q, x),
                (trace.key(layer, head, stream=stream), w.w_k, w.b_k, memory),
            ):
                plain = given @ matrix + (zero if bias is None else bias)
                assert relative(seen[0], plain[0]) < 1e-4
                assert np.allclose(np.linalg.norm(seen, axis=-1), plain.norm(dim=-1), rtol=1e-4)
                assert (relative(seen, plain) < 1e-4) != rotates(eager.config, layer)


def test_scores_lead_to_the_pattern(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, _, trace = pair
    for stream in trace.streams:
        scores = torch.as_tensor(trace.scores(1, 1, stream=stream)).double()
        assert np.abs(torch.softmax(scores, -1).numpy() - trace.pattern(1, 1, stream=stream)).max() < 1e-5
        assert np.array_equal(np.isneginf(scores.numpy()), ~trace.may_look(1, stream=stream))
        raw = trace.query(1, 1, stream=stream) @ trace.key(1, 1, stream=stream).T
        assert np.allclose(trace.raw_scores(1, 1, stream=stream), raw, atol=1e-4)


def test_logits_are_the_models_own(pair: tuple[Family, Any, ac.Trace]) -> None:
    _, eager, trace = pair
    if trace.kind == "encoder":
        with pytest.raises(ac.HeadlightError, match="does not predict"):
            trace.logits()
        return
    with torch.inference_mode():
        theirs = eager(**inputs(trace), use_cache=False).logits[0]
    assert relative(trace.logits(), theirs[-1]) < 1e-4
    assert relative(trace.logits(2), theirs[2]) < 1e-4


def test_switching_off_equals_zero_rows_of_w_o(pair: tuple[Family, Any, ac.Trace]) -> None:
    """The judge is the eager model with those rows of W_O set to zero. A head sliced after W_O would not agree."""
    family, eager, plain = pair
    stream = plain.streams[-1]
    shared = eager.config.model_type == "albert"  # its layers are one module, so a head is cut in all of them
    layers = range(2) if shared else [0]
    model = ac.wrap(copy.deepcopy(eager), TOKENIZER)
    ids = [plain.tokens_of(s)[0].ids for s in plain.streams[:2]]
    off = [(layer, 2) if stream == "self" else (stream, layer, 2) for layer in layers]
    trace = ac.trace(model, ids[0], target=ids[1] if len(ids) > 1 else None, without=off)
    site = plain.stream(stream)._layers[0].site
    cut = copy.deepcopy(eager)
    with torch.no_grad():
        rows = site.output.weight(cut).unflatten(0, (4, -1))
        rows[2] = 0
    with torch.inference_mode():
        theirs = cut(**inputs(plain), output_hidden_states=True, use_cache=False)
    states = theirs["hidden_states" if stream == "self" else "decoder_hidden_states"]
    assert relative(trace.final_embedding(stream=stream), states[-1][0]) < 1e-5
    assert not np.allclose(trace.final_embedding(stream=stream), plain.final_embedding(stream=stream), atol=1e-4)
    assert np.abs(trace.delta_e(0, 2, stream=stream)).max() == 0
    assert trace.check().ok


@pytest.mark.parametrize("name", OUTSIDE)
def test_families_outside_the_interface_are_refused_by_name(name: str) -> None:
    with pytest.raises(ac.UnsupportedFamily, match=name):
        ac.wrap(OUTSIDE[name].build(), TOKENIZER)


def wrapped(name: str = "gpt2") -> Any:
    return ac.wrap(FAMILIES[name].build(), TOKENIZER)


def test_the_mean_stands_in_for_a_head() -> None:
    model = wrapped("bert")
    plain, trace = run(model), run(model, without=[(0, 1)], replacement="mean")
    mean = plain.delta_e(0, 1).mean(axis=0)
    assert np.allclose(trace.delta_e(0, 1), mean, atol=1e-5)
    assert trace.check().ok
    with pytest.raises(ac.HeadlightError, match="switched off"):
        trace.delta_e_by_source(0, 1, 0)


def test_a_forced_pattern_equals_a_hand_computation() -> None:
    model = wrapped("gpt2")
    plain = run(model)
    n = len(plain.tokens)
    uniform = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    trace = run(model, edit={(0, 3): uniform})
    by_hand = uniform @ plain.value(0, 3) @ plain.w_o(0, 3)
    assert np.allclose(trace.delta_e(0, 3), by_hand, atol=1e-5)
    assert np.allclose(trace.pattern(0, 3), uniform, atol=1e-6)
    added = plain.attention_output(0) - plain.delta_e(0, 3) + by_hand
    assert np.allclose(trace.embedding(0) + added, trace.after_attention(0), atol=1e-4)
    assert trace.check().ok
    bad = {"must be": np.ones((2, 2)), "sum to 1": np.ones((n, n)), "forbids": np.eye(n)[::-1]}
    for complaint, wrong in (*bad.items(), ("sum to 1", np.full((n, n), np.nan))):
        with pytest.raises(ValueError, match=complaint):
            run(model, edit={(0, 3): wrong})


@pytest.mark.parametrize("side_by_side", [False, True])
def test_two_threads_on_one_model_never_mix(side_by_side: bool) -> None:
    """One visitor with heads switched off, one without, each with a sentence of their own."""
    hf_model = FAMILIES["bert"].build()
    if side_by_side:
        use_ours_always(hf_model)
    model = replace(ac.wrap(hf_model, TOKENIZER), side_by_side=side_by_side)
    assert model.is_ours is side_by_side
    jobs = [("one fox", [(0, 0), (1, 3)]), ("the old grey hill by the tree", []), (TEXT, [(1, 1)]), ("sun", [])]
    truth = [ac.trace(model, text, without=off) for text, off in jobs]
    wrong: list[str] = []

    def visit(i: int) -> None:
        for _ in range(30):
            text, off = jobs[i]
            trace = ac.trace(model, text, without=off)
            same = [np.array_equal(trace.patterns(layer), truth[i].patterns(layer)) for layer in range(2)]
            if not all(same) or not np.array_equal(trace.final_embedding(), truth[i].final_embedding()):
                wrong.append(text)

    with ThreadPoolExecutor(len(jobs)) as threads:
        list(threads.map(visit, range(len(jobs))))
    assert wrong == []


def test_a_researchers_model_stays_as_it_was() -> None:
    """Same attentions before and after, still in training mode, still eager; wrapped twice, taps once."""
    model = FAMILIES["llama"].build()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        before = model(ids, output_attentions=True, use_cache=False)
    model.train()
    ours, again = ac.wrap(model, TOKENIZER), ac.wrap(model, TOKENIZER)
    assert np.array_equal(run(ours).patterns(0), run(again).patterns(0))
    assert run(again).check().ok
    assert model.training and model.config._attn_implementation == "eager"
    model.eval()
    with torch.inference_mode():
        after = model(ids, output_attentions=True, use_cache=False)
    assert torch.equal(before.logits, after.logits)
    assert all(torch.equal(a, b) for a, b in zip(before.attentions, after.attentions, strict=True))


def test_a_wrapped_model_can_still_be_copied_and_pickled() -> None:
    """And each copy wrapped again: hooks on the first must not record twice on the second."""
    model = FAMILIES["albert"].build()
    first = ac.wrap(model, TOKENIZER)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        second = ac.wrap(again, TOKENIZER)
        ours, theirs = run(second), run(first)
        assert ours.check().ok
        for layer in range(2):
            assert np.array_equal(ours.patterns(layer), theirs.patterns(layer))
            assert np.array_equal(ours.attention_added(layer), theirs.attention_added(layer))


def test_train_mode_cannot_leak() -> None:
    """Dropout would make rows sum to something else than 1 and every pass another one."""
    model = FAMILIES["bert"].build()
    model.config.attention_probs_dropout_prob = 0.5
    wrapped = ac.wrap(model.train(), TOKENIZER)
    first, second = run(wrapped), run(wrapped)
    assert np.array_equal(first.final_embedding(), second.final_embedding())
    assert first.check().ok


def test_the_badge_turns_red_when_a_weight_moves() -> None:
    model = wrapped("gpt2")
    trace = run(model)
    assert trace.check().ok
    with torch.no_grad():
        model.hf.transformer.h[1].attn.c_proj.weight.mul_(1.001)
    parity = trace.check()
    assert not parity.ok and parity.delta > 1e-5 and parity.pattern < 1e-5


def test_a_trace_keeps_compact_copies_that_grow_with_the_sentence() -> None:
    """q, k and v of a fused projection are cuts of one storage; kept as they are they would hold all of it alive."""
    model = wrapped("gpt2")
    short, long = ac.trace(model, range(3, 23)), ac.trace(model, range(3, 63))
    assert long.n_bytes == 3 * short.n_bytes
    per_token = 2 * (3 * 32 + 32) + 2 * 32 * 2 + 2 * 32  # q, k, v, weighted; E, projected; what leaves the model, twice
    assert long.n_bytes == 60 * 4 * per_token


def test_a_trace_does_not_keep_a_model_alive_that_can_be_loaded_again() -> None:
    loaded: list[str] = []
    model = ac.wrap(FAMILIES["gpt2"].build(), TOKENIZER, reload=lambda: loaded.append("again") or wrapped("gpt2"))
    trace, weights = run(model), weakref.ref(model.hf)
    pattern = trace.pattern(0, 0)
    del model
    gc.collect()
    assert weights() is None and np.array_equal(trace.pattern(0, 0), pattern) and not loaded
    trace.delta_e(0, 0)
    assert loaded == ["again"]
    gc.collect()
    trace.delta_e(1, 0), trace.attention_output(0), trace.check()
    assert loaded == ["again"]  # and not once a reader


def test_a_trace_keeps_its_wrapped_model_alive_if_nobody_else_does() -> None:
    model = wrapped("gpt2")
    trace, weights = run(model), weakref.ref(model.hf)
    expected = trace.delta_e(0, 0)
    del model
    gc.collect()
    assert weights() is not None and np.array_equal(trace.delta_e(0, 0), expected) and trace.check().ok
    del trace
    gc.collect()
    assert weights() is None


def test_a_model_can_be_loaded_again_for_its_weights() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), TOKENIZER, reload=lambda: wrapped("gpt2"))
    trace = run(model)
    expected = trace.delta_e(0, 0)
    del model
    gc.collect()
    assert np.array_equal(trace.delta_e(0, 0), expected)


def test_indices_and_streams_are_named_in_errors() -> None:
    trace, pair = run(wrapped("bert")), run(wrapped("t5"))
    for call, message in (
        (lambda: trace.pattern(2, 0), "layer 2 is out of range: this trace has layer 0 to 1"),
        (lambda: trace.pattern(-1, 0), "layer -1"),
        (lambda: trace.delta_e(0, 4), "head 4 is out of range: this trace has head 0 to 3"),
        (lambda: trace.embedding(3), "layer 3"),
        (lambda: trace.delta_e_by_source(0, 0, 99), "query 99"),
    ):
        with pytest.raises(IndexError, match=message):
            call()
    with pytest.raises(ValueError, match="'encoder', 'decoder', 'cross'"):
        pair.pattern(0, 0)
    with pytest.raises(ValueError, match="got 'middle'"):
        pair.n_layers_of("middle")
    assert (pair.n_layers_of("encoder"), pair.n_layers_of("cross")) == (2, 3)
    with pytest.raises(IndexError, match="head 9"):
        run(wrapped("bert"), without=[(0, 9)])
    with pytest.raises(ValueError, match="stream"):
        run(wrapped("t5"), without=[(0, 1)])


def test_a_window_hides_words_that_lie_too_far_back() -> None:
    trace = run(wrapped("mistral"))
    assert len(trace.tokens) > 6
    assert trace.may_look(0)[10].tolist() == [5 <= key <= 10 for key in range(len(trace.tokens))]
    assert trace.stream("self")._layers[0].call.mask.cells is None  # kept as a rule
    both_ways = run(wrapped("modernbert"))
    assert both_ways.may_look(1)[10].sum() == 9 and both_ways.may_look(0).all()


def test_a_relative_bias_is_kept_by_distance() -> None:
    trace = run(wrapped("t5"))
    call = trace.stream("encoder")._layers[0].call
    assert call.bias is not None and call.bias.values.dim() == 2
    assert trace.stream("cross")._layers[0].call.bias is None
    shifted = trace.raw_scores(0, 1, stream="encoder") + trace.position_bias(0, 1, stream="encoder")
    assert np.allclose(shifted, trace.scores(0, 1, stream="encoder"), atol=1e-5)


def test_other_number_types_are_refused() -> None:
    with pytest.raises(ac.HeadlightError, match=r"float64.*model\.float"):
        ac.wrap(FAMILIES["bert"].build().double(), TOKENIZER)


def test_ids_are_read_as_they_are_and_cut_at_the_limit() -> None:
    model = wrapped("bert")
    trace = ac.trace(model, [5, 6, 7])
    assert trace.tokens.ids == [5, 6, 7]
    long = ac.trace(model, [5] * 100)
    assert len(long.tokens) == 64 and long.tokens.dropped == 36
    with pytest.raises(ac.HeadlightError, match="0 to 98"):
        ac.trace(model, [99])
    for nothing in ("", "  \n ", [], None):
        with pytest.raises(ac.EmptyText):
            ac.trace(model, nothing)
    with pytest.raises(ac.HeadlightError, match="takes no target"):
        ac.trace(ac.load("minilm"), "a word", target="un mot")
    with pytest.raises(ac.EmptyText, match="target"):
        ac.trace(wrapped("bart"), TEXT)


def test_a_speech_models_keys_are_times() -> None:
    eager = whisper(20)
    model = ac.wrap(copy.deepcopy(eager), TOKENIZER)
    sound = np.random.default_rng(0).normal(size=(8, 40)).astype(np.float32)
    trace = ac.trace(model, audio=sound, target=TARGET)
    queries, keys = trace.tokens_of("cross")
    with pytest.raises(ac.HeadlightError, match="listens to speech"):
        ac.trace(model, TEXT, target=TARGET)
    assert keys.labels[:3] == ["0.00 s", "0.02 s", "0.04 s"] and len(keys) == 20
    with torch.inference_mode():
        theirs = eager(
            input_features=torch.tensor(sound)[None], decoder_input_ids=torch.tensor([queries.ids]),
            output_attentions=True, use_cache=False,
        )  # fmt: skip
    for layer in range(2):
        assert np.abs(trace.patterns(layer, stream="cross") - theirs.cross_attentions[layer][0].numpy()).max() < 1e-5
    assert trace.check().ok


def test_the_attention_function_is_the_librarys_when_nobody_listens() -> None:
    query, key, value = (torch.randn(1, 4, 5, 8) for _ in range(3))
    ours, _ = interface.attend(torch.nn.Module(), query, key, value, None, is_causal=False)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    assert torch.equal(ours, theirs)


def test_a_family_that_answers_otherwise_with_our_attention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its own attention does that ours is not told of, nothing is drawn that it does not do."""
    from transformers.models.gpt2 import modeling_gpt2

    own = modeling_gpt2.eager_attention_forward

    def twice(*args: Any, **kwargs: Any) -> Any:
        output, weights = own(*args, **kwargs)
        return 2 * output, weights

    wrapped("gpt2")
    monkeypatch.setattr(modeling_gpt2, "eager_attention_forward", twice)
    with pytest.raises(ac.UnsupportedFamily, match="gpt2 models give another result"):
        wrapped("gpt2")


def test_a_family_with_only_a_part_of_its_attention_on_the_interface_is_refused() -> None:
    config = tf.PegasusXConfig(
        vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, block_size=8,
    )  # fmt: skip
    with pytest.raises(ac.UnsupportedFamily, match="Only a part of the attention of pegasus_x"):
        ac.wrap(tf.PegasusXForConditionalGeneration(config).eval(), TOKENIZER)


def test_a_model_that_does_not_run_is_refused_in_a_sentence() -> None:
    model = FAMILIES["llama"].build()
    model.model.norm.forward = lambda x: x @ torch.zeros(3, 3)
    with pytest.raises(ac.UnsupportedFamily, match="llama models do not run"):
        ac.wrap(model, TOKENIZER)


def beside_eager(model_class: type[tf.PreTrainedModel], config: tf.PretrainedConfig) -> tuple[ac.Model, ac.Trace, Any]:
    """A random model, its trace, and what the library's own eager attention gives for the same tokens."""
    torch.manual_seed(0)
    eager = model_class._from_config(config, attn_implementation="eager").eval()
    model = ac.wrap(copy.deepcopy(eager), TOKENIZER)
    trace = run(model)
    with torch.inference_mode():
        return model, trace, eager(**inputs(trace), output_attentions=True, output_hidden_states=True, use_cache=False)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_what_lies_between_two_attentions_is_not_taken_for_the_mlp(n_layers: int) -> None:
    """Falcon-H1 adds Mamba and attention to E at once, and then an MLP: no parallel block, though it looks like one."""
    config = tf.FalconH1Config(
        vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=n_layers, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8,
        mamba_chunk_size=8,
    )  # fmt: skip
    _model, trace, theirs = beside_eager(tf.FalconH1ForCausalLM, config)
    for layer in range(n_layers):
        assert np.abs(trace.patterns(layer) - theirs.attentions[layer][0].numpy()).max() < 1e-5
        assert relative(trace.embedding(layer), theirs.hidden_states[layer][0]) < 1e-5
        for unknown in (trace.block, trace.mlp_added):
            with pytest.raises(ac.HeadlightError, match="could not be found"):
                unknown(layer)
    with pytest.raises(ac.HeadlightError, match="could not be found"):
        trace.embedding(n_layers)
    assert relative(trace.final_embedding(), theirs.hidden_states[-1][0]) < 1e-5
    assert relative(trace.logits(), theirs.logits[0, -1]) < 1e-4
    assert trace.check().ok


@torch.no_grad()
def test_a_block_that_scales_what_it_adds_is_read_and_patched_in_the_size_that_enters_the_stream() -> None:
    """Granite adds a share of what attention and the MLP give, as the model's own hidden states and modules say."""
    model, trace, theirs = beside_eager(tf.GraniteForCausalLM, FAMILIES["granite"].config())
    hf_model = model.hf
    ids, share, layer = torch.tensor([trace.tokens.ids]), hf_model.config.residual_multiplier, hf_model.model.layers[0]
    modules = {ac.at.attention(0): layer.self_attn.o_proj, ac.at.mlp(0): layer.mlp}
    assert trace.block(0) == "scaled" and share == 0.22
    assert relative(trace.embedding(1), theirs.hidden_states[1][0]) < 1e-6
    found = trace.check()
    assert found.ok and not found.left_out and found.residual < 1e-6
    for place, module in modules.items():
        read = ac.Trace.attention_added if place.kind == "attention" else ac.Trace.mlp_added
        own: list[torch.Tensor] = []
        hook = module.register_forward_hook(lambda _module, _given, gave, own=own: own.append(gave[0]))
        hf_model(ids)
        hook.remove()
        assert relative(read(trace, 0), share * own[0]) < 1e-6
        put = 2 * read(trace, 0) + 0.1
        patched = ac.trace(model, TEXT, patch={place: put})
        given = torch.from_numpy(put)[None] / share
        hook = module.register_forward_hook(lambda *_, given=given: given)
        expected = hf_model(ids, output_hidden_states=True).hidden_states[1][0]
        hook.remove()
        assert relative(patched.embedding(1), expected) < 1e-6 and patched.check().ok
        assert np.abs(read(patched, 0) - put).max() < 1e-6
    with pytest.raises(ac.HeadlightError, match="gradient of attention_output"):
        ac.trace(model, TEXT, grad=True).attention_added(0)


def test_an_encoder_and_its_decoder_may_differ_in_heads() -> None:
    config = FAMILIES["bart"].config()
    config.encoder_attention_heads = 2
    _model, trace, theirs = beside_eager(tf.BartForConditionalGeneration, config)
    assert [trace.n_heads_of(stream) for stream in trace.streams] == [2, 4, 4]
    with pytest.raises(ValueError, match="differ in head"):
        _ = trace.n_heads
    for stream in trace.streams:
        assert np.abs(trace.patterns(1, stream=stream) - theirs[THEIRS[stream]][1][0].numpy()).max() < 1e-5
    assert trace.check().ok


def test_words_that_live_in_a_space_of_their_own() -> None:
    """OPT-350m projects its last layer down before it reads words off it."""
    config = tf.OPTConfig(
        vocab_size=99, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=16,
        max_position_embeddings=64, do_layer_norm_before=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    _model, trace, theirs = beside_eager(tf.OPTForCausalLM, config)
    assert np.abs(trace.patterns(1) - theirs.attentions[1][0].numpy()).max() < 1e-5
    assert trace.check().ok
    with pytest.raises(ac.HeadlightError, match="reads its words off in a way that could not be found"):
        trace.logits()


def test_what_a_tokenizer_hands_out_is_read_and_what_is_no_sentence_is_refused() -> None:
    model = wrapped("gpt2")
    same = [ac.trace(model, ids).tokens.ids for ids in ([5, 6], (5, 6), np.array([5, 6]), torch.tensor([5, 6]))]
    assert same == [[5, 6]] * 4
    for wrong in ([[5, 6]], torch.tensor([[5, 6]]), ["a"], [5.5]):
        with pytest.raises(ac.HeadlightError, match="one sentence at a time"):
            ac.trace(model, wrong)
    with pytest.raises(ac.HeadlightError, match="not int"):
        ac.trace(model, 5)
    with pytest.raises(ac.HeadlightError, match="reads text, not sound"):
        ac.trace(model, audio=np.zeros((80, 100)))
    with pytest.raises(IndexError, match="position 2 is out of range.*0 to 1"):
        ac.trace(model, [5, 6]).logits(2)
    with pytest.raises(IndexError, match="position -1 is out of range.*0 to 1"):
        ac.trace(model, [5, 6]).logits(-1)


def test_a_model_and_a_trace_say_what_they_are_in_one_line() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), TOKENIZER, name="small")
    assert repr(model).startswith("<Model small: decoder of family gpt2, ")
    assert repr(ac.trace(model, "one fox")) == "<Trace of 'one fox' in small: 2 × 4 self heads>"


@pytest.mark.parametrize(
    "nowhere", [torch.zeros(4, 4, dtype=torch.bool), torch.full((4, 4), torch.finfo(torch.float32).min)]
)
def test_a_mask_that_leaves_a_word_nothing_to_look_at_is_refused(nowhere: torch.Tensor) -> None:
    with pytest.raises(ac.UnsupportedFamily, match="nothing to look at"):
        interface.read_mask(nowhere[None, None], None, False, 4, 4)


def test_only_models_and_tokenizers_of_the_library_are_wrapped() -> None:
    model = FAMILIES["bert"].build()
    for thing in (torch.nn.Sequential(model), torch.nn.Linear(2, 2), None):
        with pytest.raises(ac.HeadlightError, match="no model of the transformers library"):
            ac.wrap(thing, TOKENIZER)
    with pytest.raises(ac.HeadlightError, match="tokenizer"):
        ac.wrap(model, None)


def test_what_mixes_words_after_attention_is_no_norm() -> None:
    """Then what is added to a word is no function of its own ΔE, and how the block adds up cannot be said."""
    model = FAMILIES["olmo2"].build()
    for layer in model.model.layers:
        layer.post_attention_layernorm.forward = lambda x: x.cumsum(dim=-2)
    wrapped = ac.wrap(model, TOKENIZER)
    trace = run(wrapped)
    assert trace.check().ok
    with pytest.raises(ac.HeadlightError, match="could not be found"):
        trace.block(0)


def test_the_rule_of_the_logits_passes_over_a_damaged_row() -> None:
    torch.manual_seed(0)
    head, final, bias = torch.nn.Linear(4, 6, bias=False), torch.randn(5, 4), torch.randn(6)
    with torch.inference_mode():
        head.weight[2] = float("nan")
        logits = 2 * head(final) + bias
        rule = fit_logit_rule(head, final, logits, None)
        assert rule is not None and rule.factor == pytest.approx(2, rel=1e-4)
        torch.testing.assert_close(rule.logits(head(final)), logits, equal_nan=True)
