"""The translator's page: every number it draws, judged by the library's eager model on the shipped weights."""

from __future__ import annotations

import json
import re
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import families
import numpy as np
import pytest
import torch
import transformers as tf
from page_driver import ROOT, array, checked, html, lead, load, open_page, text
from streamlit.testing.v1 import AppTest

from attn_core.models.cards import card_of
from attn_core.prediction import translation
from attn_core.text.numbers import percent
from ui.server import loading, passes

ENGLISH = "the small blue car sees a white horse"
FRENCH = "la petite voiture bleue voit un cheval blanc"
BEST = card_of("tiny-translator").best_head
WHO = f"head {BEST[0]}.{BEST[1]}"
opened = partial(open_page, "cross_attention")
CROSS, ENCODER, DECODER = 0, 1, 2  # the order of the Plotly pictures


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load("tiny-translator")


@pytest.fixture(scope="module")
def judge() -> dict[str, np.ndarray]:
    """The library's three kinds of attention, each [layer, head, query, key]."""
    folder = ROOT / "assets" / "models" / "tiny-translator"
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    model = tf.AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager").eval()
    french = [tokenizer.bos_token_id, *tokenizer(text_target=FRENCH).input_ids[:-1]]
    with torch.no_grad():
        out = model(
            input_ids=torch.tensor([tokenizer(ENGLISH).input_ids]),
            decoder_input_ids=torch.tensor([french]),
            output_attentions=True,
        )
    return {
        "encoder": torch.cat(out.encoder_attentions).numpy(),
        "decoder": torch.cat(out.decoder_attentions).numpy(),
        "cross": torch.cat(out.cross_attentions).numpy(),
    }


def ran(page: AppTest) -> AppTest:
    return checked(page.run())


def picture(page: AppTest, number: int) -> dict[str, object]:
    return json.loads(page.get("plotly_chart")[number].proto.spec)["data"][0]


def cells(page: AppTest, number: int) -> np.ndarray:
    return array(picture(page, number)["z"])


def names(page: AppTest, number: int, axis: str) -> list[str]:
    return [unescape(str(name)).rsplit(" (", 1)[0] for name in picture(page, number)[axis]]  # type: ignore[attr-defined]


# --- What it says -----------------------------------------------------------------------------------------------------


def test_it_opens_by_itself_on_the_models_own_translation(judge: dict[str, np.ndarray]) -> None:
    page = opened()
    car, blue = (percent(float(judge["cross"][BEST][row, key])) for row, key in ((2, 3), (3, 2)))
    assert lead(page) == f"To write voiture, {WHO} looks at car ({car}), then back at blue for bleue ({blue})."
    assert f"English to French, the model's own translation: {FRENCH}" in text(page)
    assert "✓ checked" in text(page)
    assert "may be of one kind" not in text(page) and "transcribes speech looks from words into a recording" in text(
        page
    )


@pytest.mark.parametrize(("layer", "head"), [BEST, (0, 3), (1, 0)])
def test_all_three_maps_hold_the_librarys_numbers(judge: dict[str, np.ndarray], layer: int, head: int) -> None:
    page = opened(cross_layer=layer, cross_head=head)
    for number, kind in ((CROSS, "cross"), (ENCODER, "encoder"), (DECODER, "decoder"), (3, "cross")):
        found = cells(page, number)
        hidden = np.isnan(found)
        assert np.abs(np.where(hidden, 0, found) - judge[kind][layer, head]).max() < 1e-5
        assert np.array_equal(hidden, np.triu(np.ones_like(hidden), 1) if kind == "decoder" else hidden & False)


def test_rows_are_named_by_what_they_produce_or_by_what_they_read() -> None:
    page = opened()
    assert names(page, CROSS, "y") == [*FRENCH.split(), "</s>"]
    assert names(page, CROSS, "x") == [*ENGLISH.split(), "</s>"]
    assert names(page, DECODER, "y") == [*FRENCH.split(), "</s>"]
    assert names(page, DECODER, "x") == ["<s>", *FRENCH.split()]
    assert "named by the word that it produces" in text(page)
    before = cells(page, CROSS)
    page.button_group(key="rows").set_value("read")
    ran(page)
    assert names(page, CROSS, "y") == ["<s>", *FRENCH.split()]
    assert np.array_equal(cells(page, CROSS), before)
    assert "has just read" in text(page)


def test_the_alignment_is_the_largest_weight_of_one_head_or_of_a_mean(judge: dict[str, np.ndarray]) -> None:
    table = opened().dataframe[0].value
    own = judge["cross"][BEST]
    assert list(table["written"]) == [*FRENCH.split(), "</s>"]
    keys = [*ENGLISH.split(), "</s>"]
    assert list(table["came from"]) == [keys[i] for i in own.argmax(axis=1)]
    np.testing.assert_allclose(table["weight"], 100 * own.max(axis=1), atol=1e-3)

    page = opened(align="0.3,1.0")
    mean = (judge["cross"][0, 3] + judge["cross"][1, 0]) / 2
    assert list(page.dataframe[0].value["came from"]) == [keys[i] for i in mean.argmax(axis=1)]
    np.testing.assert_allclose(page.dataframe[0].value["weight"], 100 * mean.max(axis=1), atol=1e-3)
    assert page.multiselect(key="align").value == ["0.3", "1.0"]
    assert "<b>hidden, joined or averaged " in html(page) and "<b>hidden, joined" not in html(opened())


def test_crossing_lines_are_counted_without_the_end_sign() -> None:
    assert "2 pairs of neighbouring lines cross." in text(opened())
    assert "No lines cross" in text(opened(source="the small car sees the old horse"))


def test_a_target_of_ones_own_is_read_not_written() -> None:
    page = opened(translation="le cheval blanc voit la voiture", row=4)
    assert "English to French, your translation as read: le cheval blanc voit la voiture" in text(page)
    assert names(page, CROSS, "y") == ["le", "cheval", "blanc", "voit", "la", "voiture", "</s>"]
    assert cells(page, CROSS).shape == (7, 9)


def test_new_words_are_carried_over_marked_and_explained() -> None:
    page = opened(source="my small Zorple does not see the old blick")
    assert "mon petit Zorple° ne voit pas le vieux blick°" in text(page)
    assert "Zorple, blick: this model has not met these words (°)" in text(page)
    assert "has not met" not in text(opened())
    page = opened(source="a blick Zorple eats a wug", translation="un zorple Blick mange la tove")
    assert names(page, CROSS, "y") == ["un", "zorple°", "Blick°", "mange", "la", "tove°", "</s>"]
    assert "blick, Zorple, wug, tove: this model has not met these words (°)" in text(page)
    assert "some words share one" not in text(page)
    assert "It has 4, so some words share one." in text(opened(source="aa bb cc dd ee"))


def test_the_vocabulary_and_fitting_sentences_are_offered() -> None:
    page = opened()
    assert "Adjectives behind it" in text(page) and "european" in text(page)
    page.button(key="example_1").click()
    ran(page)
    assert page.text_area(key="source").value == "the european economic area"
    assert "la zone économique européenne" in text(page)
    assert lead(page).startswith("To write")


def test_a_way_to_the_clearest_head() -> None:
    assert not [button for button in opened().button if button.key == "clearest"]  # the page opens on a clear one
    page = opened(cross_layer=0, cross_head=1)
    page.button(key="clearest").click()
    ran(page)
    trace = passes.trace(loading.model("tiny-translator"), ENGLISH, target=FRENCH).value()
    assert (page.session_state["cross_layer"], page.session_state["cross_head"]) == translation.best_alignment_head(
        trace.stream("cross")
    )
    assert not [button for button in page.button if button.key == "clearest"]


def test_delta_e_of_the_open_head_adds_up(judge: dict[str, np.ndarray]) -> None:
    page = opened(row=2)
    assert "What cross-attention adds for voiture" in text(page)
    (table,) = re.findall(r'<table class="hl-bars">.*?</table>', html(page), flags=re.S)
    rows = [re.findall(r"<b>(.*?)</b>", unescape(row)) for row in re.findall(r"<tr.*?</tr>", table, flags=re.S)[1:]]
    assert [row[0] for row in rows] == [percent(float(weight)) for weight in judge["cross"][BEST][2]]
    along = [float(row[2].replace("\N{MINUS SIGN}", "-")) for row in rows]
    size = np.linalg.norm(
        passes.trace(loading.model("tiny-translator"), ENGLISH, target=FRENCH).value().delta_e(*BEST, stream="cross")[2]
    )
    assert sum(along) == pytest.approx(float(size), abs=0.05)
    assert int(np.argmax(along)) == 3  # car


def test_other_pages_take_the_two_sentences_and_the_head_along() -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    page.switch_page("pages/cross_attention.py")
    page.query_params["row"] = "3"
    ran(page)
    links = [link.proto for link in page.get("page_link") if link.proto.label == "its ΔE, number by number"]
    said = parse_qs(links[0].query_string)
    assert {name: said[name] for name in ("model", "text", "stream", "layer", "head", "query")} == {
        "model": ["tiny-translator"], "text": [ENGLISH], "stream": ["cross"],
        "layer": [str(BEST[0])], "head": [str(BEST[1])], "query": ["3"],
    }  # fmt: skip


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_translators_of_other_families_open_from_a_folder(family: str, tmp_path: Path) -> None:
    """Random ones, whose decoder is deeper than its encoder: 2 + 3 layers of 4 heads."""
    families.save(family, tmp_path)
    theirs = tf.AutoModelForSeq2SeqLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    page = opened(
        translator=str(tmp_path), source="one grey fox", translation="un renard gris", cross_layer=2, cross_head=3
    )
    tokenizer = tf.AutoTokenizer.from_pretrained(tmp_path)
    written = tokenizer("un renard gris").input_ids[:-1]
    start = theirs.config.decoder_start_token_id
    with torch.no_grad():
        out = theirs(
            input_ids=torch.tensor([tokenizer("one grey fox").input_ids]),
            decoder_input_ids=torch.tensor([[start, *written]]),
            output_attentions=True,
        )
    for number, maps, layer in ((CROSS, out.cross_attentions, 2), (ENCODER, out.encoder_attentions, 1)):
        assert np.abs(cells(page, number) - maps[layer][0, 3].numpy()).max() < 1e-5
    assert "Your translation, as read" in text(page) and "Words it knows" not in text(page)


# --- Links and bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [(2, 4), (4, 2)])
def test_stacks_of_different_size_show_each_its_own(heads: tuple[int, int], tmp_path: Path) -> None:
    config = families.FAMILIES["bart"].config()
    config.encoder_layers, config.decoder_layers = 3, 2
    config.encoder_attention_heads, config.decoder_attention_heads = heads
    torch.manual_seed(0)
    tf.BartForConditionalGeneration(config).save_pretrained(tmp_path)
    families.word_tokenizer().save_pretrained(tmp_path)
    page = opened(translator=tmp_path, source=families.TEXT, translation=families.TARGET, cross_layer=2, cross_head=3)
    assert "cannot be shown" not in text(page) and "✓ checked" in text(page)
    encoder, decoder = min(3, heads[0] - 1), min(3, heads[1] - 1)
    assert f"Layer 2, head {encoder}." in text(page) and text(page).count(f"Layer 1, head {decoder}.") == 2
    trace = passes.trace(loading.model(str(tmp_path)), families.TEXT, target=families.TARGET).value()
    assert np.allclose(cells(page, ENCODER), trace.pattern(2, encoder, stream="encoder"), atol=1e-6)
    assert np.allclose(cells(page, CROSS), trace.pattern(1, decoder, stream="cross"), atol=1e-6)


def test_a_link_restores_the_view() -> None:
    page = opened(source="the european economic area", cross_layer=0, cross_head=1, row=1, rows="read", align="1.2")
    state = page.session_state
    assert (state["cross_layer"], state["cross_head"], state["row"], state["rows"]) == (0, 1, 1, "read")
    model, source = loading.model("tiny-translator"), "the european economic area"
    written = translation.greedy(model.value(), model.value().read(source)).ids
    row = passes.trace(model, source, target=written).value().pattern(0, 1, stream="cross")[1]
    assert lead(page) == f"To write zone, head 0.1 looks at area ({percent(float(row[3]))})." and row.argmax() == 3
    assert 'class="hl-note"' not in html(page)


@pytest.mark.parametrize(
    "wrong",
    [
        {"translator": "minilm"},
        {"translator": "no such model"},
        {"cross_layer": "9"},
        {"cross_head": "-1"},
        {"row": "x"},
        {"align": "7.7"},
        {"rows": "diagonal"},
    ],
)
def test_a_wrong_link_falls_back_and_says_so(wrong: dict[str, str]) -> None:
    page = opened(**wrong)
    assert next(iter(wrong)) in text(page) and 'class="hl-note"' in html(page)
    assert lead(page).startswith("To write voiture")


def test_a_row_beyond_the_sentence_is_no_row() -> None:
    assert lead(opened(row=40)).startswith("To write voiture")


def test_no_sentence_is_one_clear_sentence() -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "cross_attention.py"), default_timeout=300)
    page.query_params["source"] = "   "
    ran(page)
    assert "There is no word here yet" in text(page)
    assert page.text_area(key="source").value == "   "


@pytest.mark.parametrize("hostile", ["<b>car</b> $x$ **sees**", "🤗 שלום \u200b", "javascript:alert(1)", "x" * 3000])
def test_nothing_that_is_typed_becomes_markup(hostile: str) -> None:
    page = opened(source=hostile, translation=hostile)
    assert page.text_area(key="source").value == hostile
    assert "<b>car" not in html(page) and "javascript:" not in re.sub(r"[\w ]*</i>|>[^<]*<", "><", html(page))


def test_a_long_source_is_cut_visibly() -> None:
    long = " ".join(["the car sees a horse"] * 30)
    assert "The source was cut after 48 tokens, the limit: 103 more are not shown." in text(opened(source=long))
    assert "The target was cut after 48 tokens" in text(opened(translation=long))
