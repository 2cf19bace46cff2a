"""A link of ours that shows another sentence says so, and gives the visitor's own back."""

from __future__ import annotations

from page_driver import ROOT, checked, html, load, notes
from streamlit.testing.v1 import AppTest

OWN = "my dog chased the red ball"
STARTER = "a fluffy blue creature roamed the verdant forest"


def follow(page: AppTest, script: str, **params: str) -> AppTest:
    page.query_params.clear()
    page.query_params.update({"v": "1", **params})
    page.switch_page(script)
    return checked(page.run())


def typed() -> AppTest:
    """The front page, where somebody has typed a sentence."""
    load("minilm"), load("tiny-decoder")
    page = checked(AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run())
    page.text_area(key="text").set_value(OWN).run()
    assert "own_back" not in [button.key for button in page.button]
    return checked(page)


def test_a_lesson_link_says_that_it_replaces_the_sentence_and_offers_it_back() -> None:
    page = follow(typed(), "pages/lesson.py", stop="4")
    link = next(e.proto.query_string for e in page.get("page_link") if "no-scale" in e.proto.query_string)
    page = follow(page, "pages/step_by_step.py", **dict(part.split("=") for part in link.replace("+", " ").split("&")))
    assert page.text_area(key="text").value == STARTER
    assert f"This link shows its own sentence. Yours is kept: “{OWN}”" in notes(page)
    page.button(key="own_back").click().run()
    assert checked(page).text_area(key="text").value == OWN and page.session_state["model"] == "minilm"
    assert OWN not in notes(page)


def test_the_model_comes_back_with_the_sentence() -> None:
    page = follow(typed(), "app.py", model="tiny-decoder", text="a hungry fluffy blue creature")
    assert page.session_state["model"] == "tiny-decoder" and OWN in notes(page)
    page.button(key="own_back").click().run()
    assert (page.session_state["model"], page.session_state["text"]) == ("minilm", OWN)


def test_who_typed_nothing_or_types_anew_is_told_nothing() -> None:
    page = follow(checked(AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()), "app.py", text="a fox")
    assert "Yours is kept" not in html(page)
    page = follow(typed(), "app.py", text="a fox")
    page.text_area(key="text").set_value("a third sentence").run()
    assert "Yours is kept" not in html(checked(page))


def test_a_sentence_of_markup_is_shown_as_text_and_cut() -> None:
    page = typed()
    page.text_area(key="text").set_value("<b>bold</b> " * 20).run()
    page = follow(page, "app.py", text="a fox")
    assert "&lt;b&gt;bold" in html(page) and "<b>bold" not in html(page)
    assert "…”" in notes(page)


def test_an_emptied_box_blames_no_link_and_gives_the_sentence_back() -> None:
    page = typed()
    page.text_area(key="text").set_value("").run()
    assert "This link" not in notes(page)
    assert f"There is no sentence here now. Yours is kept: “{OWN}”" in notes(page)
    page.button(key="own_back").click().run()
    assert checked(page).text_area(key="text").value == OWN and "Yours is kept" not in html(page)
