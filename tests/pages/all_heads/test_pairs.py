"""A second sentence on the front page: its control, link, maps and table, and what a new sentence does to it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from page_driver import checked, html, load, notes, open_page, packets, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.heads.summary import summarise_head

A, B = "who roamed the forest?", "a fluffy <b>blue</b> creature"


@pytest.fixture(scope="module")
def pair() -> ac.Trace:
    return ac.trace(load("minilm"), (A, B))


def with_pair(**params: object) -> AppTest:
    return open_page("all_heads", text=A, second_text=B, layer=2, head=5, **params)


def keys(page: AppTest) -> list[str]:
    return [button.key for button in page.button]


def test_a_link_with_a_second_sentence_shows_the_pair(pair: ac.Trace) -> None:
    page = with_pair()
    header, cells = packets(page)["heatmap"]
    np.testing.assert_allclose(cells, pair.pattern(2, 5), atol=1e-6)
    at = pair.tokens.second
    shares = pair.segment_shares(2, 5)
    assert header["segments"]["at"] == [at, at] and header["segments"]["names"] == [["A→A", "A→B"], ["B→A", "B→B"]]
    np.testing.assert_allclose(header["segments"]["shares"], shares, atol=1e-6)
    assert packets(page)["overview"][0]["second"] == [at, at]
    assert f"{len(pair.tokens)} of 512 tokens" in text(page) and page.text_area(key="second_text").value == B
    assert "<b>blue" not in html(page) and "second_add" not in keys(page)
    assert f"from B to A {shares[1, 0] * 100:.0f} %" in header["alt"]


def test_hidden_specials_and_whole_words_keep_the_two_apart(pair: ac.Trace) -> None:
    page = with_pair(specials="hide", unit="words", queries="columns")
    header, cells = packets(page)["heatmap"]
    row, column = header["segments"]["at"]
    labels = header["rows"]["texts"]
    assert labels[row - 1 : row + 1] == ["?", "a"] and row == column and "[SEP]" not in labels
    np.testing.assert_allclose(cells.sum(axis=1), 1, atol=1e-5)


def test_the_table_names_segments_and_shares(pair: ac.Trace) -> None:
    page = with_pair(face="table")
    found = table(page, "segment")
    of_b = set(found["position"][found["segment"] == "B"])
    assert of_b == set(range(pair.tokens.second, len(pair.tokens)))
    share = f"{pair.segment_shares(2, 5)[0, 1] * 100:.0f} %"
    assert "From segment to segment, mean over the rows of each: A→A" in text(page) and f"A→B {share}" in text(page)


def test_a_second_sentence_is_added_and_removed() -> None:
    load("minilm")
    page = open_page("all_heads", text=A)
    assert page.button(key="second_add").label == "+ second sentence"
    checked(page.button(key="second_add").click().run())
    assert packets(page)["heatmap"][0]["segments"] is None  # nothing was typed yet
    checked(page.text_area(key="second_text").set_value(B).run())
    assert page.query_params["second_text"] in (B, [B]) and packets(page)["heatmap"][0]["segments"]
    checked(page.button(key="second_gone").click().run())
    assert page.query_params["second_text"] in ("", [""]) and packets(page)["heatmap"][0]["segments"] is None
    assert "second_add" in keys(page)


def test_a_second_sentence_that_is_too_long_for_a_link_is_called_so() -> None:
    page = open_page("all_heads", text=A)
    checked(page.button(key="second_add").click().run())
    checked(page.text_area(key="second_text").set_value("word " * 2_000).run())
    assert "This second sentence is too long for a link: the link leaves it out." in text(page)


def test_a_blank_second_sentence_is_none() -> None:
    load("minilm")
    assert packets(open_page("all_heads", text=A, second_text=" \n"))["heatmap"][0]["segments"] is None


def test_a_model_of_one_text_has_no_such_control_and_says_so_of_a_link() -> None:
    load("tiny-decoder")
    page = open_page("all_heads", model="tiny-decoder", text="a hungry creature", second_text=B)
    assert "reads one sentence, and no pair" in notes(page) and "<b>blue" not in html(page)
    assert "second_add" not in keys(page) and packets(page)["heatmap"][0]["segments"] is None


def test_another_model_puts_the_pair_aside_and_gives_it_back(pair: ac.Trace) -> None:
    load("tiny-decoder")
    page = with_pair()
    checked(page.selectbox(key="model").set_value("tiny-decoder").run())
    assert packets(page)["heatmap"][0]["segments"] is None and "no pair" not in notes(page)
    checked(page.selectbox(key="model").set_value("minilm").run())
    assert packets(page)["heatmap"][0]["segments"] and page.text_area(key="second_text").value == B


def test_a_link_with_another_text_leaves_no_old_second_sentence(pair: ac.Trace) -> None:
    page = with_pair()
    page.query_params.clear()
    page.query_params.update({"v": "1", "text": "one red fox"})
    assert packets(checked(page.run()))["heatmap"][0]["segments"] is None
    example = next(button for button in with_pair().button if button.key == "example_0")
    page = checked(example.click().run())
    assert packets(page)["heatmap"][0]["segments"] is None


def test_links_to_other_pages_take_the_pair_along(pair: ac.Trace) -> None:
    page = with_pair()
    links = [e.proto.query_string for e in page.get("page_link")]
    assert links and all(re.search(r"(^|&)second_text=a\+fluffy", said) for said in links if "text=who" in said)


def test_a_head_switched_off_is_switched_off_in_the_pair(pair: ac.Trace) -> None:
    alike = open_page("all_heads", text=f"{A} [SEP] {B}", layer=2, head=5, query=3)  # the same ids in one segment
    page = with_pair(query=3)
    off = ac.trace(load("minilm"), (A, B), without=[(2, 5)])
    found = summarise_head(pair.stream(), lambda **_: off, 2, 5, 3)
    assert found.effect.text in text(page) and found.effect.text not in text(alike)


def test_the_visitors_own_pair_is_given_back_as_a_pair(pair: ac.Trace) -> None:
    page = with_pair()
    checked(page.text_area(key="second_text").set_value("it slept").run())
    page.query_params.clear()
    page.query_params.update({"v": "1", "text": "one red fox"})
    checked(page.run())
    checked(page.button(key="own_back").click().run())
    assert page.text_area(key="second_text").value == "it slept" and packets(page)["heatmap"][0]["segments"]
