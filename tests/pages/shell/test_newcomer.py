"""The way in: one line for all, three ways for who has not been here, and the page About that keeps them."""

import re
from html import unescape

import pytest
import streamlit as st
from page_driver import checked, html, open_page, text
from streamlit.testing.v1 import AppTest

from ui import glossary
from ui.shell.menu import GROUPS, PAGES
from ui.shell.newcomer import COOKIE

WAYS = ["New to attention?", "Explore a sentence", "Prepare a class"]


def front() -> AppTest:
    """The bare front page, as somebody opens it for the first time."""
    return open_page("all_heads")


def ways(page: AppTest) -> list[str]:
    """The ways in that the page offers, as they are read."""
    links = [element.proto.label for element in page.get("page_link")]
    labels = [text(page), *links, *(button.label for button in page.button)]
    return [way for way in WAYS if any(way in label for label in labels)]


def test_a_newcomer_reads_what_this_is_and_finds_three_ways_in() -> None:
    page = front()
    assert "See what every attention head of a language model looks at" in text(page)
    assert ways(page) == WAYS


def test_exploring_takes_the_ways_away_and_asks_the_browser_to_remember() -> None:
    page = front()
    checked(page.button(key="explore").click().run())
    assert ways(page) == []
    assert "See what every attention head" in text(page)
    assert sum(COOKIE in str(part.proto) for part in page.get("bidi_component")) == 1
    checked(page.run())
    assert ways(page) == []
    assert not any(COOKIE in str(part.proto) for part in page.get("bidi_component"))


def test_the_ways_stay_while_a_head_is_opened() -> None:
    page = front()
    page.session_state["head"] = 5
    assert ways(checked(page.run())) == WAYS


@pytest.mark.parametrize("view", [{"head": 5}, {"text": "one mole"}])
def test_who_opens_a_link_sees_the_view_and_no_ways_in(view: dict[str, object]) -> None:
    assert ways(open_page("all_heads", **view)) == []


def test_whoever_has_been_here_before_sees_no_ways_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: {COOKIE: "1"}))
    assert ways(front()) == []


def test_a_frame_in_another_page_has_neither() -> None:
    page = open_page("all_heads", embedded=True)
    assert ways(page) == []
    assert "See what every" not in text(page)


def test_the_lesson_stands_first_among_what_one_learns_from() -> None:
    assert next(iter(GROUPS["Learn"])) == "lesson"
    assert len(PAGES) == sum(map(len, GROUPS.values()))


def test_terms_explain_themselves_from_the_one_glossary() -> None:
    shown = {said: means for means, said in re.findall(r'data-means="([^"]+)"[^>]*>([^<]+)</span>', html(front()))}
    assert {"head", "layers", "heads", "attention pattern", "entropy", "turn if switched off"} <= set(shown)
    assert unescape(shown["entropy"]) == glossary.meaning("entropy")


def test_a_marked_term_is_explained_and_an_unknown_one_is_an_error() -> None:
    said = glossary.explained('x <dfn title="sink">rest</dfn> <dfn>heads</dfn>')
    assert glossary.meaning("sink") in said and glossary.meaning("head") in said and "<dfn" not in said
    with pytest.raises(KeyError):
        glossary.explained("<dfn>no such term</dfn>")


def test_every_term_is_explained_in_plain_words() -> None:
    names = [term["name"] for term in glossary.terms()]
    assert len(names) == len(set(names)) >= 25
    assert all(
        {"name", "term", "says"} <= set(term) <= {"name", "term", "says", "papers", "video"}
        for term in glossary.terms()
    )
    assert all(term["says"].endswith(".") and len(term["says"]) <= 200 for term in glossary.terms())
