"""The teacher's kit: every figure is the model's, every link opens what it says, the worksheet has answers."""

import re
from html import unescape
from urllib.parse import parse_qs

import numpy as np
import pytest
from page_driver import checked, html, lead, load, open_page, text

import attn_core as ac
from attn_core.figures.paper.slide import PIXELS, as_slide, scale_of
from ui.server import loading
from ui.server.handles import ModelHandle
from ui.teachers_kit.views import KEYS, SAID, TIRED, VIEWS, WIDE, ReadyView


class Library:
    """A reader without a page."""

    def trace(self, text: str, model: str) -> ac.Trace:
        return ac.trace(load(model), text)

    def model(self, name: str) -> ModelHandle:
        load(name)
        return loading.model(name)


@pytest.fixture(scope="module")
def views() -> list[ReadyView]:
    return [make(Library()) for make in VIEWS]


def test_every_sentence_of_the_file_belongs_to_a_view(views) -> None:
    assert all(set(table) == {view.name for view in views} for table in SAID.entries.values())
    assert not any("{" in said for view in views for said in (view.title, view.says, view.question, view.answer))


def weight(text: str, layer: int, head: int, query: str, key: str) -> float:
    """Judged by the library's own eager attention."""
    import torch

    model = load("minilm")
    hf = model.hf
    ids = model.tokenizer(text, return_tensors="pt")
    before = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            pattern = hf(**ids, output_attentions=True).attentions[layer][0, head]
    finally:
        hf.set_attn_implementation(before)
    labels = model.tokenizer.convert_ids_to_tokens(ids["input_ids"][0])
    return float(pattern[labels.index(query), labels.index(key)])


@pytest.mark.parametrize(
    ("name", "text", "query", "keys"),
    [
        ("pronoun", TIRED, "it", ("animal", "street")),
        ("pronoun", WIDE, "it", ("animal", "street")),
        ("agreement", KEYS, "are", ("keys", "cabinet")),
    ],
)
def test_a_figure_is_what_the_model_itself_gives(views, name, text, query, keys) -> None:
    view = next(view for view in views if view.name == name)
    for key in keys:
        percents = [float(number) for number in re.findall(r"([\d.]+) %", view.says)]
        assert min(abs(number - 100 * weight(text, 3, 1, query, key)) for number in percents) < 0.5


def test_every_view_has_a_card_with_its_sentence_and_a_link(views) -> None:
    page = open_page("teachers_kit")
    said = text(page)
    assert all(view.title in said and view.says in said for view in views)
    assert said.count("Open this view") == len(views)


@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_a_view_opens_on_what_its_sentence_says(views, number) -> None:
    view = views[number]
    page = open_page(view.page, **view.params)
    if view.page == "all_heads":
        assert f"head {view.params['layer']}.{view.params['head']}" in lead(page)
    elif view.page == "patching":
        share = re.findall(r"\d+ %", view.says)[0]
        moves = f"its output from A, put into B, moves {share} of the answer from tom to anna."
        assert lead(page) == f"Head 0.2 carries most: {moves}"
    else:
        assert re.findall(r"\d\.\d\d|\d+,\d+,\d+", view.says)[-1] in text(page)


def test_the_worksheet_asks_first_and_answers_on_a_page_of_its_own(views) -> None:
    body = html(open_page("teachers_kit", sheet=1))
    asked, told = body.split('<section class="hl-sheet hl-answers">')
    asks, tells = (unescape(re.sub(r"<[^>]*>", "", part)) for part in (asked, told))
    for view in views:
        assert view.question in asks and view.answer not in asks
        assert view.answer in tells
    links = re.findall(r'href="[^"?]*\?([^"]+)"', asked)
    asked_for = [parse_qs(unescape(link)) for link in links[:3]]
    assert [int(each["query"][0]) for each in asked_for] == [view.params["query"] for view in views[:3]]


def test_a_slide_is_sixteen_to_nine_and_keeps_every_word_of_its_headline(views) -> None:
    for view in views:
        figure = view.paper() if view.paper else view.picture(theme="light").figure()
        slide = as_slide(figure, view.says, view.below)
        assert 9 * slide.layout.width == 16 * slide.layout.height  # in whole pixels
        assert scale_of(slide) * slide.layout.width == pytest.approx(PIXELS)
        said = slide.layout.title.text.replace("<br>", " ")
        assert said.split() == [*map(str, view.says.split())]


def test_markup_in_a_headline_stays_text() -> None:
    import plotly.graph_objects as go

    slide = as_slide(go.Figure(), "<b>x</b>", "<i>")
    assert "&lt;b&gt;" in slide.layout.title.text
    assert slide.layout.annotations[-1].text == "&lt;i&gt;"


def test_the_mean_of_one_word_back_is_the_diagonals(views) -> None:
    trace = Library().trace("a fluffy blue creature roamed the verdant forest", "minilm")
    share = float(np.diagonal(trace.pattern(0, 2), -1).mean())
    view = next(view for view in views if view.name == "one_back")
    assert abs(float(re.search(r"([\d.]+) %", view.says)[1]) - 100 * share) < 0.5


def test_a_slide_is_drawn_once_after_it_was_asked_for(views) -> None:
    page = open_page("teachers_kit")
    assert [part for part in page.get("bidi_component") if "agreement-slide.png" in str(part.proto)] == []
    page.button(key="slide_agreement").click()
    assert sum("agreement-slide.png" in str(part.proto) for part in checked(page.run()).get("bidi_component")) == 1
    assert not any("-slide.png" in str(part.proto) for part in checked(page.run()).get("bidi_component"))


def test_a_view_follows_the_word_of_its_sentence(views) -> None:
    words = {"pronoun": "it", "agreement": "are"}
    for view in (view for view in views if view.page == "all_heads"):
        labels = Library().trace(view.params["text"], view.params["model"]).tokens.labels
        assert labels[view.params["query"]] == words.get(view.name, "creature"), view.name


def test_the_circuits_figures_are_what_patches_move(views) -> None:
    a, b = (
        "anna and tom went to the market . tom gave a book to",
        "anna and tom went to the market . anna gave a book to",
    )
    effects = ac.patching(load("tiny-decoder"), a, b, ("anna", "tom")).sort_values("effect", ascending=False)
    (view,) = [view for view in views if view.name == "circuit"]
    said = [f"{row.layer}.{row.head}" for row in effects.head(2).itertuples()]
    assert re.findall(r"head (\d\.\d)", view.says) == said
    shares = [f"{100 * effect:.0f} %" for effect in effects.effect[:3]]
    assert re.findall(r"\d+ %", view.says) == shares
    drawn = view.picture(theme="light").figure()
    assert [note.text for note in drawn.layout.annotations].count(shares[0]) == 1
    np.testing.assert_allclose(np.array(drawn.data[0].z).ravel(), effects.sort_index().effect)


def test_a_frame_shows_the_head_alone() -> None:
    page = open_page("teachers_kit")
    page.session_state["frame_agreement"] = True
    (said,) = [block.value for block in checked(page.run()).code]
    assert "embed=true" in said and "card=head" in said and "text=the+keys+to+the+cabinet" in said
