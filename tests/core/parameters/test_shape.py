"""Numbers that cannot be a model get one clear sentence."""

from __future__ import annotations

import pytest
from configurations import GPT2, LLAMA

import attn_core as ac
from attn_core.parameters.architectures.families import FAMILIES
from attn_core.parameters.count import ImpossibleModel, count_parameters
from attn_core.parameters.shape import problems


def test_impossible_numbers_are_explained() -> None:
    with pytest.raises(ImpossibleModel, match="770 does not divide into 12 heads; take 768 or 780"):
        count_parameters({"model_type": "gpt2", "n_embd": 770})
    with pytest.raises(ImpossibleModel, match="set d_head"):
        count_parameters({"model_type": "gpt-3", "d_model": 100, "n_heads": 7})
    count_parameters({"model_type": "gpt-3", "d_model": 100, "n_heads": 7, "d_head": 16})  # possible once it is set
    with pytest.raises(ImpossibleModel, match="6 heads cannot share 4 keys"):
        count_parameters({**LLAMA, "num_key_value_heads": 4})
    with pytest.raises(ImpossibleModel, match=r"n_layers must be a whole number from 1 to 512, not -3"):
        count_parameters({**GPT2, "n_layer": -3})
    with pytest.raises(ImpossibleModel, match="d_model must be a whole number"):
        count_parameters({**GPT2, "n_embd": "six"})
    assert problems({"model_type": "gpt-3"}) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_wrong_number_is_more_than_one_clear_sentence(family: str) -> None:
    for name in FAMILIES[family].defaults:
        for wrong in (None, "six", -1, 0, 1.5, [], {}):
            try:
                assert count_parameters({"model_type": family, name: wrong}).total > 0
            except ac.HeadlightError as error:
                assert str(error)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("bloom", {"hidden_size": -4}),
        ("mpt", {"d_model": 0}),
        ("gpt_neo", {"num_attention_heads": "x"}),
        ("mbart", {"tie_word_embeddings": None}),  # no formula covers it, and the library refuses it
    ],
)
def test_a_class_that_cannot_be_built_is_one_clear_sentence_too(family: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ImpossibleModel, match="The library refuses to build these numbers"):
        count_parameters({"model_type": family, **wrong})
