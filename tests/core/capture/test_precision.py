"""Models in bfloat16 and float16 are captured as they are, read in float32, and checked with a tolerance of their own.

On a GPU the same is checked by `tests/gpu`.
"""

from __future__ import annotations

from pathlib import Path

import number_types
import numpy as np
import pytest
import torch
from families import FAMILIES, TEXT, whisper, word_tokenizer
from number_types import HALF, Pair

import attn_core as ac
from attn_core.traces.saved.changes_json import changes_from_json, changes_to_json
from attn_core.views.view import View

NAMES = ["bert", "gpt2", "llama", "gemma2", "gpt_neox", "t5", "marian"]
IN_EVERY_RUN = ("gemma2", "t5", "bert-bfloat16", "gpt2-float16", "llama-bfloat16")  # the others: `make test-full`
KINDS = [f"{name}-{str(kind)[6:]}" for name in NAMES for kind in HALF]


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=[] if kind.startswith(IN_EVERY_RUN) else pytest.mark.full) for kind in KINDS],
)
def pair(request: pytest.FixtureRequest) -> Pair:
    name, kind = request.param.split("-")
    return Pair(name, getattr(torch, kind))


def test_a_trace_is_near_float32_and_checked(pair: Pair) -> None:
    number_types.check_a_trace(pair)


def test_patches(pair: Pair) -> None:
    number_types.check_patches(pair)


def test_gradients(pair: Pair) -> None:
    number_types.check_gradients(pair)


def test_batches_and_files(pair: Pair, tmp_path: Path) -> None:
    if pair.exact.kind != "encoder-decoder":
        number_types.check_many(pair)
    number_types.check_files(pair, tmp_path)


def test_loading_takes_a_number_type_and_a_device() -> None:
    half = ac.load("tiny-decoder", dtype="bfloat16")
    said = "trace = ac.trace(ac.load('tiny-decoder', dtype='bfloat16'), 'the creature')"
    assert View(ac.trace(half, "the creature")).as_python().count(said) == 1
    assert {p.dtype for p in half.hf.parameters()} == {torch.bfloat16}
    assert ac.load("tiny-decoder", dtype=torch.bfloat16, device="cpu").hf is half.hf
    assert ac.load("tiny-decoder").hf is not half.hf
    plain, trace = (ac.trace(model, "the small dog ran") for model in (ac.load("tiny-decoder"), half))
    assert np.abs(plain.patterns(1) - trace.patterns(1)).max() < 0.1
    assert int(plain.logits().argmax()) == int(trace.logits().argmax())
    put = ac.trace(ac.load("tiny-decoder"), "the creature", patch={ac.at.head(0, 1): ac.trace(half, "the creature")})
    assert f"ac.at.head(0, 1): {said.removeprefix('trace = ')}" in View(put).as_python()  # from where it came
    assert changes_from_json(changes_to_json(put.changes)) == put.changes
    again = ac.trace(half, "the small dog ran", without=[(1, 0)])
    assert again.changes and again.check().ok
    with pytest.raises(ValueError, match="dtype must be one of float32, float16, bfloat16"):
        ac.load("tiny-decoder", dtype="int8")
    with pytest.raises(ac.HeadlightError, match="no device 'nowhere' here"):
        ac.load("tiny-decoder", device="nowhere")


def test_autocast_does_not_reach_readers() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer())
    plain = ac.trace(model, TEXT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around = dict(number_types.readings(plain))
        check = plain.check()
        inside = ac.trace(model, TEXT)
        assert inside.check().ok and inside.check().precision == "bfloat16"
    for name, array in number_types.readings(plain):
        np.testing.assert_array_equal(around[name], array, err_msg=name)
    assert check == plain.check() and check.precision == "float32"
    np.testing.assert_allclose(inside.patterns(0).sum(axis=-1), 1, atol=1e-5)


def test_what_cannot_be_read_is_refused_in_a_sentence() -> None:
    large = FAMILIES["gpt2"].build()
    with torch.no_grad():
        large.transformer.h[0].mlp.c_fc.weight.mul_(1e4)
        large.transformer.h[0].mlp.c_proj.weight.mul_(1e4)
    with pytest.raises(ac.DamagedModel, match="too large for float16: load it in bfloat16 or float32"):
        ac.wrap(large.half(), word_tokenizer())
    with torch.device("meta"):
        empty = FAMILIES["bert"].build()
    with pytest.raises(ac.HeadlightError, match="not loaded: they are on the meta device"):
        ac.wrap(empty, word_tokenizer())
    with pytest.raises(ac.HeadlightError, match=r"float64; convert them first: model\.float"):
        ac.wrap(FAMILIES["bert"].build().double(), word_tokenizer())
    half = ac.trace(ac.wrap(FAMILIES["gpt2"].build().bfloat16(), word_tokenizer()), TEXT)
    with pytest.raises(ac.HeadlightError, match="computes in bfloat16, which rounds away who wrote what"):
        half.score_parts(1, 0, 3, 2)


def test_sound_in_half_precision() -> None:
    model = ac.wrap(whisper(20).bfloat16(), word_tokenizer())
    sound = np.random.default_rng(0).normal(size=(8, 40))
    trace = ac.trace(model, audio=sound, target="one fox")
    assert trace.check().ok and trace.check().precision == "bfloat16"
