"""A pair on the pages about one head and about many: each reads both sentences, and its maps and words say so."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from page_driver import checked, load, notes, open_page, packets, text

import attn_core as ac
from attn_core.figures.canvas.panels import pack_panels
from attn_core.figures.paper.draw import drawn
from attn_core.heads import baselines
from attn_core.models import history
from attn_core.text.numbers import percent
from ui.compare_heads.specs import SHUFFLES
from ui.drawing.head_panel import head_panel
from ui.sentences import HUNGRY
from ui.training.reading import HEAD, LAYER

A, B = "who roamed the forest?", "a fluffy <b>blue</b> creature"


@pytest.fixture(scope="module")
def pair() -> ac.Trace:
    return ac.trace(load("minilm"), (A, B))


opened = partial(open_page, text=A, second_text=B, layer=2, head=5)


def test_step_by_step_says_the_segment_and_draws_the_line(pair: ac.Trace) -> None:
    at = pair.tokens.second
    page = opened("step_by_step", query=at + 1, all_steps=1, every_fold=True)
    said = text(page)
    assert "So is a list that says which of the two texts the word is in: fluffy is in segment B." in said
    strips = packets(page)["step_1_parts"][0]["rows"]["texts"]
    assert "+ segment B" in strips
    scores, weights = (packets(page)[name][0]["segments"] for name in ("step_3_grid", "step_6_grid"))
    assert scores["at"] == weights["at"] == [at, at] and scores["shares"] == [[], []]
    np.testing.assert_allclose(weights["shares"], pair.segment_shares(2, 5), atol=1e-6)


def test_one_sentence_has_one_segment() -> None:
    page = open_page("step_by_step", text=A, query=3, all_steps=1, every_fold=True)
    assert "here there is only one" in text(page) and packets(page)["step_6_grid"][0]["segments"] is None


def test_delta_e_and_why_there_read_both_sentences(pair: ac.Trace) -> None:
    for name in ("delta_e", "why_there"):
        page = opened(name, query=pair.tokens.second + 1)
        assert f"{len(pair.tokens)} of 512 tokens" in text(page) and page.text_area(key="second_text").value == B
        assert "fluffy" in text(page)


def test_find_heads_paints_on_a_pair_and_switches_off_in_it(pair: ac.Trace) -> None:
    at = pair.tokens.second
    board = packets(opened("find_heads"))["board"][0]["panels"][0]
    assert board["second"] == [at, at] and board["note"].startswith("A→A ")
    page = checked(opened("find_heads", find="matter", off="2.5", query=at + 1))
    off = ac.trace(load("minilm"), (A, B), without=[(2, 5)])
    turn = np.degrees(np.arccos(np.clip(cosine(off.final_embedding()[at + 1], pair.final_embedding()[at + 1]), -1, 1)))
    assert f"{turn:.1f}°" in text(page)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_panels_of_a_pair_have_their_line_on_paper_too(pair: ac.Trace) -> None:
    at = pair.tokens.second
    figure = drawn(pack_panels([head_panel(pair.stream(), 2, 5)]))
    level, upright = (shape for shape in figure.layout.shapes if shape.type == "line")
    assert level.y0 == level.y1 == at - 0.5 and upright.x0 == upright.x1 == at - 0.5
    overview = pair.overview()
    (lines,) = [trace for trace in overview.data if trace.meta == "segments"]
    assert lines.y[0] == pytest.approx(0.92 * at / len(pair.tokens) - 0.46)


def panels_of(page) -> list[dict[str, object]]:  # type: ignore[no-untyped-def]
    return packets(page)["side_by_side"][0]["panels"]


def test_compare_reads_a_pair_in_every_panel_and_another_second_one_in_b(pair: ac.Trace) -> None:
    other = "nobody did"
    page = opened("compare_heads", text_b="", second_text_b=other, layer_b="same", head_b="same")
    ours, theirs, difference = panels_of(page)
    against = ac.trace(load("minilm"), (A, other))
    assert [own["second"] for own in (ours, theirs)] == [[pair.tokens.second] * 2, [against.tokens.second] * 2]
    assert f"“{A}” + “{B}”" in ours["note"] and "A→B" in ours["note"] and difference["second"] == ours["second"]
    to_b = against.segment_shares(2, 5)[0, 1]
    assert f"A→B {percent(float(to_b))}" in theirs["note"]
    page = opened("compare_heads", text_b="", layer_b="same", head_b="4", shows_b="head")
    assert panels_of(page)[1]["second"] == ours["second"]  # as in A


def test_a_panel_with_a_sentence_of_its_own_reads_it_alone_also_when_panels_change_places() -> None:
    page = opened("compare_heads", text_b=A, layer_b="same", head_b="same")
    assert [own["second"] is None for own in panels_of(page)[:2]] == [False, True]
    for is_alone in ([True, False], [False, True]):
        page.button(key="Swap with A_1").click().run()
        assert [own["second"] is None for own in panels_of(checked(page))[:2]] == is_alone
    assert "no pairs" not in notes(page)


def test_compare_says_which_panel_reads_no_pair() -> None:
    page = opened("compare_heads", text_b="", model_b="tiny-decoder", layer=0, head=1)
    assert "Panel B reads the first sentence alone: Tiny decoder reads no pairs." in notes(page)


def test_words_of_a_pair_are_shuffled_within_their_sentence(pair: ac.Trace) -> None:
    at, tokens = pair.tokens.second, pair.tokens
    order = baselines.shuffled(tokens.ids, tokens.special, 3, at)
    assert sorted(order[:at]) == sorted(tokens.ids[:at]) and order != tokens.ids
    assert [order[i] for i in range(len(order)) if tokens.special[i]] == [
        own for own, special in zip(tokens.ids, tokens.special, strict=True) if special
    ]
    page = opened("compare_heads", text_b="", layer_b="same", head_b="same", shows_b="shuffled", menus=True)
    traces = (ac.trace(load("minilm"), (o[:at], o[at:])) for o in orders(tokens))
    judge = np.mean([each.pattern(2, 5) for each in traces], axis=0)
    cells = values_of(page, 1)
    np.testing.assert_allclose(cells, judge, atol=1e-5)
    (code,) = [block.value for block in page.code if "baselines" in block.value]
    names: dict[str, object] = {}
    exec(code, names)
    np.testing.assert_allclose(names["b"], judge, atol=1e-5)


def orders(tokens) -> list[list[int]]:  # type: ignore[no-untyped-def]
    return [baselines.shuffled(tokens.ids, tokens.special, seed, tokens.second) for seed in range(SHUFFLES)]


def values_of(page, at: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    header, body = packets(page)["side_by_side"]
    n = header["queries"] * header["keys"]
    return np.frombuffer(body, "<f4")[at * n : (at + 1) * n].reshape(header["queries"], header["keys"])


def test_the_frame_is_left_out_in_every_panel_and_in_predict() -> None:
    page = open_page("compare_heads", text=A, text_b=B, frame="typed", layer=2, head=5)
    assert "[CLS]" not in str(panels_of(page)) and "fluffy" in str(panels_of(page))
    page = open_page("predict_first", text=A, frame="typed", teacher=1, uncovered=1, layer=2, head=5)
    assert "[CLS]" not in str([header for header, _ in packets(page).values()])


def test_training_leaves_the_frame_out_at_every_step() -> None:
    page = open_page("training", frame="typed", checkpoint=4)
    (then, _) = packets(page)["training_pattern"][0]["panels"]
    now = ac.trace(history.checkpoint("tiny-decoder", 4), HUNGRY, frame="typed")
    header, body = packets(page)["training_pattern"]
    assert header["queries"] == len(now.tokens) and "bos" not in str(then)
    cells = np.frombuffer(body, "<f4")[: len(now.tokens) ** 2].reshape(len(now.tokens), -1)
    np.testing.assert_allclose(np.nan_to_num(cells), np.nan_to_num(now.pattern(LAYER, HEAD)), atol=1e-6)


def test_predict_asks_about_a_word_of_a_pair(pair: ac.Trace) -> None:
    page = opened("predict_first", query=pair.tokens.second + 1, uncovered=1)
    assert "fluffy" in text(page)
    board = packets(page)["uncovered_head"][0]["panels"][0]
    assert board["second"] == [pair.tokens.second] * 2
    page = opened("predict_first", query=pair.tokens.second + 1, teacher=1)
    (link,) = [block.value for block in page.code if "predict_first?" in block.value]
    assert "second_text=a+fluffy" in link
