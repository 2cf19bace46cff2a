"""Share and Save in the menu: the link, its QR code and frame, every page's files, saved views opened again."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
import segno
from page_driver import ROOT, checked, html, load, notes, open_page
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.settings import settings
from attn_core.traces.saved import contents
from attn_core.views import files
from attn_core.views.view import View
from ui.shared_params import LARGE
from ui.shell import picture_file, save, save_files, save_pictures, share

STARTER = "a fluffy blue creature roamed the verdant forest"
OURS = '<script type="application/json" id="headlight-view">'
# A picture and its numbers; a head's numbers, the page.
FILES = ["PNG", "SVG", "Slide (16:9)", "CSV", "JSON", "NPZ", "HTML"]


@pytest.fixture(scope="module", autouse=True)
def model() -> ac.Model:
    return load("minilm")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, View], save_files.Numbers | None]]:
    """What pages offer in their save menus, as they do."""
    laid = []
    add_views = save.SaveMenu.add_views

    def seen(self: save.SaveMenu, views: dict, *numbers: save_files.Numbers) -> None:
        laid.append((views, numbers[0] if numbers else None))
        add_views(self, views, *numbers)

    monkeypatch.setattr(save.SaveMenu, "add_views", seen)
    return laid


def opened(page: str = "all_heads", **params: object) -> AppTest:
    return open_page(page, menus=True, **params)


def codes(page: AppTest, beginning: str) -> list[str]:
    return [block.value for block in page.code if block.value.startswith(beginning)]


def problems(page: AppTest) -> list[tuple[str, str]]:
    return re.findall(r'<div class="hl-problem" role="alert"><b>(.*?)</b><span>(.*?)</span>', html(page))


def labels(page: AppTest) -> list[str]:
    """The buttons of Save: two whose picture the browser draws, and downloads."""
    drawn = [button.label for button in page.button if (button.key or "").startswith("picture_")]
    return drawn + [button.label for button in page.get("download_button")]


# --- Share ---------------------------------------------------------------------------------------------------------


def test_the_link_is_short_and_nothing_else_is_needed_to_come_back() -> None:
    page = opened(text="naïve ☕ & <b>", layer=2, head=5, specials="hide")
    (link,) = codes(page, "?")
    said = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    assert said["v"] == "1" and said["text"] == "naïve ☕ & <b>" and said["specials"] == "hide"
    assert said.keys() == {"v", "model", "text", "layer", "head", "query", "specials"}  # the rest has its default
    again = opened(**said)
    assert codes(again, "?") == [link]
    assert dict(again.query_params) == dict(page.query_params)
    assert notes(again) == ""


def test_the_frame_holds_the_same_link_embedded() -> None:
    page = opened(layer=1)
    (frame,) = codes(page, "<iframe")
    element = ElementTree.fromstring(frame)
    (link,) = codes(page, "?")
    assert element.attrib["src"] == f"{link}&embed=true" and element.attrib["title"]


def modules(svg: str) -> set[tuple[int, int]]:
    """The dark modules of a drawn QR code, (row, column), read from its SVG path; the border is not counted."""
    (path,) = re.findall(r"class='qrline'[^>]* d='([^']+)'", svg)
    dark, x, y = set(), 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            dark |= {(int(y), int(x) + i) for i in range(int(values[0]))}
            x += values[0]
    return {(row - 4, column - 4) for row, column in dark}


def test_the_qr_code_that_is_drawn_is_that_of_the_link_and_has_a_name() -> None:
    page = opened(layer=3)
    (link,) = codes(page, "?")
    ((source, alt),) = re.findall(r'<img src="(data:image/svg\+xml[^"]+)" alt="([^"]+)"', html(page))
    matrix = segno.make(link, error="l", micro=False).matrix
    wanted = {(y, x) for y, row in enumerate(matrix) for x, bit in enumerate(row) if bit}
    assert modules(unquote(source)) == wanted and "QR code" in alt


def test_a_view_that_no_link_can_hold_offers_a_file_instead() -> None:
    page = opened()
    page.text_area(key="text").input("naïve " * 1500).run()
    assert "Save, then HTML" in notes(page)
    assert codes(page, "?") == [] and codes(page, "<iframe") == []
    page.text_area(key="text").input("ü" * 2000).run()  # short as text, long as an address
    assert "refuse more than 8,000" in notes(page) and codes(page, "?") == []


def test_an_embedded_view_has_no_menu_no_examples_and_one_way_back() -> None:
    page = opened(embedded=True, layer=1)
    assert codes(page, "?") == [] and labels(page) == []
    assert not [button for button in page.button if (button.key or "").startswith("example_")]
    ((href, name),) = re.findall(r'<div class="hl-full"><a href="([^"]+)"[^>]*>(?:<[^>]*>)*([^<]+)</a>', html(page))
    assert name == "Headlight" and dict(parse_qsl(urlsplit(unescape(href)).query))["layer"] == "1"


@pytest.mark.parametrize("page_name", ["all_heads", "word_senses", "compare_heads", "cross_attention"])
def test_an_embedded_view_suggests_nothing_else(page_name: str) -> None:
    said = re.compile("Try:|Start from:")
    assert not said.search(html(opened(page_name, embedded=True))) and said.search(html(opened(page_name)))


def test_embed_in_a_link_is_no_stranger() -> None:
    assert notes(opened(embedded=True, embed="true", v=1, layer=1)) == ""


# --- Save ----------------------------------------------------------------------------------------------------------


def test_all_heads_offers_exactly_what_it_shows(offered: list) -> None:
    page = opened(layer=2, head=4, query=3, unit="words", specials="hide", queries="columns", scale="linear")
    assert labels(page) == FILES
    view = offered[-1][0][""]
    assert (view.layer, view.head, view.query) == (2, 4, 3)
    assert view.words and view.hide_sink and view.queries_in == "columns" and view.scale == "linear"
    assert view.link["specials"] == "hide" and "head 2.4" in html(page)
    rows = list(csv.reader(io.StringIO(files.content(view, "csv").decode())))
    assert float(rows[1][4]) == pytest.approx(float(view.pattern[0, 0]), abs=1e-7)
    assert save_files.file_name(view, "png") == "headlight-minilm-head-2.4.png"


def test_nothing_is_made_before_a_button_is_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    for maker in ("content", "for_paper", "rendered"):
        monkeypatch.setattr(files, maker, lambda *_: pytest.fail("made although nobody asked"))
    assert labels(opened()) == FILES


def test_the_lines_of_python_give_the_pattern_on_screen(offered: list) -> None:
    page = opened(layer=1, head=9)
    (lines,) = codes(page, "import attn_core")
    names: dict = {}
    exec(lines, names)
    assert np.allclose(names["view"].pattern, offered[-1][0][""].pattern, atol=1e-6)


@pytest.mark.parametrize("page_name", ["step_by_step", "delta_e", "find_heads"])
def test_pages_about_heads_offer_the_chosen_one(page_name: str, offered: list) -> None:
    page = open_page(page_name, menus=True, layer=2, head=4, query=3)
    views, numbers = offered[-1]
    assert (views[""].layer, views[""].head, views[""].query, views[""].page) == (2, 4, 3, page_name)
    assert labels(page)[: len(FILES)] == FILES
    if page_name == "delta_e":
        table = list(csv.reader(io.StringIO(numbers.make())))
        embedding, final = (np.array(row[4:], float) for row in (table[1], table[-1]))
        trace = views[""].trace
        assert np.allclose(embedding, trace.embedding(2)[3]) and np.allclose(final, trace.embedding(3)[3])
        assert len(table) > 12


def test_a_translation_offers_its_cross_attention(offered: list) -> None:
    open_page("cross_attention", menus=True)
    view = offered[-1][0][""]
    assert view.stream == "cross" and view.pattern.shape == tuple(map(len, view.trace.tokens_of("cross")))


def test_a_comparison_offers_each_panel_and_the_numbers_of_all(offered: list) -> None:
    open_page("compare_heads", menus=True, text=STARTER, layer=0, head=3, head_b=2, text_b="")
    views, numbers = offered[-1]
    assert {letter: view.head for letter, view in views.items()} == {"A": 3, "B": 2}
    table = list(csv.reader(io.StringIO(numbers.make())))
    asked = next(row for row in table if row[:4] == ["4", "creature", "2", "fluffy"])
    assert [float(cell) for cell in asked[4:]] == pytest.approx([float(v.pattern[4, 2]) for v in views.values()])


def test_panels_that_are_no_pattern_of_one_pass_are_in_the_numbers_alone(offered: list) -> None:
    open_page("compare_heads", menus=True, text=STARTER, shows_b="shuffled", text_b="")
    views, numbers = offered[-1]
    assert list(views) == ["A"] and "shuffled" in numbers.make().partition("\n")[0]


@pytest.mark.parametrize(("page_name", "holds"), [("word_senses", "after layer 5"), ("parameters", "total")])
def test_pages_whose_picture_is_no_pattern_offer_its_numbers(page_name: str, holds: str, offered: list) -> None:
    page = open_page(page_name, menus=True)
    ((views, numbers),) = [laid for laid in offered if laid[1] is not None]
    assert not views and holds in numbers.make() and "CSV" in labels(page)


def picture_wish(page: AppTest) -> dict | None:
    """What the browser is asked to draw."""
    (component,) = [c.proto for c in page.get("bidi_component") if "picture_file" in c.proto.id]
    return json.loads(component.json) if component.json else None


def test_a_picture_is_described_for_the_browser_and_drawn_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(layer=2, head=4)
    assert picture_wish(page) is None
    page.button(key="picture_png").click().run()
    wish = picture_wish(page)
    figure = go.Figure(json.loads(wish["spec"]))  # Plotly's own classes find nothing wrong with it
    assert figure.layout.width == 760 and "minilm" in figure.layout.title.text
    assert (wish["kind"], wish["size"]["scale"], wish["size"]["width"]) == ("png", 3, 760)
    assert wish["name"] == "headlight-minilm-head-2.4.png" and "/media/" in wish["script"]
    page.run()
    assert picture_wish(page)["number"] == wish["number"]  # sent again, and drawn once: this run may have ended that
    monkeypatch.setattr(save_pictures, "LONGEST_WAIT", 0)
    assert picture_wish(page.run()) is None
    monkeypatch.undo()
    page.button(key="picture_svg").click().run()
    again = picture_wish(page)
    assert again["number"] > wish["number"] and (again["kind"], again["size"]["scale"]) == ("svg", 1)
    assert again["script"] == wish["script"]  # the browser has it already


def test_a_picture_that_was_changed_a_moment_before_arrives_as_it_is_now() -> None:
    """The click meets the next view: its pattern has another name, and the wish for the old one was never fulfilled."""
    page = opened(layer=2, head=4)
    page.selectbox(key="head").select(5)
    page.button(key="picture_png").click()
    wish = picture_wish(checked(page.run()))
    assert wish is not None and wish["name"] == "headlight-minilm-head-2.5.png"
    assert "head 2.5" in json.loads(wish["spec"])["layout"]["title"]["text"].replace("<br>", " ")


def test_a_saved_picture_stands_under_the_page_s_headline_and_comes_as_a_slide_too() -> None:
    page = opened(layer=2, head=4)
    headline = page.session_state["_gallery"].headline.replace("\u00a0", " ")
    page.button(key="picture_svg").click().run()
    above = [words["text"] for words in json.loads(picture_wish(page)["spec"])["layout"]["annotations"]]
    assert headline and headline in " ".join(above).replace("<br>", " ")
    page.button(key="picture_slide").click().run()
    slide = picture_wish(page)
    layout = json.loads(slide["spec"])["layout"]
    assert slide["name"] == "headlight-minilm-head-2.4-slide.png" and slide["kind"] == "png"
    assert layout["width"] / layout["height"] == pytest.approx(16 / 9, rel=0.01)
    assert slide["size"]["scale"] * layout["width"] == pytest.approx(1920)
    assert headline in layout["title"]["text"].replace("<br>", " ")


@pytest.mark.parametrize("page_name", ["all_heads", "lesson", "delta_e"])
def test_the_presenter_s_size_has_one_switch_on_every_page(page_name: str) -> None:
    assert [toggle.label for toggle in opened(page_name).toggle].count(LARGE.label) == 1


def test_a_long_description_is_fetched_and_not_sent_with_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_file, "LONGEST_ON_SOCKET", 1_000)
    page = opened()
    page.button(key="picture_svg").click().run()
    wish = picture_wish(page)
    assert "spec" not in wish and wish["address"].endswith(".json") and len(json.dumps(wish)) < 1_000


def test_closed_menus_make_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, maker in ((View, "caption"), (View, "as_python"), (share, "qr_picture"), (share, "frame_of")):
        monkeypatch.setattr(owner, maker, lambda *_: pytest.fail("made although nobody opened the menu"))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    assert labels(checked(page.run())) == []


# --- Open a saved view ---------------------------------------------------------------------------------------------


def upload(page: AppTest, content: bytes | str, name: str = "view.html") -> AppTest:
    body = content.encode() if isinstance(content, str) else content
    page.file_uploader[0].set_value((name, body, "text/html"))
    return checked(page.run())


def test_a_saved_view_opens_again_and_the_next_one_too(offered: list) -> None:
    opened(text="one mole of carbon dioxide", layer=4, head=7, specials="hide")
    file = files.content(offered[-1][0][""], "html")
    page = upload(opened(), file)
    assert page.text_area(key="text").value == "one mole of carbon dioxide"
    shown = offered[-1][0][""]
    assert (shown.layer, shown.head, shown.hide_sink) == (4, 7, True)
    assert notes(page) == "" and problems(page) == []
    page.selectbox(key="layer").select(1).run()
    assert offered[-1][0][""].layer == 1  # the file does not open itself for ever
    assert upload(page, file).selectbox(key="layer").value == 4


def test_a_trace_that_was_kept_in_python_opens_on_its_page(tmp_path: Path) -> None:
    file = tmp_path / "x.headlight"
    trace = ac.trace(ac.load("minilm"), ("the bird sang", "nobody did"), without=[(0, 3)])
    trace.save(file)
    page = upload(opened(), file.read_bytes(), file.name)
    assert [page.text_area(key=name).value for name in ("text", "second_text")] == ["the bird sang", "nobody did"]
    assert page.session_state["off"] == ((0, 3),) and problems(page) == []
    assert "other weights" not in notes(page)
    damaged = file.read_bytes()
    page = upload(opened(layer=1), damaged[:-5] + bytes(5), file.name.upper())
    assert "This saved trace is damaged" in problems(page)[0][1] and page.selectbox(key="layer").value == 1


def test_a_trace_of_other_weights_is_said_to_be_so_while_its_sentence_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the model has been published anew since: the file has the hash of the weights that it was made with."""
    with monkeypatch.context() as before:
        before.setattr(contents, "weights_hash", lambda _: "0" * 64)
        ac.trace(ac.load("minilm"), "the bird sang").save(tmp_path / "x.headlight")
    page = upload(opened(), (tmp_path / "x.headlight").read_bytes(), "x.headlight")
    said = "The trace in this file was made with other weights of minilm than those that are here"
    assert said in notes(page) and page.text_area(key="text").value == "the bird sang"
    page.text_area(key="text").input("another sentence").run()
    assert said not in notes(page)


def test_a_sentence_that_no_link_can_hold_comes_back_with_its_file(offered: list) -> None:
    long = "fluffy " * 1000
    page = opened()
    page.text_area(key="text").input(long).run()
    file = files.content(offered[-1][0][""], "html")
    assert upload(opened(), file).text_area(key="text").value == long


@pytest.mark.parametrize(
    "content",
    [
        "<html>not ours</html>",
        "",
        b"\xff\xfe\x00",
        f'{OURS}{{"page": "../../etc/passwd", "link": {{}}, "caption": ""}}</script>',
        f'{OURS}{{"page": "nowhere", "link": {{}}, "caption": ""}}</script>',
        f'{OURS}{{"page": "all_heads", "link": {{"embed": "1"}}, "caption": ""}}</script>',
        f'{OURS}{{"page": "all_heads", "link"',
    ],
)
def test_a_foreign_or_damaged_file_gets_one_clear_sentence(content: bytes | str) -> None:
    page = upload(opened(layer=1), content)
    (said,) = problems(page)
    assert said[0] == "This file cannot be opened" and "saved view" in said[1]
    assert page.selectbox(key="layer").value == 1


def test_a_file_that_is_too_large_or_no_page_is_not_taken() -> None:
    box = opened().file_uploader[0]
    assert box.proto.max_upload_size_mb == settings().upload_mb and box.allowed_type == [".html", ".headlight", ".htm"]


def test_a_file_that_came_too_large_all_the_same_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "read", lambda content: pytest.fail("read"))
    page = upload(opened(), bytes(settings().upload_mb * 2**20 + 1))
    assert problems(page) == [("This file cannot be opened", "A saved view has at most 6 MB, and this file is larger.")]


def test_a_frame_cannot_be_broken_out_of() -> None:
    assert "<script" not in share.frame_of('?text="><script>')


@pytest.mark.parametrize("wrong", ["two words", "x){}*{", "</style><b>", "x" * 31, "é", "9"])
def test_in_a_frame_a_card_that_is_no_name_is_left_aside(wrong: str) -> None:
    page = open_page("all_heads", embedded=True, card=wrong)
    assert "cannot be shown" in notes(page) and "This link's card=" in notes(page)
    assert "<style>.stMainBlockContainer:has(" not in html(page)


def test_in_a_frame_one_card_is_shown_alone_and_on_the_page_itself_none_is() -> None:
    alone = "<style>.stMainBlockContainer:has(.st-key-card_head)"
    assert alone in html(open_page("all_heads", embedded=True, card="head"))
    assert alone not in html(open_page("all_heads", card="head"))
