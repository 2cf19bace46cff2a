"""Models that look or listen: their positions have names, and their patterns are those of the eager model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

import attn_core as ac
from attn_core.capture.again import trace_again

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_IMAGE = {**_SMALL, "image_size": 24, "patch_size": 8}
_SOUND = {**_SMALL, "vocab_size": 32, "conv_dim": (16,) * 7}
PIXELS = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
SAMPLES = torch.randn(1, 6000, generator=torch.Generator().manual_seed(0))
LOOKING = {
    "vit": lambda: tf.ViTForImageClassification(tf.ViTConfig(**_IMAGE)),
    "deit": lambda: tf.DeiTModel(tf.DeiTConfig(**_IMAGE)),
    "dinov2 with registers": lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**_IMAGE)),
    "clip": lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**_IMAGE)),
    "siglip": lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**_IMAGE)),
}
LISTENING = {
    "wav2vec2": lambda: tf.Wav2Vec2ForCTC(tf.Wav2Vec2Config(**_SOUND)),
    "hubert": lambda: tf.HubertModel(tf.HubertConfig(**_SOUND)),
}
BEFORE = {"vit": 1, "deit": 2, "dinov2 with registers": 5, "clip": 1, "siglip": 0}


def built(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    given = {"pixel_values": PIXELS} if name in LOOKING else {"input_values": SAMPLES}
    return (LOOKING | LISTENING)[name]().eval(), given


@pytest.mark.parametrize("name", [*LOOKING, *LISTENING])
def test_patterns_are_those_of_the_eager_model(name: str, tmp_path: Path) -> None:
    hf_model, given = built(name)
    judge = copy.deepcopy(hf_model)
    judge.set_attn_implementation("eager")
    trace = ac.trace(ac.wrap(hf_model), inputs=given)
    with torch.inference_mode():
        expected = judge(**given, output_attentions=True).attentions
    for layer, attention in enumerate(expected):
        np.testing.assert_allclose(trace.patterns(layer), attention[0].numpy(), atol=2e-6)
    assert trace.check().ok and trace.check().residual is not None
    trace.save(tmp_path / "x.headlight")
    assert ac.open_trace(tmp_path / "x.headlight").tokens == trace.tokens


@pytest.mark.parametrize("name", LOOKING)
def test_a_patch_is_named_by_its_row_and_column(name: str) -> None:
    hf_model, given = built(name)
    trace, n_before = ac.trace(ac.wrap(hf_model), inputs=given), BEFORE[name]
    labels = [f"patch {row},{column}" for row in range(3) for column in range(3)]
    assert trace.tokens.labels[n_before:] == labels and trace.tokens.text == "24 × 24 pixels"
    assert trace.tokens.special == [True] * n_before + [False] * 9
    assert trace.tokens.labels[:1] == (["[CLS]"] if n_before else labels[:1])
    moved = given["pixel_values"].clone()
    moved[0, :, 16:, 8:16] += 1  # the patch in row 2, column 1
    other = ac.trace(ac.wrap(hf_model), inputs={"pixel_values": moved[0]})  # without the axis of a batch
    changed = np.abs(other.embedding(0) - trace.embedding(0)).max(axis=1) > 1e-6
    assert changed.tolist() == [label == "patch 2,1" for label in trace.tokens.labels]


@pytest.mark.parametrize("name", LISTENING)
def test_a_moment_is_named_by_when_it_begins(name: str) -> None:
    hf_model, given = built(name)
    model = ac.wrap(hf_model)
    trace = ac.trace(model, inputs=given)
    assert trace.tokens.labels[:3] == ["0.00 s", "0.02 s", "0.04 s"] and trace.tokens.text == "0.38 s of sound"
    assert len(trace.tokens) == 18  # a position is 320 samples, and the first needs 400
    patched = ac.trace(model, inputs=given, patch={ac.at.residual(1, position=3): trace.embedding(0)[0]})
    assert patched.check().ok and np.abs(patched.embedding(2)[3] - trace.embedding(2)[3]).max() > 1e-3
    graph = ac.trace(model, inputs=given, grad=True)
    (gradient,) = torch.autograd.grad((graph.final_embedding()[0] ** 3).sum(), graph.embedding(0))
    assert gradient.shape == (18, 32) and bool(gradient.any())


def test_what_cannot_be_read_says_so() -> None:
    hf_model, given = built("vit")
    model = ac.wrap(hf_model)
    with pytest.raises(ac.HeadlightError, match="reads no text: give it inputs= with pixel_values"):
        ac.trace(model, "a fox")
    with pytest.raises(ac.HeadlightError, match="a processor gives: a mapping that has pixel_values"):
        ac.trace(model, inputs={"input_ids": [1, 2]})
    with pytest.raises(ac.HeadlightError, match=r"its pixel_values has the shape \[2, 3, 24, 24\]"):
        ac.trace(model, inputs={"pixel_values": PIXELS.repeat(2, 1, 1, 1)})
    with pytest.raises(ac.HeadlightError, match="know no words"):
        _ = ac.trace(model, inputs=given).vocabulary
    with pytest.raises(ac.HeadlightError, match="does not predict a next word"):
        ac.trace(model, inputs=given).logits()
    with pytest.raises(ac.HeadlightError, match="give the same inputs and the change"):
        trace_again(model, ac.trace(model, inputs=given), without=[(0, 1)])
