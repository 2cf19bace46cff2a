"""Predict first: nothing tells before the head is uncovered, the shares are the model's, codes carry a class."""

from __future__ import annotations

import json
from html import escape
from itertools import combinations

import numpy as np
import pytest
from page_driver import ROOT, checked, html, lead, load, open_page, packets, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.text.numbers import percent
from ui.predict_first import question
from ui.predict_first.question import MOST_CODES, Question, class_result, read_codes, result

STARTER = "a fluffy blue creature roamed the verdant forest"
HUNGRY = "a hungry fluffy blue creature"


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def asked(trace: ac.Trace) -> Question:
    return question.ask(trace.stream(), 0, 3, 4, "minilm")


def words_of(page: AppTest) -> dict:
    """What the painted sentence was given."""
    (found,) = [json.loads(e.proto.json) for e in page.get("bidi_component") if '"asks"' in e.proto.json]
    return found


def sent(page: AppTest) -> str:
    """All that travels to the browser."""
    return str(page._tree) + html(page) + "".join(e.proto.json for e in page.get("bidi_component"))


def shares(trace: ac.Trace) -> list[str]:
    return [percent(float(w)) for w in trace.pattern(0, 3)[4]]


def test_nothing_tells_before_the_head_is_uncovered(trace) -> None:
    for teacher in (0, 1):
        page = open_page("predict_first", menus=True, teacher=teacher, painted="2_3")
        assert lead(page) == "Where does creature look in head 0.3? Paint first, then uncover."
        assert not [share for share in set(shares(trace)) if share in sent(page).replace("\xa0", " ")]
        given = words_of(page)
        assert {(word["bar"], word["share"]) for word in given["words"]} == {(None, None)}
        assert packets(page) == {}  # no picture of the head, nor anything to save of it
        assert not [button for button in page.get("download_button") if "CSV" in button.proto.label]


def test_uncovering_shows_every_weight_and_what_was_found_against_chance(trace, asked) -> None:
    page = open_page("predict_first", painted="2_3", uncovered=1)
    row = trace.pattern(0, 3)[4]
    assert [word["share"] for word in words_of(page)["words"]] == shares(trace)
    assert lead(page) == f"In head 0.3, creature looks most at itself: {percent(float(row[4]))} of its weight."
    found = percent(float(row[2] + row[3]))
    assert f"Your 2 words hold {found} of the weight; 2 words picked at random hold {percent(2 / 13)}" in text(page)
    assert "That is better than chance." in text(page)
    (header, cells) = packets(page)["uncovered_head"]
    assert np.allclose(cells[0], trace.pattern(0, 3), atol=1e-6)


def test_the_classs_table_is_called_by_what_it_shows(asked) -> None:
    """Covered, it has no weights, and its caption under Save says none."""
    for told, said in ((0, "how many of 1 painted each word"), (1, "the head’s weight on each word, and how many")):
        page = open_page("predict_first", menus=True, teacher=1, uncovered=told)
        page.text_area(key="class_codes").set_value(asked.code((2, 3))).run()
        (caption,) = [picture.says for name, picture in checked(page).session_state["_gallery"].pictures.items()
                      if name == "The class, laid over the head"]  # fmt: skip
        assert said in caption


def test_chance_is_the_mean_over_every_choice_of_as_many_words(asked) -> None:
    every = [asked.found(two) for two in combinations(asked.open, 2)]
    assert np.mean(every) == pytest.approx(asked.chance((0, 1)), abs=1e-6)
    assert "Chance would have done as well." in result(asked, (0,))
    assert "nothing to compare" in result(asked, ())


def test_a_masked_word_is_not_painted_and_takes_no_part_in_chance() -> None:
    stream = ac.trace(load("tiny-decoder"), HUNGRY).stream()
    asked = question.ask(stream, 1, 1, 2, "tiny-decoder")
    assert asked.open == (0, 1, 2) and asked.chance((1,)) == pytest.approx(1 / 3)
    assert asked.allowed((1, 4)) == (1,) and asked.found((4,)) == 0
    page = open_page("predict_first", model="tiny-decoder", text=HUNGRY, layer=1, head=1, query=2, painted="1_4")
    given = words_of(page)
    assert given["painted"] == [1] and [word["masked"] for word in given["words"]] == [False] * 3 + [True] * 3


def test_a_pupils_code_is_on_the_page_and_the_teacher_reads_it(asked) -> None:
    code = asked.code((2, 3))
    assert code in html(open_page("predict_first", painted="2_3"))
    page = open_page("predict_first", teacher=1)
    page.text_area(key="class_codes").set_value(f"{code}\n\n{asked.code((3, 10))}\n<b>12</b>\n{code}\n").run()
    checked(page)
    counts = [word["count"] for word in words_of(page)["words"]]
    assert counts == ["0 ×", "0 ×", "2 ×", "3 ×", *["0 ×"] * 6, "1 ×", "0 ×", "0 ×"]
    assert "3 paintings; most, 3, have blue." in text(page)
    assert "Line 4, “<b>12</b>”, is not a code for this question" in text(page) and escape("<b>12</b>") in html(page)
    page.button(key="predict_uncover").click().run()
    mean = np.mean([asked.found(p) for p in ((2, 3), (3, 10), (2, 3))])
    assert f"A painting holds {percent(float(mean))} of the weight on average, over 3 of them" in text(page)
    assert [word["share"] for word in words_of(page)["words"]][3] == percent(float(asked.weights[3]))


def test_a_class_is_bounded_and_its_lines_are_counted(asked) -> None:
    code = asked.code((2,))
    read = read_codes(asked, "\n".join([code] * 45))
    assert len(read.paintings) == MOST_CODES and read.left_out == 5
    assert "Only the first 40 codes are read; 5 more were left out." in question.wrong_lines(read)
    long = read_codes(asked, "9" * 1_000_000)
    assert long.paintings == () and len(question.wrong_lines(long)[0]) < 200
    assert "Nobody has painted anything yet" in class_result(asked, read_codes(asked, ""))


def test_a_code_of_another_head_or_word_or_sentence_is_none_here(trace, asked) -> None:
    code = asked.code((2, 3))
    stream = trace.stream()
    others = [question.ask(stream, 0, 4, 4, "minilm"), question.ask(stream, 0, 3, 5, "minilm")]
    others.append(question.ask(ac.trace(load("minilm"), STARTER.replace("blue", "green")).stream(), 0, 3, 4, "minilm"))
    assert [other.painting(code) for other in others] == [None] * 3


def test_the_link_for_the_class_covers_the_head_and_shows_no_sentence_to_change() -> None:
    page = open_page("predict_first", teacher=1, uncovered=1, painted="2", layer=2, head=5, query=3)
    (link,) = [c.value for c in page.code if "predict_first?" in c.value]
    assert "uncovered" not in link and "painted" not in link and "teacher" not in link
    assert all(part in link for part in ("layer=2", "head=5", "query=3", "model=minilm", "text=a+fluffy"))
    assert {box.key for box in page.text_area} == {"text", "class_codes"}
    pupil = open_page("predict_first", layer=2, head=5, query=3)
    assert len(pupil.text_area) == len(pupil.text_input) == len(pupil.selectbox) == 0


def test_a_translators_head_can_be_asked_about_too() -> None:
    load("tiny-translator")
    page = open_page("predict_first", model="tiny-translator", text="the small blue car sees a white horse",
                     stream="cross", layer=0, head=1, query=2)  # fmt: skip
    given = words_of(page)
    assert [word["text"] for word in given["words"]][:3] == ["the", "small", "blue"]
    assert not any(word["asks"] for word in given["words"])


@pytest.mark.parametrize("raw", ["1-2", "x", "1_2_3_4_5_6_7_8_9", "1_999999", "-1", "²"])
def test_a_link_with_no_painting_in_it_says_so(raw: str) -> None:
    page = open_page("predict_first", painted=raw)
    assert "cannot be shown" in text(page) and words_of(page)["painted"] == []


def test_share_and_the_opened_head_and_the_kit_lead_here() -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    page.session_state["share_open"] = True
    checked(page.run())
    asks = [e.proto for e in page.get("page_link") if "teacher=1" in e.proto.query_string]
    assert len(asks) == 2 and {e.page for e in asks} == {"predict_first"}
    assert all("layer=0&head=3&query=4" in e.query_string for e in asks)
    page.switch_page("pages/teachers_kit.py")
    kit = [e.proto for e in checked(page.run()).get("page_link") if "teacher=1" in e.proto.query_string]
    assert len(kit) == 6
