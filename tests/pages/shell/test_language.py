"""A text in a language that its model never learnt: the page says so, and names a model that reads it."""

import pytest
from page_driver import load, notes, open_page

import attn_core as ac
from attn_core.models.catalogue import CATALOGUE
from attn_core.text.unknown_words import falls_apart

ENGLISH = (
    "a fluffy blue creature roamed the verdant forest",
    "the animal didn't cross the street because it was tired",
    "Photosynthesis converts electromagnetic radiation into chemical energy",
    "def foo(x): return x + 1",
    "one mole of carbon dioxide",
)
OTHERS = (
    "Der Hund läuft schnell über die Straße",
    "我喜欢红色的苹果",
    "القطة تنام على السرير",
    "собака бежит по улице",
)


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_read(text: str) -> None:
    assert not falls_apart(ac.trace(load("minilm"), text).tokens)


@pytest.mark.parametrize("text", OTHERS)
def test_another_language_falls_apart(text: str) -> None:
    assert falls_apart(ac.trace(load("minilm"), text).tokens)


def test_the_page_says_so_and_names_a_model_that_reads_it() -> None:
    said = notes(open_page("all_heads", text=OTHERS[0]))
    assert "MiniLM learnt English." in said and "Multilingual E5, in the list of models, reads a hundred" in said
    assert "learnt English" not in notes(open_page("all_heads", text=ENGLISH[1]))


def test_a_model_with_words_of_its_own_is_left_alone() -> None:
    assert CATALOGUE["tiny-decoder"].language == "" and CATALOGUE["minilm"].language == "English"
    assert "learnt" not in notes(open_page("all_heads", model="tiny-decoder", text=OTHERS[0]))


def test_a_frame_typed_on_top_of_the_models_own_is_remarked() -> None:
    said = notes(open_page("all_heads", text="[CLS] one fox [SEP]"))
    assert "[CLS] and [SEP] were typed, and the model puts them there by itself: they are read twice." in said
    assert "by itself" not in notes(open_page("all_heads", text="one fox"))
