"""Compare, run as a page: panels, differences, all heads at once, baselines, links, translators and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html import unescape

import numpy as np
import pandas as pd
import pytest
from page_driver import checked, html, lead, load, notes, open_page, packets, text
from scipy.spatial.distance import jensenshannon
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.heads import ablation, baselines, compare
from attn_core.heads.summary import summarise_head
from attn_core.models.sources import bundled_folder
from attn_core.traces.parity import Parity
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

ARE, IS = "the keys to the cabinet are on the table", "the keys to the cabinet is on the table"
opened = partial(open_page, "compare_heads")


def titles(page: AppTest) -> list[str]:
    return [panel["title"] for panel in packets(page)["side_by_side"][0]["panels"]]


def panels(page: AppTest) -> np.ndarray:
    return packets(page)["side_by_side"][1]


def frame(page: AppTest, column: str) -> pd.DataFrame:
    return next(f.value for f in page.dataframe if column in f.value)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The judge's distance of rows; where they are equal its divergence may round to −1e-17, whose root is NaN."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(jensenshannon(a.astype(float), b.astype(float), axis=-1, base=2))


def test_two_sentences_of_one_model_lead_to_patching_and_two_heads_do_not() -> None:
    asks = "Which head carries the difference between these two sentences?"
    assert asks in html(opened()) and asks not in html(opened(text_b=ARE, head_b="4"))


# --- Two sentences ----------------------------------------------------------------------------------------------------


def test_the_first_screen_is_a_minimal_pair() -> None:
    page = opened()
    model = load("minilm")
    a, b = ac.trace(model, ARE), ac.trace(model, IS)
    assert titles(page) == ["A · head 0.3", "B · head 0.3", "A − B"]
    drawn = panels(page)
    np.testing.assert_allclose(drawn[0], a.pattern(0, 3), atol=1e-6)
    np.testing.assert_allclose(drawn[1], b.pattern(0, 3), atol=1e-6)
    np.testing.assert_allclose(drawn[2], a.pattern(0, 3) - b.pattern(0, 3), atol=1e-6)
    header = packets(page)["side_by_side"][0]
    assert [panel["query_labels"][6] for panel in header["panels"]] == ["are", "is", "are/is"]

    judged = np.array(
        [[apart(a.pattern(layer, head), b.pattern(layer, head)).mean() for head in range(12)] for layer in range(6)]
    )
    np.testing.assert_allclose(packets(page)["all_heads"][0]["values"], judged, atol=1e-5)
    layer, head = np.unravel_index(judged.argmax(), judged.shape)
    assert lead(page) == (
        f"When are becomes is, head {layer}.{head} changes most (distance {judged.max():.2f}); "
        f"head 0.3 changes by {judged[0, 3]:.2f}."
    )
    ranked = next(f.value for f in page.dataframe if list(f.value) == ["head", "distance"])
    assert ranked["head"][0] == f"{layer}.{head}" and ranked["distance"].is_monotonic_decreasing


def test_what_differs_is_told_by_query_and_overall() -> None:
    page = opened(layer=3, head=1)
    model = load("minilm")
    a, b = (ac.trace(model, text).pattern(3, 1) for text in (ARE, IS))
    rows = apart(a, b)
    shown = next(f.value for f in page.dataframe if list(f.value) == ["query", "distance"])
    np.testing.assert_allclose(shown["distance"], rows, atol=1e-5)
    assert shown["query"][6] == "are/is (6)"
    strip = re.search(r"<strong>([\d.]+)</strong>distance of A and B", html(page))
    assert strip and float(strip[1]) == pytest.approx(rows.mean(), abs=0.006)
    r = re.search(r"<strong>(−?[\d.]+)</strong>correlation", html(page))
    assert r and float(r[1].replace("−", "-")) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=0.006)
    most = int(rows.argmax())
    assert f"<strong>{shown['query'][most]}</strong>differs most" in html(page)
    measures = frame(page, "on the sink")
    sink = a[1:-1][:, [0, 10]].sum(axis=1).mean()
    assert measures["on the sink"][0] == pytest.approx(100 * sink, rel=1e-4)
    entropies = [-(row[row > 0] * np.log2(row[row > 0])).sum() for row in a[1:-1]]
    assert measures["entropy"][0] == pytest.approx(np.mean(entropies), rel=1e-4)


def test_two_heads_on_two_sentences_are_not_said_to_be_one() -> None:
    page = opened(head_b="4")
    model = load("minilm")
    a, b = ac.trace(model, ARE), ac.trace(model, IS)
    apart_ = np.array([[apart(a.pattern(n, h), b.pattern(n, h)).mean() for h in range(12)] for n in range(6)])
    layer, most = np.unravel_index(apart_.argmax(), apart_.shape)
    rows = apart(a.pattern(0, 3), b.pattern(0, 4))
    assert lead(page) == (
        f"When are becomes is, head {layer}.{most} changes most (distance {apart_.max():.2f}); "
        f"head 0.3 and head 0.4 are {rows.mean():.2f} apart."
    )


def test_an_inserted_word_leaves_a_gap() -> None:
    page = opened(text="a blue creature sleeps", text_b="a fluffy blue creature sleeps", layer=1, head=9)
    header, drawn = packets(page)["side_by_side"]
    assert header["panels"][0]["query_labels"] == ["[CLS]", "a", None, "blue", "creature", "sleeps", "[SEP]"]
    assert header["panels"][1]["key_labels"][2] == "fluffy"
    own = ac.trace(load("minilm"), "a blue creature sleeps").pattern(1, 9)
    here = [0, 1, 3, 4, 5, 6]
    np.testing.assert_allclose(drawn[0][np.ix_(here, here)], own, atol=1e-6)
    assert np.isnan(drawn[0][2]).all() and np.isnan(drawn[2][:, 2]).all()
    assert header["limit"] < 0.5, "what only one sentence has is no difference to be coloured"
    assert "fluffy (2)" not in frame(page, "query")["query"].tolist()
    both = [ac.trace(load("minilm"), said) for said in ("a blue creature sleeps", "a fluffy blue creature sleeps")]
    far = np.array([[gap(both, layer, head) for head in range(12)] for layer in range(6)])
    most = ".".join(map(str, np.unravel_index(far.argmax(), far.shape)))
    assert lead(page) == (
        f"With fluffy added, head {most} changes most (distance {far.max():.2f}); head 1.9 changes by {far[1, 9]:.2f}."
    )


def gap(both: list[ac.Trace], layer: int, head: int) -> float:
    """How far a head's rows of the words that both sentences have are apart, without the word that only B has."""
    shorter, longer = (trace.pattern(layer, head) for trace in both)
    here = [0, 1, 3, 4, 5, 6]
    wide = np.zeros_like(longer)
    wide[np.ix_(here, here)] = shorter
    return float(apart(wide[here], longer[here]).mean())


def test_sentences_without_a_common_word_say_so() -> None:
    page = opened(model="tiny-decoder", text="shy", text_b="oxygen")
    assert lead(page)
    page = opened(text="a", text_b="fox")  # the special tokens are common
    assert len(frame(page, "query")) >= 2


def test_b_follows_the_sentence_of_a_until_it_has_its_own() -> None:
    page = opened()
    checked(page.text_area(key="text").set_value("one grey fox").run())
    assert page.session_state["text_b"] == "" and "When" not in lead(page)
    assert [panel["note"] for panel in packets(page)["side_by_side"][0]["panels"]][1] == "MiniLM · “one grey fox”"
    checked(page.text_area(key="text_b").set_value("one red fox").run())
    checked(page.text_area(key="text").set_value("one blue fox").run())
    assert page.session_state["text_b"] == "one red fox", "what was typed stays"


# --- Two heads, two models, baselines ---------------------------------------------------------------------------------


def test_heads_like_this_one() -> None:
    page = opened(text_b="", head_b=4)
    trace = ac.trace(load("minilm"), ARE)
    assert titles(page)[:2] == ["A · head 0.3", "B · head 0.4"]
    this = trace.pattern(0, 3)
    judged = np.array([[apart(this, p).mean() for p in trace.patterns(layer)] for layer in range(6)])
    np.testing.assert_allclose(packets(page)["all_heads"][0]["values"], 1 - judged, atol=1e-5)
    assert "How near every head of B's model is to it." in html(page).replace("&#x27;", "'").replace("&#39;", "'")
    ranked = frame(page, "nearness")
    assert "0.3" not in ranked["head"].tolist() and len(ranked) == 71, "a head is not its own neighbour"
    judged[0, 3] = np.inf
    layer, head = np.unravel_index(judged.argmin(), judged.shape)
    assert ranked["head"].iloc[0] == f"{layer}.{head}"
    rows = apart(this, trace.pattern(0, 4))
    asks = ["[CLS]", "the", "keys", "to", "the", "cabinet", "are", "on", "the", "table", "[SEP]"][int(rows.argmax())]
    place = f" ({int(rows.argmax())})" if asks == "the" else ""
    assert lead(page) == f"Head 0.3 and head 0.4 are {rows.mean():.2f} apart, most when {asks}{place} asks."


@pytest.mark.parametrize(
    ("link", "title", "equal"),
    [
        ({}, "How much every head changed between A and B", 0),
        ({"text_b": "", "head_b": 4}, "Heads like A's head 0.3", 1),
    ],
)
def test_a_map_of_distances_says_distance_and_one_of_nearness_says_nearness(link: dict, title: str, equal: int) -> None:
    """A card was called "Distance of every head", and a head that was equal had 1 there."""
    page = opened(**link)
    header, _ = packets(page)["all_heads"]
    measure = "distance" if equal == 0 else "nearness"
    assert title in text(page).replace("’", "'") and header["name"].startswith(f"{measure}: {equal} equal")
    two = [ac.trace(load("minilm"), said) for said in ((ARE, ARE) if link else (ARE, IS))]
    distance = apart(two[0].pattern(0, 3), two[1].pattern(0, 3)).mean()
    assert header["values"][0][3] == pytest.approx(abs(equal - distance), abs=1e-5)
    assert measure in frame(page, measure)


def test_two_models_meet_in_whole_words() -> None:
    page = opened(model_b="tiny-decoder", text_b="", layer=0, head=3)
    header, drawn = packets(page)["side_by_side"]
    assert header["panels"][0]["query_labels"] == ARE.split() == header["panels"][1]["key_labels"]
    np.testing.assert_allclose(np.nansum(drawn[0], axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.nansum(drawn[1], axis=-1), 1, atol=1e-5)
    assert np.isnan(drawn[1][np.triu_indices(9, 1)]).all(), "the decoder may not look ahead"
    own = ac.trace(load("minilm"), ARE).pattern(0, 3)[1:-1, 1:-1]
    np.testing.assert_allclose(drawn[0], own / own.sum(axis=1, keepdims=True), atol=1e-5)
    assert "The tokenizers differ, so these are whole words" in html(page)
    assert np.shape(packets(page)["all_heads"][0]["values"]) == (2, 4)
    other = ac.trace(load("tiny-decoder"), ARE).pattern(0, 3)[1:, 1:]
    rows = apart(own / own.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True))
    word = ARE.split()[int(rows.argmax())]
    assert lead(page) == (
        f"MiniLM's head 0.3 and Tiny decoder's head 0.3 are {rows.mean():.2f} apart, most when {word} asks."
    )


def test_all_heads_of_one_against_all_of_the_other_on_request() -> None:
    page = opened(model_b="tiny-decoder", text_b="")
    assert "72 × 8 pairs, about a second" in html(page) and not page.get("plotly_chart")
    checked(page.button(key="all_pairs").click().run())
    assert len(page.get("plotly_chart")) == 1
    nearest = frame(page, "nearest")
    assert len(nearest) == 72 and nearest["distance"].is_monotonic_increasing
    a, b = ac.trace(load("minilm"), ARE), ac.trace(load("tiny-decoder"), ARE)
    first = nearest.iloc[0]
    (l1, h1), (l2, h2) = (map(int, first[column].split(".")) for column in ("head", "nearest"))
    left, right = a.pattern(l1, h1)[1:-1, 1:-1], b.pattern(l2, h2)[1:, 1:]
    left, right = (p / p.sum(axis=1, keepdims=True) for p in (left, right))
    assert first["distance"] == pytest.approx(apart(left, right).mean(), abs=2e-3)


def test_what_is_only_position() -> None:
    page = opened(menus=True)
    checked(page.button(key="preset_what is only position?").click().run())
    assert titles(page) == [
        "A · head 0.3",
        "B · head 0.3 over shuffled words",
        "C · head 0.3 with random weights",
        "A − B",
    ]
    model = load("minilm")
    trace = ac.trace(model, ARE)
    orders = [baselines.shuffled(trace.tokens.ids, trace.tokens.special, seed) for seed in range(8)]
    mean = np.mean([ac.trace(model, ids).pattern(0, 3) for ids in orders], axis=0)
    np.testing.assert_allclose(panels(page)[1], mean, atol=1e-5)
    random = ac.trace(baselines.random_weights(model), ARE).pattern(0, 3)
    np.testing.assert_allclose(panels(page)[2], random, atol=1e-5)
    shuffled = [ac.trace(model, ids) for ids in orders]
    mean_of = [[np.mean([each.pattern(n, h) for each in shuffled], axis=0) for h in range(12)] for n in range(6)]
    far = np.array([[apart(trace.pattern(n, h), mean_of[n][h]).mean() for h in range(12)] for n in range(6)])
    least, most = (".".join(map(str, np.unravel_index(at, far.shape))) for at in (far.argmin(), far.argmax()))
    assert least == "0.2" and lead(page) == (
        f"When the words are shuffled, head {least} stays most like itself (distance {far.min():.2f}), "
        f"so it looks at positions; head {most} changes most ({far.max():.2f})."
    )
    (lines,) = [block.value for block in page.code if block.value.startswith("import attn_core")]
    names: dict = {}
    exec(lines, names)  # every panel, not the first alone
    for letter, shown in zip("abc", panels(page)[:3], strict=True):  # without the difference
        np.testing.assert_allclose(names[letter], shown, atol=1e-5)


def test_a_layers_mean() -> None:
    page = opened(shows_a="mean", layer=2)
    np.testing.assert_allclose(panels(page)[0], ac.trace(load("minilm"), ARE).patterns(2).mean(axis=0), atol=1e-6)
    assert titles(page)[0] == "A · the mean of layer 2"


def test_the_numbers_are_of_each_panels_own_head() -> None:
    page = opened(query=6, layer=3, head=1)
    for said, word in ((ARE, "are"), (IS, "is")):
        model = load("minilm")
        trace = ac.trace(model, said)
        parts = summarise_head(trace.stream(), ablation.runner(model, trace), 3, 1, 6).parts()
        cells = "".join(f"<div><strong>{number}</strong>{what}</div>" for number, what in parts)
        assert cells.replace("'", "&#39;") in html(page), word


def test_a_decoders_numbers_name_the_words_that_rise_and_fall() -> None:
    text = "a hungry blue creature"
    page = opened(model="tiny-decoder", text=text, text_b="", layer=1, head=3, query=4)
    model = load("tiny-decoder")
    p, q = (
        np.exp((logits := ac.trace(model, text, without=off).logits(4)) - np.logaddexp.reduce(logits))
        for off in ([], [(1, 3)])
    )
    names = ac.trace(model, text).vocabulary
    rises, falls = names.word(int((q - p).argmax())), names.word(int((q - p).argmin()))
    assert re.search(rf"Without it “{rises}” rises from [^“]* and “{falls}” falls from ", html(page))


# --- Panels come and go, and the link says all of it ------------------------------------------------------------------


def test_panels_are_duplicated_swapped_and_removed() -> None:
    page = opened(layer=2, head=1)
    checked(page.button(key="Duplicate_1").click().run())
    assert titles(page)[:3] == ["A · head 2.1", "B · head 2.1", "C · head 2.1"]
    assert page.session_state["text_c"] == IS
    checked(page.selectbox(key="head_c").set_value("7").run())
    checked(page.button(key="Swap with B_2").click().run())
    assert titles(page)[:3] == ["A · head 2.1", "B · head 2.7", "C · head 2.1"]
    checked(page.button(key="Swap with A_1").click().run())
    assert titles(page)[:2] == ["A · head 2.7", "B · head 2.1"]
    assert page.session_state["text"] == IS and page.session_state["text_b"] == ARE
    checked(page.button(key="Remove_1").click().run())
    assert titles(page) == ["A · head 2.7", "B · head 2.1", "A − B"]
    assert page.session_state["head"] == 7
    assert page.button(key="Remove_0").disabled
    link = dict(page.query_params)
    assert (link["text"], link["head"], link["panels"]) == (IS, "7", "2")


def test_a_panel_is_added_until_there_are_four() -> None:
    page = opened(layer=2, head=11)
    checked(page.button(key="add_panel").click().run())
    assert titles(page) == ["A · head 2.11", "B · head 2.11", "C · head 2.0", "A − B"]
    assert page.session_state["text_c"] == IS, "what the last panel reads"
    checked(page.button(key="add_panel").click().run())
    assert titles(page)[3] == "D · head 2.1" and dict(page.query_params)["panels"] == "4"
    assert not [button for button in page.button if button.key == "add_panel"]


def test_a_link_restores_four_panels() -> None:
    wanted = {
        "text": ARE, "layer": 1, "head": 9, "panels": 4, "shows_a": "head",
        "text_b": IS, "layer_b": "same", "head_b": "2",
        "model_c": "tiny-decoder", "layer_c": "1", "head_c": "3", "text_c": "",
        "shows_d": "mean", "layer_d": "5", "panel_pair": "bd", "scale": "linear",
    }  # fmt: skip
    page = opened(**wanted)
    assert titles(page) == ["A · head 1.9", "B · head 1.2", "C · head 1.3", "D · the mean of layer 5", "B − D"]
    for name, value in wanted.items():
        assert dict(page.query_params)[name] == str(value)
    assert "cannot be shown" not in notes(page)


@pytest.mark.parametrize(
    ("name", "value"),
    [("panels", "9"), ("head_b", "99"), ("layer_b", "-1"), ("model_b", "nope"), ("panel_pair", "zz"), ("shows_a", "x")],
)
def test_what_a_link_says_wrongly_is_named_and_the_rest_is_shown(name: str, value: str) -> None:
    page = opened(**{name: value})
    assert f"This link's {name}={value} cannot be shown" in notes(page)
    assert lead(page) and len(titles(page)) == 3


# --- How far the numbers are from the models' own -----------------------------------------------------------------


@pytest.mark.parametrize(("shows", "checks"), [("head", Trace), ("random", Trace), ("shuffled", StreamTrace)])
def test_the_badge_is_of_every_panel(shows: str, checks: type, monkeypatch: pytest.MonkeyPatch) -> None:
    text, right = "two hungry foxes sleep", checks.check

    def damaged(own: Trace | StreamTrace) -> Parity:
        of_b = {
            "head": own.tokens.text != text,
            "random": "random" in own.model_name,
            "shuffled": own.tokens.labels != text.split(),
        }
        return Parity(1e-7, 2e-2, 1e-7) if of_b[shows] else right(own)

    monkeypatch.setattr(checks, "check", damaged)
    b = "three hungry foxes sleep" if shows == "head" else ""
    page = opened(model="tiny-decoder", text=text, text_b=b, head_b="same", shows_b=shows)
    assert "✕ off by 2 × 10⁻² from the model's own numbers" in unescape(html(page))
    assert f"of any layer of {9 if shows == 'shuffled' else 2} passes" in html(page)


def test_the_badge_is_of_the_difference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"model": "tiny-decoder", "text": "two proud foxes sleep", "text_b": "three proud foxes sleep"}
    right, page = compare.jensen_shannon, unescape(html(opened(**given)))
    assert "<b>side by side " in page and "✕ side by side" not in page
    monkeypatch.setattr(compare, "jensen_shannon", lambda a, b: 1.05 * right(a, b))
    wrong = unescape(html(opened(**given)))
    assert "✕ side by side: another way to compute it gives something else" in wrong


def test_a_correlation_is_one_only_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    right = compare.difference
    monkeypatch.setattr(compare, "difference", lambda *given: replace(right(*given), correlation=0.99962))
    assert "<strong>0.9996</strong>correlation of their weights" in html(opened())


# --- Translators, and bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("shows", ["head", "shuffled", "random"])
def test_each_stream_of_a_translator(stream: str, shows: str) -> None:
    page = opened(
        model="tiny-translator", text="the small blue car", stream=stream, text_b="", head_b="same", shows_b=shows
    )
    assert lead(page) and "cannot be shown" not in html(page)
    np.testing.assert_allclose(np.nansum(panels(page)[:2], axis=-1), 1, atol=1e-5)


HOSTILE = "<script>alert(1)</script> **b** $x$ :red[x] <u>"


@pytest.mark.parametrize("text", [HOSTILE, "a", "🤗 שלום \u200b naïve", "word " * 200])
def test_any_text_is_text(text: str) -> None:
    page = opened(text=text, text_b=f"{text} too")
    said = html(page)
    assert "<script>" not in said and "<u>" not in said
    assert lead(page)


def test_what_is_cut_or_new_in_another_panel_is_said() -> None:
    page = opened(panels=3, text_b="far " * 600, model_c="tiny-decoder", text_c="a zorple ate")
    assert "Panel B: its sentence was cut after 512 tokens, which is the limit. 90 more are not shown." in notes(page)
    assert "zorple: this model has not met this word (°)" in notes(page)


def test_no_text_is_one_clear_sentence() -> None:
    page = opened(text="")
    assert "There is no word here yet" in html(page)
    checked(page.text_area(key="text").set_value("a blue fox").run())
    assert lead(page)


def test_a_folder_of_ones_own_can_change_places() -> None:
    folder = str(bundled_folder())
    page = opened(model_b=folder, text_b="", head_b="4")
    assert notes(page) == "" and titles(page)[:2] == ["A · head 0.3", "B · head 0.4"]
    checked(page.button(key="Swap with A_1").click().run())
    assert (page.session_state["model"], page.session_state["model_b"]) == (folder, "minilm")
    np.testing.assert_allclose(panels(page)[0], ac.trace(load("minilm"), ARE).pattern(0, 4), atol=1e-6)


def test_a_folder_may_be_typed_into_a_panel_but_not_by_strangers(operator_sets: Callable[..., None]) -> None:
    assert opened().selectbox(key="model_b").proto.accept_new_options
    operator_sets(HEADLIGHT_MODE="public")
    assert not opened().selectbox(key="model_b").proto.accept_new_options


def test_the_same_twice_says_what_to_do() -> None:
    page = opened(text_b="", head_b="same")
    assert lead(page) == "A and B are the same: give one of them another head, sentence or model."


def test_a_model_that_cannot_be_had_says_why() -> None:
    page = opened(model_b="gpt2")
    assert "This cannot be shown" in html(page)
    assert page.text_area(key="text").value == ARE
