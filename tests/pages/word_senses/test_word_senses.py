"""The senses page, run as a page: every number that it shows against traces, what a link restores, and bad input."""

from __future__ import annotations

import itertools
import json
import re
from functools import partial
from pathlib import Path

import families
import numpy as np
import pytest
from page_driver import array, checked, figure, html, lead, load, open_page, packets, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.residual.senses import find_word
from attn_core.text.numbers import two_digits
from attn_core.traces.parity import Parity
from ui.word_senses.board import EXAMPLES

ROOT = Path(__file__).parents[3]
MOLE = EXAMPLES["mole"]
opened = partial(open_page, "word_senses", every_fold=True)


@pytest.fixture(scope="module")
def moles() -> list[tuple[ac.Trace, int]]:
    """The judge: (trace, place of "mole") of the three sentences, then of the three baselines."""
    found = []
    for sentence in [row.sentence for row in MOLE] + [row.twin for row in MOLE]:
        trace = ac.trace(load("minilm"), sentence)
        found.append((trace, trace.tokens.labels.index("mole")))
    return found


@pytest.fixture(scope="module")
def first(moles) -> AppTest:
    return opened()


def on_the_map(page: AppTest) -> np.ndarray:
    """The numbers of the canvas, [layer, head]."""
    return np.array(packets(page)["senses_map"][0]["values"])


def board(*rows: tuple[str, str, int]) -> str:
    return json.dumps(rows, ensure_ascii=False)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def parts(found: tuple[ac.Trace, int]) -> np.ndarray:
    """ΔE of every head of every layer for the word, [layer, head, d_model]."""
    trace, place = found
    return np.stack([[trace.delta_e(layer, head)[place] for head in range(12)] for layer in range(6)])


def headline(word: str, *sentences: str, model: str = "minilm") -> str:
    """The whole headline of a word that is one token, from the library's embeddings."""
    ends = []
    for sentence in sentences:
        trace = ac.trace(load(model), sentence)
        ends.append(trace.embedding(trace.n_layers)[trace.tokens.labels.index(word)])
    pairs = itertools.combinations(range(len(ends)), 2)
    cosines = ", ".join(f"{'ABC'[a]}–{'ABC'[b]} {two_digits(cosine(ends[a], ends[b]))}" for a, b in pairs)
    n = {2: "two", 3: "three"}[len(ends)]
    return f"One embedding of {word}, {n} meanings: cosine 1.00 in the vocabulary; after the last layer {cosines}."


# --- Every number on the page -----------------------------------------------------------------------------------------


def test_the_lead_says_where_they_begin_and_end(first) -> None:
    ends = "after the last layer A–B 0.66, A–C 0.87, B–C 0.70"
    assert lead(first) == f"One embedding of mole, three meanings: cosine 1.00 in the vocabulary; {ends}."
    assert "live" in text(first) and "✓ checked" in text(first) and "near words" in text(first)


def test_the_badge_is_of_the_baselines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    right, twin = ac.Trace.check, "the bat hung from a beam in the barn"
    bad = Parity(1e-7, 2e-2, 1e-7)
    monkeypatch.setattr(ac.Trace, "check", lambda own: bad if own.tokens.text == twin else right(own))
    rows = ("the bat sleeps upside down in the cave", twin, 0), ("he swung the bat and hit the ball", "", 0)
    page = opened(word="bat", board=board(*rows))
    assert "✕ off by 2 × 10⁻²" in text(page) and "of any layer of 3 passes" in text(page)


def test_cosines_layer_by_layer_and_the_baseline(first, moles) -> None:
    lines = [part for part in figure(first, "apart_lines")["data"] if part.get("mode") == "lines+markers"]
    for line, (a, b) in zip(lines, ((0, 1), (0, 2), (1, 2)), strict=True):
        drawn = array(line["y"])
        judge = [cosine(moles[a][0].embedding(i)[moles[a][1]], moles[b][0].embedding(i)[moles[b][1]]) for i in range(7)]
        assert drawn[0] == pytest.approx(1, abs=1e-6)  # the token embeddings
        np.testing.assert_allclose(drawn[1:], judge, atol=1e-5)
    same = [
        cosine(moles[i][0].embedding(6)[moles[i][1]], moles[i + 3][0].embedding(6)[moles[i + 3][1]]) for i in range(3)
    ]
    assert f"Two sentences of one sense end at {np.mean(same):.2f} on average." in text(first)
    mean = next(part for part in figure(first, "apart_lines")["data"] if part.get("name") == "same sense")
    assert array(mean["y"])[-1] == pytest.approx(np.mean(same), abs=1e-5)
    assert table(first, "E before layer 0")["after layer 5"].tolist() == pytest.approx([0.66, 0.87, 0.70], abs=0.005)


def test_in_the_input_embedding_token_and_position_are_told_apart(first) -> None:
    strip = re.search(
        r"1\.00cosine of the token embeddings, A and B0\.60cosine of their positions, A and B0\.96cosine of E",
        text(first),
    )
    assert strip


def test_who_told_them_apart(first, moles) -> None:
    whole = np.linalg.norm(parts(moles[0]) - parts(moles[1]), axis=-1)
    usual = np.mean([np.linalg.norm(parts(moles[i]) - parts(moles[i + 3]), axis=-1) for i in range(3)], axis=0)
    np.testing.assert_allclose(on_the_map(first), np.clip(whole - usual, 0, None), atol=1e-4)
    heads = table(first, "separation")
    order = [divmod(int(i), 12) for i in np.argsort(-np.clip(whole - usual, 0, None), axis=None)[:8]]
    assert heads["head"].tolist() == [f"{layer}.{head}" for layer, head in order]
    np.testing.assert_allclose(heads["separation"], [whole[at] for at in order], atol=1e-4)
    np.testing.assert_allclose(heads["baseline"], [usual[at] for at in order], atol=1e-4)
    trace, place = moles[1]
    row = trace.pattern(*order[0])[place]
    assert (
        heads["in B it looked at"]
        .iloc[0]
        .startswith(f"{trace.tokens.labels[int(row.argmax())]} {100 * row.max():.0f} %")
    )


def test_attention_and_mlp_side_by_side(first, moles) -> None:
    def difference(read, a, b):
        return [np.linalg.norm(read(moles[a][0], i)[moles[a][1]] - read(moles[b][0], i)[moles[b][1]]) for i in range(6)]

    attention, mlp = figure(first, "senses_layers")["data"]
    for drawn, read in ((attention, lambda t, i: t.attention_output(i)), (mlp, lambda t, i: t.mlp_added(i))):
        usual = np.mean([difference(read, i, i + 3) for i in range(3)], axis=0)
        judge = np.clip(np.array(difference(read, 0, 1)) - usual, 0, None)
        np.testing.assert_allclose(array(drawn["y"]), judge, atol=1e-4)
    by_mlp, by_attention = array(mlp["y"]), array(attention["y"])
    more = "do more than" if by_mlp.sum() > by_attention.sum() else "do less than"
    said = " ".join(text(first).split())
    assert (
        f"The MLPs {more} attention here: summed over the layers, their ΔE of A and B lie {by_mlp.sum():.1f} further "
        f"apart than the baseline’s, attention’s {by_attention.sum():.1f}."
    ) in said
    leads = int((by_mlp > by_attention).sum())
    assert f"In {leads} of 6 layers the MLP separates them further than attention does." in said


def test_the_ways_share_one_plane(first) -> None:
    drawn = figure(first, "paths")
    ways = [part for part in drawn["data"] if part.get("mode") == "lines+markers"]
    assert [way["name"] for way in ways] == ["A", "B", "C"]
    assert all(
        np.isfinite(array(way["x"])[:-1]).all() and len(array(way["x"])) == 8 for way in ways
    )  # 7 stops and a gap
    assert "keep 67 % of the variance" in text(first)


def test_the_table_behind_the_ways_is_measured_in_the_full_space(first, moles) -> None:
    ways = table(first, "from the start °")
    assert ways["sentence"].tolist() == ["A"] * 7 + ["B"] * 7 + ["C"] * 7
    trace, place = moles[1]
    route = [trace.embedding(i)[place] for i in range(7)]
    of_b = ways[ways["sentence"] == "B"]
    np.testing.assert_allclose(of_b["length"], np.linalg.norm(route, axis=1), atol=0.006)
    turned = [np.degrees(np.arccos(np.clip(cosine(route[0], here), -1, 1))) for here in route]
    np.testing.assert_allclose(of_b["from the start °"], turned, atol=0.05)
    assert of_b["step"].iloc[3] == pytest.approx(np.linalg.norm(route[3] - route[2]), abs=0.006)


# --- What a link restores, and what visitors do -----------------------------------------------------------------------


def test_a_link_restores_the_board_the_pair_and_the_view() -> None:
    rows = (("they light a fire", "please light the candle", 0), ("the light is bright", "", 0))
    page = opened(word="light", board=board(*rows), sense_pair="0-1", apart="all", axes=3, shows="ways")
    assert lead(page) == headline("light", *(row[0] for row in rows))
    assert page.text_area(key="sentence_1").value == "the light is bright"
    assert any(part["type"] == "scatter3d" for part in figure(page, "paths")["data"])
    traces = [ac.trace(load("minilm"), row[0]) for row in rows]
    places = [trace.tokens.labels.index("light") for trace in traces]
    judge = np.linalg.norm(parts((traces[0], places[0])) - parts((traces[1], places[1])), axis=-1)
    np.testing.assert_allclose(on_the_map(page), judge, atol=1e-4)


def test_an_edited_sentence_moves_the_word() -> None:
    page = opened()
    page.text_area(key="sentence_1").set_value("a mole ate the roots of my garden").run()
    checked(page)
    assert lead(page) == headline("mole", MOLE[0].sentence, "a mole ate the roots of my garden", MOLE[2].sentence)


def test_examples_add_and_drop() -> None:
    page = opened()
    checked(page.button(key="example_bat").click().run())
    bats = [row.sentence for row in EXAMPLES["bat"]]
    assert lead(page) == headline("bat", *bats) and page.session_state["word"] == "bat"
    assert not [button for button in page.button if button.key == "drop_0"]  # two are the fewest
    checked(page.button(key="add_sentence").click().run())
    page.text_area(key="sentence_2").set_value("the bat flew out at dusk").run()
    assert lead(checked(page)) == headline("bat", *bats, "the bat flew out at dusk")
    checked(page.button(key="drop_0").click().run())
    assert page.text_area(key="sentence_0").value == "he swung the bat and hit the ball"


def test_every_example_holds_its_word_once_and_has_a_baseline() -> None:
    model = load("minilm")
    for word, rows in EXAMPLES.items():
        for row in rows:
            for sentence in (row.sentence, row.twin):
                assert len(find_word(model.read(sentence), word)) == 1, (word, sentence)


def test_the_meant_occurrence_can_be_chosen() -> None:
    rows = (("light is light and light", "", 2), ("a light rain", "", 0))
    page = opened(word="light", board=board(*rows))
    picker = page.selectbox(key="which_0")
    assert len(picker.options) == 3 and picker.value == 2
    before = lead(page)
    picker.set_value(0).run()
    assert lead(checked(page)) != before and page.session_state["board"][0].which == 0


def test_pieces_are_averaged_and_it_says_so() -> None:
    page = opened(word="shrew", board=board(("a shrew digs", "", 0), ("the old shrew shouted", "", 0)))
    assert "“shrew” has 2 pieces here (sh ##rew); they are averaged." in text(page)


# --- What must not happen ---------------------------------------------------------------------------------------------


def test_a_sentence_without_the_word_is_left_out_by_name() -> None:
    page = opened(board=board(*[(r.sentence, r.twin, 0) for r in MOLE], ("no such word here", "", 0)))
    assert "Sentence D does not contain the word “mole”" in text(page)
    assert lead(page) == headline("mole", *(row.sentence for row in MOLE))


def test_a_word_beyond_the_limit_is_not_said_to_be_missing() -> None:
    rows = (("a mole digs", "", 0), ("the mole ate", "", 0), ("far " * 600 + "mole", "", 0))
    page = opened(board=board(*rows))
    said = "Sentence C does not contain the word “mole” in its first 512 tokens, all that this model reads"
    assert said in text(page) and lead(page) == headline("mole", "a mole digs", "the mole ate")


def test_a_word_that_is_new_to_a_model_is_found_and_its_mark_is_explained() -> None:
    both = "a zorple ate", "the tall Zorple"
    page = opened(model="tiny-decoder", word="zorple", board=board(*((each, "", 0) for each in both)))
    traces = [ac.trace(load("tiny-decoder"), each) for each in both]
    ends = [each.embedding(each.n_layers)[at] for each, at in zip(traces, (2, 3), strict=True)]
    last = f"after the last layer A–B {two_digits(cosine(*ends))}"
    assert lead(page) == f"One embedding of zorple, two meanings: cosine 1.00 in the vocabulary; {last}."
    assert "zorple: this model has not met this word (°)" in text(page)


def test_too_few_sentences_are_one_clear_sentence() -> None:
    page = opened(word="zebra")
    assert "None of these sentences contains the word “zebra”." in text(page)
    assert page.text_area(key="sentence_0").value == MOLE[0].sentence  # what was typed is still there
    assert "Two sentences that share the word are needed." in text(opened(word="skin"))  # in one of three


def test_a_word_of_several_parts_is_read_as_it_is_spoken() -> None:
    page = opened(word="ice  cream", board=board(("she ate ice cream", "", 0), ("ice cream melts", "", 0)))
    traces = [ac.trace(load("minilm"), each) for each in ("she ate ice cream", "ice cream melts")]
    places = [[each.tokens.labels.index(part) for part in ("ice", "cream")] for each in traces]
    ends = [each.embedding(6)[at].mean(axis=0) for each, at in zip(traces, places, strict=True)]
    last = f"after the last layer A–B {two_digits(cosine(*ends))}"
    assert lead(page) == f"One embedding of ice cream, two meanings: cosine 1.00 in the vocabulary; {last}."
    checked(page.text_input(key="word").set_value("ice age").run())
    assert "None of these sentences contains the word “ice age”" in text(page)


def test_no_word_is_one_clear_sentence() -> None:
    page = opened(word=" ")
    assert "There is no word here yet." in text(page) and "∅" not in text(page)


def test_a_board_that_cannot_be_read_is_named() -> None:
    for broken in ("nonsense", "[]", '[["a"]]', '[["a","b",-1],["c","d",0]]'):
        assert "board=" in text(opened(board=broken))


def test_what_a_visitor_types_stays_text() -> None:
    rows = (("<b>mole</b> $x$ *star*", "", 0), ("<script>alert(1)</script> mole", "", 0))
    page = opened(board=board(*rows))
    assert "<b>mole" not in html(page) and "<script" not in html(page)


def test_models_of_other_families() -> None:
    both = "the hungry mole ate", "a biopsy of the mole"
    page = opened(model="tiny-decoder", board=board(*((each, "", 0) for each in both)))
    assert lead(page) == headline("mole", *both, model="tiny-decoder")


def test_a_translator_of_ones_own_is_sent_to_the_pages_for_two_stacks(tmp_path: Path) -> None:
    families.save("t5", tmp_path)
    page = opened(model=tmp_path)
    assert "it has two stacks: Translate and transcribe opens it, with translator= in the link." in text(page)


def test_a_cosine_below_zero_has_a_true_minus_sign() -> None:
    assert (two_digits(-0.126), two_digits(0.5)) == ("−0.13", "0.50")


def test_a_new_word_gets_one_remark_and_sentences_to_begin_with() -> None:
    page = opened(word="zebra")
    assert text(page).count("zebra") == 1 and "None of these sentences contains the word “zebra”." in text(page)
    page.button(key="take_sentences").click().run()
    sentences = [row.sentence for row in page.session_state["board"]]
    assert lead(checked(page)) == headline("zebra", *sentences) and all("zebra" in each for each in sentences)
