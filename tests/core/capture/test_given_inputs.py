"""What a tokenizer gave goes to the model as it is: pairs with their segments, masks, a translator's two texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TEXT, word_tokenizer
from tokenizers import processors
from transformers import AutoModel

import attn_core as ac
from attn_core.capture.again import trace_again
from attn_core.capture.batches import traces_beside
from attn_core.heads.ablation import runner
from attn_core.models.sources import bundled_folder
from attn_core.views.view import View


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("minilm")


@pytest.fixture(scope="module")
def pair(model: ac.Model) -> Any:
    return model.tokenizer("the bank is steep", "it lies by the river", return_tensors="pt")


def test_a_pair_keeps_its_segments(model: ac.Model, pair: Any) -> None:
    trace = ac.trace(model, inputs=pair)
    judge = AutoModel.from_pretrained(bundled_folder(), attn_implementation="eager").eval()
    with torch.inference_mode():
        expected = judge(**pair, output_attentions=True).attentions
    for layer, attention in enumerate(expected):
        np.testing.assert_allclose(trace.patterns(layer), attention[0].numpy(), atol=2e-6)
    alone = ac.trace(model, pair["input_ids"][0].tolist())
    assert np.abs(alone.patterns(0) - trace.patterns(0)).max() > 1e-2  # what is lost without them
    assert trace.check().ok and trace.tokens.labels[5:7] == ["[SEP]", "it"]
    lists = ac.trace(model, inputs={name: value[0].tolist() for name, value in pair.items()} | {"labels": [1]})
    assert np.array_equal(lists.patterns(3), trace.patterns(3))


def test_segments_of_a_text_are_those_that_its_tokenizer_tells() -> None:
    tokenizer = word_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    owners = FAMILIES["bert"].build()
    model = ac.wrap(owners, tokenizer)
    found = ac.trace(model, TEXT)
    with torch.inference_mode():
        theirs = owners(**tokenizer(TEXT, return_tensors="pt")).last_hidden_state[0]
        zeros = owners(torch.tensor([found.tokens.ids])).last_hidden_state[0]
    np.testing.assert_allclose(found.final_embedding(), theirs, atol=1e-5)
    assert (zeros - theirs).abs().max() > 0.1
    many, plain = ac.trace_many(model, [TEXT, found.tokens.ids])
    np.testing.assert_allclose(many.final_embedding(), theirs, atol=1e-5)
    np.testing.assert_allclose(plain.final_embedding(), zeros, atol=1e-5)

    again = trace_again(model, found, without=[(0, 1)])
    alone = ac.trace(model, TEXT, without=[(0, 1)])
    np.testing.assert_allclose(again.final_embedding(), alone.final_embedding(), atol=1e-6)
    both = traces_beside(model, TEXT, [(0, 1)])
    for ours, single in zip(both, (found, alone), strict=True):
        np.testing.assert_allclose(ours.final_embedding(), single.final_embedding(), atol=1e-5)


def test_a_mask_is_kept(model: ac.Model) -> None:
    padded = model.tokenizer("one bird", padding="max_length", max_length=7, return_tensors="pt")
    trace, alone = ac.trace(model, inputs=padded), ac.trace(model, "one bird")
    np.testing.assert_allclose(trace.patterns(2)[:, :4, :4], alone.patterns(2), atol=1e-6)
    assert not trace.may_look(0)[:, 4:].any() and not trace.patterns(2)[:, :4, 4:].any() and trace.check().ok
    assert not trace.may_look(0)[4:].any() and np.isnan(trace.patterns(2)[:, 4:]).all()  # filler is nobody's word


def test_a_translator_needs_both(model: ac.Model) -> None:
    translator = ac.load("tiny-translator")
    expected = ac.trace(translator, "the cat sleeps", target="le chat dort")
    given = {
        "input_ids": [expected.stream("encoder").tokens.ids],
        "decoder_input_ids": [expected.stream("decoder").tokens.ids],
    }
    trace = ac.trace(translator, inputs=given)
    assert np.array_equal(trace.patterns(0, stream="cross"), expected.patterns(0, stream="cross"))
    with pytest.raises(ac.EmptyText, match="also needs decoder_input_ids"):
        ac.trace(translator, inputs={"input_ids": given["input_ids"]})


def test_such_a_trace_is_not_run_again_from_its_ids_alone(model: ac.Model, pair: Any) -> None:
    trace = ac.trace(model, inputs=pair)
    with pytest.raises(ac.HeadlightError, match="give the same inputs and the change to ac.trace"):
        runner(model, trace)(without=[(0, 3)])
    changed = ac.trace(model, inputs=pair, without=[(0, 3)])
    assert not changed.delta_e(0, 3).any() and changed.check().ok
    names: dict[str, Any] = {"inputs": pair}
    exec(View(trace).as_python(), names)
    assert np.array_equal(names["trace"].patterns(1), trace.patterns(1))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("one bird", "inputs= is what a tokenizer gives"),
        ({"pixel_values": torch.zeros(1, 3, 8, 8)}, "a mapping that has input_ids"),
        (
            {"input_ids": torch.ones(2, 3, dtype=torch.long)},
            r"its input_ids has the shape \[2, 3\]",
        ),
        ({"input_ids": [5] * 100}, "reads 64 tokens at most; these inputs have 100"),
    ],
)
def test_what_cannot_be_read_so_is_refused(inputs: Any, said: str) -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer())
    with pytest.raises(ac.HeadlightError, match=said):
        ac.trace(model, inputs=inputs)
    with pytest.raises(ValueError, match="takes the place of a text"):
        ac.trace(model, "one fox", inputs=inputs)
