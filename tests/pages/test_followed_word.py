"""The followed word: one default for every page, carried from page to page, kept while the sentence holds it."""

import numpy as np
import pytest
from page_driver import checked, load, open_page
from page_driver import text as text_of
from streamlit.testing.v1 import AppTest

import attn_core as ac

STARTER = "a fluffy blue creature roamed the verdant forest"
OTHER = "the keys to the cabinet are on the table"


def opened(page: str = "all_heads", **params: object) -> AppTest:
    return open_page(page, **params)


def labels(text: str, model: str = "minilm") -> list[str]:
    return ac.trace(load(model), text).tokens.labels


def word(page: AppTest) -> str:
    """The word that the page follows, by the name that sentences keep."""
    return str(page.session_state["followed_words"][""].word)


def salient(text: str, layer: int, head: int) -> int:
    """The query whose weight on another word is the largest, said without our own function."""
    trace = ac.trace(load("minilm"), text)
    inner = trace.pattern(layer, head)[1:-1, 1:-1]  # between [CLS] and [SEP]
    return 1 + int(np.where(np.eye(len(inner), dtype=bool), 0, inner).max(axis=1).argmax())


def test_the_front_page_follows_creature_and_another_ending_keeps_it() -> None:
    page = opened()
    assert word(page) == "creature"
    checked(page.text_area(key="text").input(f"{STARTER} at night").run())
    assert word(page) == "creature" and page.session_state["query"] == 4 != salient(f"{STARTER} at night", 0, 3)
    assert page.query_params["query"] in ("4", ["4"]), "the link opens on the word that is seen"
    checked(page.text_area(key="text").input(f"yesterday {STARTER}").run())
    assert word(page) == "creature" and page.session_state["query"] == 5, "the word is kept, not its place"
    assert labels(f"yesterday {STARTER}")[5] == "creature"


def test_a_word_that_is_gone_gives_way_to_the_most_salient_one() -> None:
    page = opened()
    checked(page.text_area(key="text").input(OTHER).run())
    assert page.session_state["query"] is None, "the link leaves the choice to the page"
    assert word(page) == labels(OTHER)[salient(OTHER, 0, 3)]


def test_an_example_begins_afresh() -> None:
    page = opened(text="the table is red", query=1)
    assert word(page) == "the"
    checked(page.button(key="example_2").click().run())
    assert page.session_state["text"] == OTHER and word(page) == labels(OTHER)[salient(OTHER, 0, 3)] != "the"


def test_a_link_to_another_sentence_opens_on_what_its_sender_saw() -> None:
    """Even where this visitor follows a word that the new sentence holds too."""
    page = opened(text="the table is red", query=1)
    assert word(page) == "the"
    page.query_params.update({"text": OTHER, "query": "auto"})
    checked(page.run())
    assert word(page) == labels(OTHER)[salient(OTHER, 0, 3)] != "the"


@pytest.mark.parametrize("name", ["all_heads", "step_by_step", "delta_e", "find_heads"])
def test_pages_choose_the_same_word_and_another_head_keeps_it(name: str) -> None:
    text, (layer, head) = OTHER, (3, 1)
    page = opened(name, text=text, layer=0, head=3)
    first = word(page)
    assert first == labels(text)[salient(text, 0, 3)] != labels(text)[salient(text, layer, head)]
    page.session_state["layer"], page.session_state["head"] = layer, head
    checked(page.run())
    assert word(page) == first and page.session_state["query"] == labels(text).index(first)


def test_compare_follows_what_differs_most_and_carries_what_was_followed() -> None:
    assert word(opened("compare_heads")) == "are"
    page = opened("compare_heads", text=OTHER, query=2)
    assert word(page) == "keys"


def test_a_word_that_a_visitor_kept_is_not_taken_for_one_that_was_chosen() -> None:
    """The next word is that after the sentence's end, until somebody chooses another place."""
    text = "a fluffy blue creature roamed"
    page = opened(model="tiny-decoder", text=text)
    followed = word(page)
    checked(page.text_area(key="text").input(f"{text} the").run())
    assert word(page) == followed
    assert "Choose a word in the pictures above to read the layers there." in text_of(page)
