"""A pair on the pages about one head and about many: each reads both sentences, and its maps and words say so."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from page_driver import checked, load, open_page, packets, text

import attn_core as ac
from attn_core.figures.canvas.panels import pack_panels
from attn_core.figures.paper.draw import drawn
from ui.drawing.head_panel import head_panel

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
