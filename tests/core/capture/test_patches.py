"""A patched pass equals one of a copied model whose own modules give something else; every number of it still adds up.

The judges are eager models with hooks on copies, and arithmetic by hand; never our own patched pass.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer
from torch import Tensor, nn

import attn_core as ac
from attn_core.places import OF_A_HEAD, Place
from attn_core.residual import decomposition
from attn_core.residual.logit_attribution import direct_logit_attribution

OTHER = "the grey fox ran far over one hill and an old fox lay by the sun while the tree went up on it"
WRITTEN = "le renard gris dort loin de la colline"
SOME = [
    "bert",
    "albert",
    "gpt2",
    "opt",
    "gpt_neox",
    "llama",
    "qwen3",
    "gemma2",
    "t5",
    "bart",
    "mbart",
    "gpt_bigcode",
    "mixtral",
]


def run(model: ac.Model, text: str = TEXT, **options: Any) -> ac.Trace:
    if model.kind == "encoder-decoder":
        options.setdefault("target", TARGET if text is TEXT else WRITTEN)
    return ac.trace(model, text, **options)


@pytest.fixture(scope="module", params=SOME)
def family(request: pytest.FixtureRequest) -> tuple[str, Any, ac.Model, ac.Trace, ac.Trace]:
    """(name, an eager copy, the model, what is patched, what it is patched from)."""
    built = FAMILIES[request.param].build()
    model = ac.wrap(copy.deepcopy(built), word_tokenizer(), name=request.param)
    return request.param, built, model, run(model), run(model, OTHER)


def places(trace: ac.Trace, stream: str, layer: int) -> list[Place]:
    """One place of every kind that this model has."""
    heads = [Place(kind, stream, layer, 2) for kind in OF_A_HEAD]
    found = trace.stream(stream)._layer(layer).site
    kinds = {"residual": found.embedding, "attention": found.added, "mlp": stream == "decoder" or found.mlp}
    kinds |= {"after_attention": found.after}
    ends = [Place("memory", stream, 0)] if layer == 0 and stream == "encoder" else []
    return heads + [Place(kind, stream, layer) for kind, tap in kinds.items() if tap] + ends


def reader(trace: ac.Trace, place: Place) -> np.ndarray:
    names = {"head": "weighted_values", "attention": "attention_added", "mlp": "mlp_added", "residual": "embedding"}
    numbers = [place.layer] if place.head is None else [place.layer, place.head]
    if place.kind == "memory":
        return trace.final_embedding(stream=place.stream)
    return getattr(trace, names.get(place.kind, place.kind))(*numbers, stream=place.stream)


def test_every_place_holds_what_was_put_and_the_pass_adds_up(family: tuple[Any, ...]) -> None:
    """In all families, streams and places, whole and at a position: read there, checked, and split exactly."""
    _, _, model, plain, other = family
    for stream in plain.streams:
        into_layer_1 = ("residual", "query", "key", "value", "pattern")  # what is added by layer 0 enters layer 1, too
        for place in (
            p for p in places(plain, stream, 1) + places(plain, stream, 0) if (p.kind in into_layer_1) == p.layer
        ):
            for position in (None, 3):
                trace = run(model, patch={place._replace(position=position): other})
                rows = slice(None) if position is None else position
                wanted = reader(plain, place)
                wanted[rows] = reader(other, place)[rows]
                np.testing.assert_allclose(reader(trace, place), wanted, atol=1e-5 * np.abs(wanted).max())
                assert trace.check().ok, (place, trace.check())
                same = np.array_equal(wanted, reader(plain, place))  # the same word at that position, not yet mixed
                assert np.allclose(last(trace), last(plain), atol=1e-6) == same, place
                split(trace, stream)


def last(trace: ac.Trace) -> np.ndarray:
    return trace.final_embedding(stream="decoder" if len(trace.streams) > 1 else None)


def split(trace: ac.Trace, stream: str) -> None:
    """Scores, values, blocks and logits of a patched pass are the sums of their parts."""
    for layer in range(1, trace.n_layers_of(stream)):
        for head in (1, 2):
            assert trace.score_parts(layer, head, 3, 2, stream=stream).residue <= 1e-5
            if head not in trace.stream(stream)._layer(layer).call.replaced:
                assert trace.value_parts(layer, head, 3, 2, stream=stream).residue <= 1e-5
    stack = trace.stream("decoder" if stream == "cross" else stream)
    assert all(decomposition.decompose_block(stack, layer, 3).adds_up for layer in range(stack.n_layers))
    if stream != "encoder" and trace.kind != "encoder" and stack.block(0) != "post-norm":
        assert direct_logit_attribution(trace, 3, 5).error <= 1e-5


class Judge:
    """An eager copy whose modules give something else; hooks of this test's own, on a copy of the model."""

    def __init__(self, eager: Any, trace: ac.Trace) -> None:
        self.model, self.trace = copy.deepcopy(eager), trace

    def put(self, module: str, side: str, change: Any) -> None:
        found = self.model.get_submodule(module)
        if side == "in":
            found.register_forward_pre_hook(
                lambda _, args, kwargs: _replaced_input(args, kwargs, change), with_kwargs=True
            )
        else:
            found.register_forward_hook(
                lambda _m, _a, out: (change(out[0]), *out[1:]) if isinstance(out, tuple) else change(out)
            )

    def states(self) -> Tensor:
        given = {"input_ids": torch.tensor([self.trace.tokens_of(self.trace.streams[0])[0].ids])}
        with torch.inference_mode():
            return self.model.base_model(**given, use_cache=False)[0][0]


def _replaced_input(args: tuple[Any, ...], kwargs: dict[str, Any], change: Any) -> tuple[tuple[Any, ...], Any]:
    if args:
        return (change(args[0]), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}


def stack_of(model: nn.Module) -> str:
    """The name of the list that holds a model's layers."""
    return next(name for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == 2)


@pytest.mark.parametrize(
    "name", ["bert", "gpt2", "gpt_neox", "llama", "qwen3", "gemma2", "opt", "electra", "modernbert"]
)
def test_patches_equal_those_of_an_eager_model_with_hooks(name: str) -> None:
    """The stream into a layer, a head, attention and the MLP; whole and at one position."""
    eager = FAMILIES[name].build()
    model = ac.wrap(copy.deepcopy(eager), word_tokenizer(), name=name)
    plain, other = run(model), run(model, OTHER)
    layers, site = stack_of(eager.base_model), plain.stream()._layer(1).site

    def put(rows: Any, numbers: np.ndarray, part: slice = slice(None)) -> Any:
        def change(own: Tensor) -> Tensor:
            changed = own.clone()
            flat = changed.view(-1, own.shape[-1])
            flat[rows, part] = torch.from_numpy(numbers[rows])
            return changed

        return change

    for rows in (slice(None), 5):
        position = None if rows == slice(None) else rows
        d = plain.d_head
        for place, module, side, part in (
            (ac.at.residual(1, position=position), f"{layers}.1", "in", slice(None)),
            (ac.at.head(1, 2, position=position), site.output.module.removeprefix("model."), "in", slice(2 * d, 3 * d)),
            (ac.at.attention(1, position=position), site.added.module, "out", slice(None)),
            (ac.at.mlp(1, position=position), site.mlp.module, "out", slice(None)),
            *between(position, site),
        ):
            judge = Judge(eager.base_model, plain)
            judge.put(own_name(eager, judge.model, module), side, put(rows, reader(other, place), part))
            theirs = judge.states().numpy()
            ours = run(model, patch={place: other}).final_embedding()
            assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max(), (place, rows)
            assert np.abs(ours - plain.final_embedding()).max() > 1e-3 * np.abs(theirs).max()


def between(position: int | None, site: Any) -> list[Any]:
    """The stream between attention and MLP, in post-norm blocks: elsewhere it is a sum, and what no module gives."""
    if site.block != "post-norm":
        return []
    return [(ac.at.after_attention(1, position=position), site.after.module, "out", slice(None))]


def test_the_stream_between_attention_and_mlp_is_the_sum_that_the_mlp_gets() -> None:
    """In pre-norm blocks no module gives it: with it from another pass, what attention had added does not matter."""
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer(), name="gpt2")
    plain, other = run(model), run(model, OTHER)
    trace = run(model, patch={ac.at.after_attention(1): other})
    np.testing.assert_allclose(trace.embedding(2), other.embedding(2), atol=1e-5)
    added = other.after_attention(1) - plain.embedding(1)
    same = run(model, patch={ac.at.attention(1): added})
    np.testing.assert_allclose(trace.logits(), same.logits(), atol=1e-4)
    with pytest.raises(ac.HeadlightError, match="the stream after attention could not be found"):
        run(ac.wrap(FAMILIES["gpt_neox"].build(), word_tokenizer()), patch={ac.at.after_attention(1): "zero"})


@pytest.mark.parametrize("name", ["bart", "mbart", "t5"])
def test_what_an_encoder_ends_with_is_all_that_the_decoder_reads_of_it(name: str) -> None:
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    a, b = (ac.trace(model, text, target=TARGET) for text in (TEXT, OTHER))
    trace = ac.trace(model, TEXT, target=TARGET, patch={ac.at.memory(): b})
    np.testing.assert_allclose(trace.stream("decoder").logits(), b.stream("decoder").logits(), atol=1e-5)
    np.testing.assert_array_equal(trace.embedding(1, stream="encoder"), a.embedding(1, stream="encoder"))
    assert trace.changes.as_python().startswith(", patch={ac.at.memory(stream='encoder'): ac.trace(")
    assert str(trace.changes).startswith("encoder output as in “")


def own_name(whole: nn.Module, base: nn.Module, module: str) -> str:
    """A module's name in the base model alone."""
    names = {name for name, _ in base.named_modules()}
    return module if module in names else module.partition(".")[2]


def test_all_at_once_makes_it_the_other_pass() -> None:
    """Every head's query, key and value of layer 0 and the stream of layer 0 from another pass: it is that pass."""
    model = ac.load("tiny-decoder")
    a, b = ac.trace(model, "the blue creature ate"), ac.trace(model, "the red creature slept")
    if len(a.tokens) != len(b.tokens):
        pytest.fail("both sentences need as many tokens")
    trace = ac.trace(model, a.tokens.text, patch={ac.at.residual(0): b})
    np.testing.assert_allclose(trace.logits(), b.logits(), atol=1e-5)
    assert trace.tokens.text == a.tokens.text
    heads = {place(0, head): b for head in range(a.n_heads) for place in (ac.at.query, ac.at.key, ac.at.value)}
    with_heads = ac.trace(model, a.tokens.text, patch=heads)
    np.testing.assert_allclose(with_heads.attention_output(0), b.attention_output(0), atol=1e-5)
    one = ac.trace(model, a.tokens.text, patch={ac.at.residual(a.n_layers): b})
    np.testing.assert_allclose(one.logits(), b.logits(), atol=1e-5)
    assert one.check().ok


def test_one_head_of_a_group_is_patched_alone() -> None:
    """In a model with grouped queries the other head of the group keeps its key and value."""
    model = ac.wrap(FAMILIES["llama"].build(), word_tokenizer())
    a, b = run(model), run(model, OTHER)
    trace = run(model, patch={ac.at.key(1, 2): b, ac.at.value(1, 2): b})
    np.testing.assert_array_equal(trace.value(1, 2), b.value(1, 2))
    np.testing.assert_array_equal(trace.value(1, 3), a.value(1, 3))
    np.testing.assert_allclose(trace.pattern(1, 3), a.pattern(1, 3), atol=1e-6)
    by_hand = softmax(np.where(a.may_look(1), a.query(1, 2) @ b.key(1, 2).T * a.scaling(1), -np.inf))
    np.testing.assert_allclose(trace.pattern(1, 2), by_hand, atol=1e-6)
    np.testing.assert_allclose(trace.delta_e(1, 2), by_hand @ b.value(1, 2) @ a.w_o(1, 2), atol=1e-5)
    np.testing.assert_allclose(trace.delta_e(1, 3), a.delta_e(1, 3), atol=1e-5)


def softmax(scores: np.ndarray) -> np.ndarray:
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def test_without_and_edit_are_cases_of_patches() -> None:
    model = ac.load("tiny-decoder")
    text = "the blue creature ate"
    may_look = ac.trace(model, text).may_look(0)
    even = (may_look / may_look.sum(axis=1, keepdims=True)).astype(np.float32)
    off = ac.trace(model, text, without=[(0, 3), (1, 2)], replacement="mean")
    same = ac.trace(model, text, patch={ac.at.head(0, 3): "mean", ac.at.head(1, 2): "mean"})
    assert same.changes == off.changes
    np.testing.assert_array_equal(same.logits(), off.logits())
    forced = ac.trace(model, text, edit={(0, 1): even})
    same = ac.trace(model, text, patch={ac.at.pattern(0, 1): even})
    assert same.changes == forced.changes
    np.testing.assert_array_equal(same.logits(), forced.logits())
    both = ac.trace(model, text, patch={ac.at.head(0, 3): "mean", ac.at.head(1, 2): "zero"})
    assert np.abs(both.delta_e(1, 2)).max() == 0 < np.abs(both.delta_e(0, 3)).max()
    np.testing.assert_allclose(both.delta_e(0, 3), off.delta_e(0, 3), atol=1e-6)


def test_a_mean_and_a_zero_stand_anywhere_and_a_mean_is_of_the_models_own() -> None:
    model = ac.wrap(FAMILIES["bert"].build(), word_tokenizer())
    plain = run(model)
    trace = run(model, patch={ac.at.mlp(1): "mean", ac.at.attention(1, position=2): "zero"})
    assert np.abs(trace.attention_added(1)[2]).max() == 0
    np.testing.assert_array_equal(trace.attention_added(1)[3], plain.attention_added(1)[3])
    np.testing.assert_allclose(trace.mlp_added(1), np.broadcast_to(trace.mlp_added(1)[0], trace.mlp_added(1).shape))
    assert trace.check().ok
    two = run(model, patch={ac.at.mlp(0, position=p): "mean" for p in (0, 1)})
    np.testing.assert_allclose(two.mlp_added(0)[:2], [plain.mlp_added(0).mean(axis=0)] * 2, atol=1e-6)


def test_the_model_and_everybody_elses_pass_stay_as_they_were() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer())
    hooks = {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.hf.named_modules()}
    weights = {name: p.clone() for name, p in model.hf.named_parameters()}
    before, other = run(model), run(model, OTHER)
    everything = {place: other for layer in (0, 1) for place in places(before, "self", layer)}
    run(model, patch=everything)
    after = run(model)
    np.testing.assert_array_equal(after.final_embedding(), before.final_embedding())
    assert hooks == {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.hf.named_modules()}
    assert all(torch.equal(weights[name], p) for name, p in model.hf.named_parameters())
    np.testing.assert_array_equal(other.embedding(1), run(model, OTHER).embedding(1))  # a donor is only read


def test_what_cannot_be_put_is_refused_in_a_sentence() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer(), name="gpt2")
    trace, short = run(model), run(model, "one fox")
    n = len(trace.tokens)
    for patch, error, said in (
        ({ac.at.mlp(2): trace}, IndexError, "layer 2 is out of range: this model has layer 0 to 1"),
        ({ac.at.residual(3): trace}, IndexError, "layer 3 is out of range: this model has layer 0 to 2"),
        ({ac.at.head(0, 4): trace}, IndexError, "head 4 is out of range: this layer has head 0 to 3"),
        ({ac.at.head(0, -1): trace}, IndexError, "head -1 is out of range"),
        ({ac.at.head(0, 1, position=n): trace}, IndexError, f"position {n} is out of range: the trace that is"),
        ({ac.at.mlp(0, position=n): "zero"}, IndexError, f"position {n} is out of range: this sentence has position"),
        ({ac.at.head(0, 1, stream="cross"): trace}, ValueError, r"names no stream of this model; .* one of \['self'\]"),
        ({(0, 1): trace}, ValueError, "names no place of a pass: name each one by ac.at"),
        ({ac.at.memory(): "zero"}, ValueError, r"ac.at.memory\(stream='encoder'\) names no stream of this model"),
        ({ac.at.memory(stream="self"): "zero"}, ValueError, "names no encoder; of other streams, name residual"),
        ({ac.at.residual(1): short}, ValueError, r"ac.at.residual\(1\) must be \[\d+, 32\], got \[4, 32\]; sentences"),
        ({ac.at.mlp(1, position=0): np.zeros(3)}, ValueError, r"ac.at.mlp\(1, position=0\) must be \[32\], got \[3\]$"),
        ({ac.at.mlp(1, position=0): np.full(32, np.nan)}, ValueError, "no finite numbers"),
        ({ac.at.mlp(1): "median"}, ValueError, 'takes a trace or an array, "zero", "mean"; got \'median\''),
        ({ac.at.pattern(1, 0): "mean"}, ValueError, "takes a trace or an array; got 'mean'"),
        ({ac.at.pattern(1, 0, position=0): np.full(n, 1 / n)}, ValueError, "looks where the model's mask forbids it"),
        ({ac.at.mlp(1): trace, ac.at.mlp(1, position=2): trace}, ValueError, "something is put twice at mlp 1"),
    ):
        with pytest.raises(error, match=said):
            run(model, patch=patch)
    with pytest.raises(ValueError, match="something is put twice at head 0.1"):
        run(model, without=[(0, 1)], patch={ac.at.head(0, 1, position=2): trace})
    with pytest.raises(ac.HeadlightError, match="switched off or patched in this pass"):
        run(model, patch={ac.at.head(0, 1, position=2): trace}).delta_e_by_source(0, 1, 2)
    assert run(model, patch={ac.at.head(0, 1, position=2): trace}).delta_e_by_source(0, 1, 3).shape == (n, 32)
    assert run(model, patch={}).changes == run(model).changes
