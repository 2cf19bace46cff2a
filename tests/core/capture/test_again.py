"""A sentence run once more with a change: every number is that of the whole pass, and the blocks below do not run.

The judge is `ac.trace` with the same change, which runs every block; that in turn is judged in test_patches.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac
from attn_core.capture.again import trace_again
from attn_core.capture.running import use_ours_always

SHORTENED = ("bert", "distilbert", "modernbert", "gpt2", "opt", "gpt_neox", "llama", "qwen3", "gemma2", "mixtral")


@cache
def loaded(name: str) -> ac.Model:
    """A small model as `ac.load` gives it: with our attention for good, and held by nobody else."""
    built = copy.deepcopy(FAMILIES[name].build())
    use_ours_always(built)
    return ac.wrap(built, word_tokenizer(), name=name)


@pytest.fixture(params=sorted(FAMILIES))
def model(request: pytest.FixtureRequest) -> ac.Model:
    return loaded(request.param)


def plain_of(model: ac.Model) -> ac.Trace:
    return ac.trace(model, TEXT, **({"target": TARGET} if model.kind == "encoder-decoder" else {}))


def everything(trace: ac.Trace) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor that a trace keeps."""
    for name in trace.streams:
        stream = trace.stream(name)
        for i, layer in enumerate(stream._layers):
            yield from ((f"{name} {i} {t}", np.asarray(layer.taps[t])) for t in sorted(layer.taps, key=str))
            yield f"{name} {i} patterns", stream.patterns(i)
            yield f"{name} {i} values", np.asarray(layer.call.weighted_values)
        if stream._final is not None:
            yield f"{name} final", stream.final_embedding()


@contextmanager
def counted(module: torch.nn.Module) -> Iterator[list[Any]]:
    """How often a module runs inside."""
    ran: list[Any] = []
    hook = module.register_forward_hook(lambda *_: ran.append(1))
    try:
        yield ran
    finally:
        hook.remove()


@pytest.mark.parametrize("changes", ["off", "patched"])
def test_every_number_is_that_of_the_whole_pass(model: ac.Model, changes: str) -> None:
    plain = plain_of(model)
    stream = "self" if model.kind != "encoder-decoder" else "decoder"
    last = plain.stream(stream).n_layers - 1
    if changes == "off":
        options: dict[str, Any] = {"without": [(stream, last, 1)], "replacement": "mean"}
    else:
        width = plain.stream(stream).embedding(0).shape[1]
        options = {"patch": {ac.at.residual(last, position=2, stream=stream): np.ones(width)}}
        if plain.stream(stream)._layer(last).site.embedding is None:
            pytest.skip("this family's stream cannot be patched")
    target = {"target": plain.tokens_of("decoder")[0].ids} if model.kind == "encoder-decoder" else {}
    ids = plain.tokens_of("encoder" if target else "self")[0].ids
    whole = ac.trace(model, ids, **target, **options)
    again = trace_again(model, plain, **options)
    kept = dict(everything(again))
    assert list(kept) == [name for name, _ in everything(whole)]
    for name, numbers in everything(whole):
        np.testing.assert_array_equal(kept[name], numbers, err_msg=name)
    assert again.changes == whole.changes and again.check() == whole.check()


@pytest.mark.parametrize("name", SHORTENED)
def test_the_blocks_below_do_not_run(name: str) -> None:
    model = loaded(name)
    plain = plain_of(model)
    site, last = model.wiring.sites[0], plain.n_layers - 1
    first_output = model.hf.get_submodule(site.output.module)
    trace_again(model, plain, without=[(last, 0)])  # the trial is over
    with counted(first_output) as ran:
        trace_again(model, plain, without=[(last, 0)])
        assert not ran
        trace_again(model, plain, without=[(0, 0)])
        assert len(ran) == 1


def test_what_is_not_of_this_model_or_already_changed_is_run_whole() -> None:
    model = ac.load("tiny-decoder")
    plain = ac.trace(model, "a fluffy blue creature")
    off = ac.trace(model, plain.tokens.ids, without=[(0, 1)])
    np.testing.assert_array_equal(
        trace_again(model, off, without=[(1, 2)]).final_embedding(),
        ac.trace(model, plain.tokens.ids, without=[(1, 2)]).final_embedding(),
    )
    with pytest.raises(IndexError):
        trace_again(model, plain, without=[(9, 0)])
    with pytest.raises(ValueError, match="replacement"):
        trace_again(model, plain, without=[(1, 0)], replacement="noise")


def test_the_shared_model_is_as_it_was() -> None:
    model = ac.load("tiny-decoder")
    plain = ac.trace(model, "a fluffy blue creature")
    before = {name: id(module) for name, module in model.hf.named_modules()}
    trace_again(model, plain, without=[(1, 2)])
    assert {name: id(module) for name, module in model.hf.named_modules()} == before
    assert not any("forward" in vars(module) for module in model.hf.modules())
