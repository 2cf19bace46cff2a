"""The page Why there?, seen as the card of a head: every number on it is the library's, and every link leads to it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from page_driver import ROOT, checked, figure, lead, load, notes, open_page, script_of, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.errors import HeadlightError
from attn_core.text.numbers import percent, signed
from ui.drawing import gallery
from ui.server import shared
from ui.why_there import card as said

WHERE = {"model": "tiny-decoder", "layer": 1, "head": 3}


@pytest.fixture(scope="module")
def judge():
    return ac.head_card(load("tiny-decoder"), 1, 3)


@pytest.fixture(scope="module")
def page():
    return open_page("why_there", why="card", every_fold=True, menus=True, **WHERE)


def test_the_headline_and_the_scores_are_the_cards(page, judge):
    scale = f"({signed(judge.copying)} on a scale from −1 to 1)"
    share = percent(judge.prefix_matching)
    follows = f"Where tokens are repeated, it hardly looks at what followed them before ({share} of its weight)."
    pushes = f"Head 1.3 pushes down the words that it looks at {scale}. "
    assert lead(page) == pushes + follows
    assert f"{signed(judge.copying)}copying score, words read with the unembedding" in text(page)
    assert f"{percent(judge.prefix_matching)}prefix matching on repeated tokens; " in text(page)
    assert f"{percent(judge.copying_on_repeats)}of all words are raised less" in text(page)


def test_the_pairs_are_bars_with_their_numbers(page, judge):
    for pair in (*judge.reads, *judge.writes):
        assert f"{pair.first} → {pair.second}{signed(pair.score)}" in text(page)


def test_the_arcs_are_the_earlier_heads_it_reads_most_and_all_are_in_the_table(page, judge):
    drawn = figure(page, "composition")
    best = judge.composition[judge.composition.above > 0].sort_values("above", ascending=False).head(said.MOST_ARCS)
    assert len(drawn["data"]) == len(best)
    first = best.iloc[0]
    widest = max(drawn["data"], key=lambda arc: arc["line"]["width"])
    assert (
        widest["text"]
        == f"Head 1.3 reads head 0.{first['head']} through its keys: <b>{signed(first.above)}</b> above chance"
    )
    assert first.through == "k" and widest["line"]["color"] == "#0f766e" and widest["line"]["width"] == 8
    every = table(page, "through")
    assert len(every) == len(judge.composition) == 12
    np.testing.assert_allclose(sorted(every.score), sorted(judge.composition.score))


def test_near_heads_directions_and_what_is_left_out_are_said(page, judge):
    assert table(page, "look alike")["look alike"][0] == "{}.{} ({:.2f})".format(*judge.near_by_behaviour[0])
    assert table(page, "raises")["reads"][0] == " ".join(judge.directions[0].reads)
    assert all(sentence in notes(page) for sentence in judge.left_out)
    whole = table(page, "part")
    assert len(whole) == len(judge.frame())


def test_the_first_layer_reads_nobody_and_a_translator_has_its_cross_heads():
    first = open_page("why_there", why="card", model="tiny-decoder", layer=0, head=1)
    assert "No earlier head writes what this one reads" in notes(first)
    cross = open_page("why_there", why="card", model="tiny-translator", layer=1, head=1, stream="cross")
    copying = ac.head_card(load("tiny-translator"), 1, 1, stream="cross").copying
    does = "neither copies nor suppresses: what it raises is seldom the word that it looks at"
    if abs(copying) >= said.COPIES:
        does = (
            "copies: it raises the words that it looks at" if copying > 0 else "pushes down the words that it looks at"
        )
    assert lead(cross) == (
        f"Head cross 1.1 {does} ({signed(copying)} on a scale from −1 to 1). "
        "It looks from one sentence into another, where nothing is repeated."
    )
    assert "prefix matching on repeated" not in text(cross)


def test_a_card_is_computed_once_for_everybody(monkeypatch, page):
    def again(*args, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(said, "head_card", again)
    assert lead(open_page("why_there", why="card", **WHERE)) == lead(page)
    assert shared.STATE is not None


def _stopped(*_, progress):
    progress(0.25)
    raise HeadlightError("it was stopped")


def test_its_cost_is_said_and_its_progress_is_shown(monkeypatch):
    monkeypatch.setattr(said, "card_of", _stopped)
    shown = open_page("why_there", why="card", model="tiny-decoder", layer=0, head=2)
    (bar,) = shown.get("progress")
    assert bar.proto.value == 25 and "it was stopped" in text(shown)
    assert re.fullmatch(r"Reading head 0\.2: \d+ short passes and the whole vocabulary", bar.proto.text)
    clock = iter([0.0, 9.0])
    monkeypatch.setattr("ui.why_there.card_view.time", SimpleNamespace(monotonic=lambda: next(clock)))
    slow = open_page("why_there", why="card", model="tiny-decoder", layer=0, head=2)
    (bar,) = slow.get("progress")
    assert bar.proto.text == "Reading head 0.2: about 27 more seconds; then it is kept for everybody"


def test_it_is_saved_as_one_picture_as_numbers_and_as_python(page, judge):
    pictures = page.session_state[gallery._GALLERY].pictures
    made = pictures[said.WORDS.text("whole.name")].make()
    words = " ".join(note.text for note in made.layout.annotations)
    assert all(said.pair_names(judge.writes)[0] in words for _ in (0,))
    assert signed(judge.copying) in words and len(made.data) == len(figure(page, "composition")["data"])
    assert "card = ac.head_card(ac.load('tiny-decoder'), 1, 3)" in "\n".join(code.value for code in page.code)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("all_heads", {}),
        ("step_by_step", {"step": 8}),
        ("delta_e", {}),
        ("why_there", {}),
        ("compare_heads", {}),
        ("patching", {}),
        ("training", {}),
        ("predict_first", {"teacher": "1", "uncovered": "1"}),
        ("find_heads", {}),
        ("find_heads", {"find": "kinds"}),
        ("cross_attention", {}),
        ("word_senses", {}),
        ("parameters", {}),
    ],
)
def test_every_opened_head_has_a_link_to_its_card(name, params):
    opened = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)  # a page that runs by itself has no links
    opened.switch_page(script_of(name))
    for key, value in {"v": "1", "layer": 1, "head": 3, **params}.items():
        opened.query_params[key] = str(value)
    checked(opened.run())
    queries = [dict(parse_qsl(link.proto.query_string)) for link in opened.get("page_link")]
    cards = [query for query in queries if query.get("why") == "card"]
    assert cards, name
    scores = [query for query in queries if query.get("why") == "score"]
    assert scores or name in ("why_there", "parameters")  # whose head is opened in no sentence
    if name == "compare_heads":
        assert [card["text"] for card in cards] == [
            f"the keys to the cabinet {verb} on the table" for verb in ("are", "is")
        ]
        (pair,) = [query for query in queries if "second" in query]  # … and the two together can be patched
        assert [pair["text"], pair["second"]] == [card["text"] for card in cards]
        assert (pair["layer"], pair["head"]) == ("1", "3")
