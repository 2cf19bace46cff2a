"""The link is the state: what is read, what is refused with a note, what is written, what travels."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from ui.link import open_link_state
from ui.param import choice, flag

PAGE = """
import streamlit as st
from ui.link import forget, link, open_link_state
from ui.param import choice, flag, whole, typed

page = st.query_params.get("page", st.session_state.get("page", "page"))
st.session_state["page"] = page
st.query_params.pop("page", None)
goes = {"travels": True, "in_caption": False}
view = open_link_state(page, [
    choice("model", ("small", "big") if page == "page" else ("small", "huge"), **goes),
    typed("text", "hello", **goes),
    whole("layer", high=lambda view: {"small": 1, "big": 11, "huge": 20}[view["model"]], **goes),
    whole("query", high=9, optional=True, **goes),
    flag("specials", True, in_caption=False),
    choice("pair", ("ab", "bc") if page == "page" else ("0-1", "1-2")),
])
st.selectbox("model", ("small", "big"), key="model")
st.text_input("text", key="text")
st.number_input("layer", 0, 11, key="layer")
st.checkbox("specials", key="specials")
st.button("forget", on_click=forget, args=("layer",))
st.json({"values": view.chosen, "notes": view.notes, "link": view.link, "elsewhere": link("other", layer=1),
         "caption": view.for_caption()})
"""


def opened(**params: str) -> AppTest:
    page = AppTest.from_string(PAGE, default_timeout=60)
    for name, value in params.items():
        page.query_params[name] = value
    return page.run()


def said(page: AppTest) -> dict:
    assert not page.exception
    return json.loads(page.json[0].value)


def address(page: AppTest) -> dict[str, str]:
    return {name: said if isinstance(said, str) else said[-1] for name, said in page.query_params.items()}


def test_a_bare_address_gives_the_defaults_and_stays_bare() -> None:
    page = opened()
    assert said(page)["values"] == {
        "model": "small",
        "text": "hello",
        "layer": 0,
        "query": None,
        "specials": True,
        "pair": "ab",
    }
    assert address(page) == {}


def test_every_parameter_of_a_good_link_is_restored_without_a_note() -> None:
    page = opened(v="1", model="big", text="naïve ☕ <b>&amp;?#=+", layer="11", query="9", specials="0")
    wanted = {"model": "big", "text": "naïve ☕ <b>&amp;?#=+", "layer": 11, "query": 9, "specials": False, "pair": "ab"}
    assert said(page)["values"] == wanted
    assert said(page)["notes"] == []
    assert page.number_input(key="layer").value == 11


def test_a_change_writes_everything_with_the_version_so_that_defaults_may_change_later() -> None:
    page = opened()
    page.checkbox(key="specials").uncheck().run()
    written = {
        "v": "1",
        "model": "small",
        "text": "hello",
        "layer": "0",
        "query": "auto",
        "specials": "0",
        "pair": "ab",
    }
    assert address(page) == written
    assert said(page)["link"] == written


@pytest.mark.parametrize(
    ("name", "value", "fallback"),
    [
        ("layer", "99", 0),
        ("layer", "-1", 0),
        ("layer", "1.5", 0),
        ("layer", "²", 0),
        ("layer", "9" * 5000, 0),
        ("layer", "", 0),
        ("query", "<script>", None),
        ("model", "nope", "small"),
        ("specials", "maybe", True),
    ],
)
def test_a_wrong_value_falls_back_with_a_note_that_names_it(name: str, value: str, fallback: object) -> None:
    page = opened(**{name: value})
    assert said(page)["values"][name] == fallback
    (note,) = said(page)["notes"]
    assert f"{name}={value[:40]}" in note
    assert address(page).get(name) != value


def test_a_range_depends_on_the_model_in_the_same_link() -> None:
    assert said(opened(model="big", layer="7"))["values"]["layer"] == 7
    assert "from 0 to 1" in said(opened(model="small", layer="7"))["notes"][0]


def test_strange_names_and_versions_are_named() -> None:
    notes = said(opened(v="9", layr="3"))["notes"]
    assert any("v=9" in note for note in notes) and any("layr" in note for note in notes)


def test_a_note_is_gone_after_the_next_step() -> None:
    page = opened(layer="99")
    page.checkbox(key="specials").uncheck().run()
    assert said(page)["notes"] == []


def test_a_widget_that_was_just_changed_wins_over_an_address_that_lags_behind() -> None:
    page = opened(model="big", layer="3")
    page.number_input(key="layer").set_value(4).run()
    page.query_params["layer"] = "3"  # the browser has not shown our last link yet
    page.number_input(key="layer").set_value(5).run()
    assert said(page)["values"]["layer"] == 5
    assert address(page)["layer"] == "5"


def test_going_back_in_the_browser_restores_the_older_link() -> None:
    page = opened(model="big", layer="3")
    page.number_input(key="layer").set_value(4).run()
    page.query_params["layer"] = "3"
    page.run()
    assert said(page)["values"]["layer"] == 3
    assert page.number_input(key="layer").value == 3


def test_what_the_new_model_does_not_have_is_clamped_without_a_word_and_comes_back() -> None:
    page = opened(model="big", layer="7")
    page.selectbox(key="model").select("small").run()
    assert (said(page)["values"]["layer"], said(page)["notes"]) == (1, [])
    assert address(page)["layer"] == "1"
    page.selectbox(key="model").select("big").run()
    assert said(page)["values"]["layer"] == 7


def on(page: AppTest, name: str, **params: str) -> AppTest:
    """Another page, opened by a link as the menu makes it."""
    page.query_params.clear()
    for key, value in {"page": name, **params}.items():
        page.query_params[key] = value
    return page.run()


def test_a_parameter_belongs_to_its_page_and_what_travels_goes_along() -> None:
    page = opened(v="1", model="big", layer="7", pair="bc")
    menu = {name: value for name, (value,) in parse_qs(urlsplit(said(page)["elsewhere"]).query).items()}
    on(page, "other", **menu | {"layer": "7"})
    assert said(page)["notes"] == []
    assert said(page)["values"] == {
        "model": "small", "text": "hello", "layer": 1, "query": None, "specials": True, "pair": "0-1",
    }  # fmt: skip
    on(page, "page", v="1", model="big", layer="7")
    assert (said(page)["values"]["pair"], said(page)["values"]["layer"], said(page)["notes"]) == ("bc", 7, [])


def test_an_opened_link_into_another_page_still_names_what_it_cannot_show() -> None:
    page = opened(v="1", model="big")
    on(page, "other", v="1", model="nope", pair="ab")
    assert [note.split(" cannot")[0] for note in said(page)["notes"]] == [
        "This link's model=nope",
        "This link's pair=ab",
    ]


def test_captions_say_the_parameters_that_are_declared_for_them() -> None:
    shown = said(opened(v="1", specials="0", pair="bc"))
    assert shown["caption"] == {"pair": "bc"}


def test_two_parameters_of_one_name_are_found() -> None:
    with pytest.raises(ValueError, match="two parameters of one name: scale"):
        open_link_state("page", [choice("scale", ("sqrt", "linear")), flag("scale")])


def test_a_parameter_in_a_link_is_checked_where_the_link_is_built() -> None:
    tiles = choice("tiles", {"pattern": "pattern", "delta": "ΔE size"})
    assert tiles.set("delta") == ("tiles", "delta") and flag("large").set(True) == ("large", "1")
    with pytest.raises(ValueError, match="it must be one of pattern, delta"):
        tiles.set("sizes")


def test_what_is_too_long_for_a_link_stays_on_the_page_and_is_said() -> None:
    page = opened()
    page.text_input(key="text").input("x" * 20_000).run()
    assert said(page)["values"]["text"] == "x" * 20_000
    assert "text" not in address(page)
    assert "too long for a link" in said(page)["notes"][0]
    page.checkbox(key="specials").uncheck().run()
    assert said(page)["values"]["text"] == "x" * 20_000


def test_a_link_elsewhere_carries_what_travels_and_what_is_said_on_top() -> None:
    page = opened(model="big", text="a & b", layer="7", specials="0")
    parts = urlsplit(said(page)["elsewhere"])
    assert parts.path == "other"
    assert parse_qs(parts.query) == {
        "v": ["1"], "model": ["big"], "text": ["a & b"], "layer": ["1"], "query": ["auto"],
    }  # fmt: skip


def test_what_is_forgotten_takes_its_default() -> None:
    page = opened(model="big", layer="7")
    page.button[0].click().run()
    assert said(page)["values"]["layer"] == 0
    assert said(page)["notes"] == []


TYPED = """
import streamlit as st
from ui.link import open_link_state
from ui.param import typed

page = st.session_state.get("page", "page")
view = open_link_state(page, [typed("text", "hello", travels=True), *([typed("essay", "")] if page == "page" else [])])
st.text_input("text", key="text")
if page == "page":
    st.text_input("essay", key="essay")
kept = [name for name, held in st.session_state.items() if len(str(held)) > 6000]
st.json({"values": view.chosen, "kept": kept})
"""


@pytest.mark.parametrize(("essay", "comes_back"), [("short", True), ("x" * 6001, False)])
def test_what_is_too_long_for_a_link_goes_with_its_page(essay: str, comes_back: bool) -> None:
    """A session that kept every page's long texts would grow by a megabyte with each place to type in."""
    page = AppTest.from_string(TYPED, default_timeout=60).run()
    page.text_input(key="essay").set_value(essay).run()
    page.run()
    assert said(page)["values"]["essay"] == essay
    page.session_state["page"] = "other"
    assert said(page.run())["kept"] == []
    page.session_state["page"] = "page"
    assert said(page.run())["values"]["essay"] == (essay if comes_back else "")
