"""Find heads, run as a page: the ranking, the kinds, switched-off heads, links, translators and bad input."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import families
import numpy as np
import page_driver
import pandas as pd
import pytest
import scipy
from page_driver import checked, html, lead, load, notes, open_page, packets
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.heads import ablation, kinds, rules, samples, search
from attn_core.heads.summary import delta_shares
from attn_core.prediction import translation
from attn_core.text.numbers import percent
from ui.sentences import TIRED
from ui.server import passes

STARTER = "a fluffy blue creature roamed the verdant forest"
opened = partial(open_page, "find_heads", every_fold=True)


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


def table(page: AppTest, at: int = 0) -> pd.DataFrame:
    return page.dataframe[at].value


# --- Paint ------------------------------------------------------------------------------------------------------------


def wanted(trace: ac.Trace, cells: list[tuple[int, int]], strict: bool = False) -> np.ndarray:
    n = len(trace.tokens)
    sink = np.array(trace.tokens.special)
    painted = search.painted_cells(cells, n, n)
    found = [
        search.find(trace.patterns(layer), painted, trace.may_look(layer), sink, above_key_mean=strict)
        for layer in range(trace.n_layers)
    ]
    return np.stack([f.score for f in found])


def test_the_first_screen_looks_for_the_lessons_adjectives(trace: ac.Trace) -> None:
    page = opened()
    scores = wanted(trace, [(4, 2), (4, 3)], strict=True)
    header, _ = packets(page)["found"]
    np.testing.assert_allclose(header["values"], scores, atol=1e-6)
    layer, head = np.unravel_index(scores.argmax(), scores.shape)
    ranked = table(page)
    weight, baseline = (percent(float(ranked[name][0]) / 100) for name in ("weight", "baseline"))
    own = trace.pattern(layer, head)[4, [2, 3]].mean()
    assert percent(float(own)) == weight
    assert lead(page) == (
        f"From creature to fluffy and blue: head {layer}.{head} stands out most, {weight} where its baseline is "
        f"{baseline}."
    )
    assert ranked["head"][0] == f"{layer}.{head}" and len(ranked) == 72
    assert ranked["above"].is_monotonic_decreasing
    np.testing.assert_allclose(ranked["above"][0], 100 * scores.max(), rtol=1e-5)
    np.testing.assert_allclose(ranked["weight"] - ranked["baseline"], ranked["above"], atol=1e-4)


def test_a_link_restores_what_was_painted_and_the_opened_head(trace: ac.Trace) -> None:
    page = opened(text=STARTER, cells="6-5_11-10", layer=2, head=9, baseline="key")
    np.testing.assert_allclose(
        packets(page)["found"][0]["values"], wanted(trace, [(6, 5), (11, 10)], strict=True), atol=1e-6
    )
    header, cells = packets(page)["board"]
    assert header["panels"][0]["title"] == "Layer 2 · head 9" and header["paint"]
    np.testing.assert_allclose(cells[0], trace.pattern(2, 9), atol=1e-6)
    assert dict(page.query_params)["cells"] == "6-5_11-10"


def test_the_looser_baseline_is_a_choice(trace: ac.Trace) -> None:
    page = opened(baseline="distance")
    np.testing.assert_allclose(packets(page)["found"][0]["values"], wanted(trace, [(4, 2), (4, 3)]), atol=1e-6)


def test_the_strict_baseline_is_what_one_begins_with_and_the_winner_opens_in_every_page() -> None:
    """By the other baseline head 5.11 comes first for it → animal: there every word looks at animal."""
    page = AppTest.from_file(str(page_driver.ROOT / "app.py"), default_timeout=300)  # links need the whole app
    page.switch_page("pages/find_heads.py")
    for name, said in {"v": "1", "text": TIRED, "cells": "10-2"}.items():
        page.query_params[name] = said
    checked(page.run())
    assert page.session_state["baseline"] == "key"
    tired = ac.trace(load("minilm"), TIRED)
    painted = search.painted_cells(((10, 2),), len(tired.tokens), len(tired.tokens))
    sink = np.array(tired.tokens.special)
    found = search.find(tired.patterns(3), painted, tired.may_look(3), sink, above_key_mean=True)
    weight, baseline = (percent(float(numbers[1])) for numbers in (found.weight, found.baseline))
    assert weight == percent(float(tired.pattern(3, 1)[10, 2]))
    assert lead(page) == f"From it to animal: head 3.1 stands out most, {weight} where its baseline is {baseline}."
    links = {
        element.proto.page: dict(parse_qsl(element.proto.query_string))
        for element in page.get("page_link")
        if "head=1&query=10" in element.proto.query_string
    }
    assert links.keys() >= {"step_by_step", "delta_e", "why_there", "compare_heads"}
    assert {said["layer"] for said in links.values()} == {"3"} and {said["text"] for said in links.values()} == {TIRED}


def test_cells_that_no_head_looks_at_more_than_usual_are_not_given_to_one() -> None:
    page = opened(model="tiny-translator", text="the small blue car", stream="cross", cells="4-0", baseline="distance")
    assert np.max(packets(page)["found"][0]["values"]) < 0
    assert lead(page) == "From bleue to the: no head puts more there than its baseline."


def test_painting_by_words_and_wiping() -> None:
    page = opened(cells="")
    assert "Nothing is painted yet" in notes(page) and "found" not in packets(page)
    pickers = [box for box in page.selectbox if box.label in ("From (query)", "to (key)")]
    pickers[0].set_value(11).run()
    next(box for box in page.selectbox if box.label == "to (key)").set_value(10).run()
    checked(page.button(key="paint").click().run())
    assert page.session_state["cells"] == ((11, 10),)
    checked(page.button(key="paint").click().run())
    assert page.session_state["cells"] == (), "painting a painted cell wipes it"
    page.button(key="paint").click().run()
    checked(page.button(key="wipe").click().run())
    assert page.session_state["cells"] == ()


def test_cells_of_one_sentence_are_not_cells_of_the_next() -> None:
    page = opened(cells="6-5")
    checked(page.text_area(key="text").set_value("the keys to the cabinet are on the table").run())
    assert page.session_state["cells"] == () and "Nothing is painted yet" in notes(page)


@pytest.mark.parametrize("cells", ["4-x", "4", "-1-2", "４-3", "1-2-3"])
def test_a_wrong_cell_in_a_link_is_named(cells: str) -> None:
    page = opened(cells=cells)
    assert "cells like 4-3_4-2" in notes(page)


def test_cells_beyond_the_sentence_are_left_aside() -> None:
    page = opened(text="a blue fox", cells="1-2_40-41")
    assert len(table(page)) == 72
    assert lead(page).startswith("From a to blue")


# --- Kinds ------------------------------------------------------------------------------------------------------------


def test_kinds_are_those_of_the_library() -> None:
    page = opened(find="kinds")
    judged = kinds.classify_heads(load("minilm"))
    header, _ = packets(page)["kinds"]
    titles = judged.kind.map(rules.kind_title).tolist()
    assert np.ravel(header["kinds"]).tolist() == titles
    named = sum(kind != rules.NO_PATTERN for kind in judged.kind)
    back = judged[judged.kind == "previous"]
    best = back.loc[back["previous lift"].idxmax()]
    assert lead(page) == (
        f"{named} of 72 heads follow a simple rule; {len(back)} of them look at the token just before, "
        f"head {best.layer}.{best['head']} the most."
    )
    shown = next(f.value for f in page.dataframe if "entropy" in f.value)
    assert shown["kind"].tolist() == titles
    np.testing.assert_allclose(shown["entropy"], judged.entropy, rtol=1e-5)
    np.testing.assert_allclose(shown["previous token"], 100 * judged.previous, rtol=1e-4, atol=1e-4)
    assert "seeds 0, 1, 2, 3" in html(page) and "6 sentences and 4 lists of 16" in html(page)
    definitions = next(f.value for f in page.dataframe if "source" in f.value)
    assert definitions["kind"].tolist() == [kind.title for kind in rules.KINDS.values()]


def test_a_box_in_the_scatter_selects_rows_of_the_table() -> None:
    page = opened(find="kinds", x="sink", y="previous")
    page.session_state["scatter"] = {"selection": {"points": [{"point_index": 2}, {"point_index": 5}]}}
    checked(page.run())
    shown = next(f.value for f in page.dataframe if "entropy" in f.value)
    assert shown["head"].tolist() == ["0.2", "0.5"]
    assert "2 of 72 heads, selected" in html(page)


def test_a_translator_of_ones_own_writes_what_its_heads_are_classified_on(tmp_path: Path) -> None:
    families.save("t5", tmp_path)
    page = opened(model=tmp_path, text="one grey fox", find="kinds", stream="cross")
    assert "6 sentences and 4 lists" in html(page) and "cannot be shown" not in html(page)
    model = load(str(tmp_path))
    pairs = [(text, translation.greedy(model, model.read(text), at_most=64).ids) for text in samples.SENTENCES]
    judged = kinds.classify_heads(model, stream="cross", texts=pairs)
    shown = next(f.value for f in page.dataframe if "entropy" in f.value)
    np.testing.assert_allclose(shown["on the sink"].astype(float), 100 * judged.sink, rtol=1e-5)


# --- Does it matter ---------------------------------------------------------------------------------------------------


def test_heads_off_together_turn_the_word(trace: ac.Trace) -> None:
    page = opened(find="matter", off="1.2_0.3", query=4)
    after = ac.trace(load("minilm"), STARTER, without=[(0, 3), (1, 2)])
    turn = ablation.effect(trace.stream(), after.stream(), 4)
    assert lead(page) == f"Without heads 0.3 and 1.2, the final embedding of creature turns by {turn.text}."
    shown = page_driver.table(page, "turn")
    assert shown["word"][4] == "creature (4)" and shown["turn"][4] == pytest.approx(turn.value, rel=1e-5)
    header, _ = packets(page)["effects"]
    assert header["texts"][0][3] == header["texts"][1][2] == "off"
    shares = np.array([delta_shares(trace.stream(), layer, 4) for layer in range(6)])
    shown_shares = shares.copy()
    shown_shares[0, 3] = shown_shares[1, 2] = 0  # what is off adds nothing, and is palest in every map
    np.testing.assert_allclose(header["values"], shown_shares, rtol=1e-5)
    ranked = page_driver.table(page, "share of its layer's ΔE at this word, in %").iloc[0].tolist()
    layer, head = np.unravel_index(np.argmax(shares), (6, 12))
    assert ranked == [f"{layer}.{head}", pytest.approx(100 * np.max(shares))]
    panels, cells = packets(page)["before_after"]
    assert [p["title"] for p in panels["panels"]] == ["with", "without"], "head 0.3 itself looks as before"


def test_the_opened_head_is_switched_off_once_and_a_pass_is_timed_once_for_a_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, run = [], passes._in_turn

    def counted(loaded: Any, compute: Any) -> Any:
        made.append(loaded.name)
        return run(loaded, compute)

    monkeypatch.setattr(passes, "_in_turn", counted)
    opened(find="matter", off="0.3", layer=0, head=3, text="a red fox ran home")
    made.clear()
    opened(find="matter", off="0.3", layer=0, head=3, text="a red hen ran home")
    assert made == ["minilm"] * 2, "the sentence as it is, and without the head"


def test_a_later_head_is_seen_to_change() -> None:
    page = opened(find="matter", off="0.3", layer=3, head=1)
    panels, cells = packets(page)["before_after"]
    assert [p["title"] for p in panels["panels"]] == ["with", "without", "without − with"]
    before, after, difference = cells
    np.testing.assert_allclose(difference, after - before, atol=1e-6)
    off = ac.trace(load("minilm"), STARTER, without=[(0, 3)])
    np.testing.assert_allclose(after, off.pattern(3, 1), atol=1e-6)
    row = page_driver.table(page, "without − with")
    np.testing.assert_allclose(row["without − with"], 100 * difference[4], atol=1e-4)
    assert row["key"][4] == "creature (4)"


def test_the_mean_can_stand_in_and_is_said() -> None:
    page = opened(find="matter", off="0.3", fill="mean", query=4)
    after = ac.trace(load("minilm"), STARTER, without=[(0, 3)], replacement="mean")
    turn = ablation.effect(ac.trace(load("minilm"), STARTER).stream(), after.stream(), 4)
    assert lead(page) == f"With only the mean of head 0.3, the final embedding of creature turns by {turn.text}."


def test_next_words_with_and_without() -> None:
    text = "a hungry blue creature"
    page = opened(find="matter", model="tiny-decoder", text=text, off="1.3", query=4)
    model = load("tiny-decoder")
    before, after = ac.trace(model, text), ac.trace(model, text, without=[(1, 3)])
    p, q = (np.exp(t.logits(4) - np.logaddexp.reduce(t.logits(4))) for t in (before, after))
    shown = page_driver.table(page, "next word")
    best = int(p.argmax())
    assert shown["next word"][0] == before.vocabulary.word(best)
    assert shown["with"][0] == pytest.approx(100 * p[best], rel=1e-4)
    assert shown["without"][0] == pytest.approx(100 * q[best], rel=1e-4)
    moved = int(np.abs(q - p).argmax())
    bits = scipy.stats.entropy(p, q, base=2)
    assert lead(page) == (
        f"Without head 1.3, what may follow creature moves by {bits:.2f} bits: {before.vocabulary.word(moved)} goes "
        f"from {percent(float(p[moved]))} to {percent(float(q[moved]))}."
    )


def test_a_word_that_hardly_moves_is_not_said_to() -> None:
    page = opened(find="matter", model="tiny-translator", text="the small blue car", stream="decoder", off="0.1")
    model = load("tiny-translator")
    written = translation.greedy(model, model.read("the small blue car")).ids
    trace = ac.trace(model, "the small blue car", target=written)
    stream = trace.stream("decoder")
    weights = np.tril(stream.pattern(0, 3), -1)[1:, 1:]  # what a word gives earlier words, without <s>
    word = stream.tokens.labels[1 + int(weights.max(axis=1).argmax())]
    assert lead(page) == f"Without head 0.1, what may follow {word} stays as likely as it was."


def test_all_heads_are_switched_off_on_request() -> None:
    text = "a hungry blue creature"
    page = opened(find="matter", model="tiny-decoder", text=text, query=4)
    assert "8 passes through the model, about a second" in html(page)
    checked(page.button(key="ask_effects").click().run())
    header, _ = packets(page)["effects"]
    model = load("tiny-decoder")
    trace = ac.trace(model, text)
    judged = list(ablation.switch_off_each(trace.stream(), ablation.runner(model, trace), 4))
    np.testing.assert_allclose(np.ravel(header["values"]), [value for *_, value in judged], rtol=1e-5)
    assert header["name"].endswith("in bits")


def test_heads_are_switched_off_by_the_list() -> None:
    page = opened(find="matter")
    checked(page.multiselect(key="off_heads").set_value(["2.4", "0.0"]).run())
    assert page.session_state["off"] == ((0, 0), (2, 4))
    before, after = (ac.trace(load("minilm"), STARTER, without=off) for off in ([], [(0, 0), (2, 4)]))
    a, b = (each.final_embedding()[page.session_state["query"] or 4].astype(float) for each in (before, after))
    turn = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert lead(page) == f"Without heads 0.0 and 2.4, the final embedding of creature turns by {turn:.1f}°."


@pytest.mark.parametrize("off", ["0", "0.3.1", "a.b", "0-3"])
def test_a_wrong_head_in_a_link_is_named(off: str) -> None:
    assert "heads like 0.3_1.2" in notes(opened(find="matter", off=off))


# --- Streams, and bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("find", ["paint", "kinds", "matter"])
def test_each_stream_of_a_translator(find: str, stream: str) -> None:
    page = opened(model="tiny-translator", text="the small blue car", find=find, stream=stream, cells="2-1", off="0.1")
    assert "cannot be shown" not in html(page)
    if find == "paint":
        header, cells = packets(page)["board"]
        model = load("tiny-translator")
        trace = ac.trace(model, "the small blue car", target=page.session_state["target"] or "la petite voiture bleue")
        expected = [tokens.labels for tokens in trace.tokens_of(stream)]
        assert [header["panels"][0]["query_labels"], header["panels"][0]["key_labels"]] == expected
        np.testing.assert_allclose(np.nan_to_num(cells[0]), trace.pattern(0, 3, stream=stream), atol=1e-6)
        assert ("in the other sentence" in html(page)) == (stream == "cross"), "distance is of places, between two"
    if stream == "cross" and find == "kinds":
        shown = next(f.value for f in page.dataframe if "entropy" in f.value)
        assert "previous token" not in shown and "distance" not in shown


HOSTILE = "<script>alert(1)</script> **b** $x$ :red[x] <u>"


@pytest.mark.parametrize("find", ["paint", "kinds", "matter"])
@pytest.mark.parametrize("text", [HOSTILE, "a", "🤗 שלום \u200b naïve", "word " * 300])
def test_any_text_is_text(find: str, text: str) -> None:
    page = opened(find=find, text=text, cells="1-1", off="0.1")
    said = html(page)
    assert "<script>" not in said and "<u>" not in said
    assert lead(page)
    assert page.text_area(key="text").value == text


@pytest.mark.parametrize("find", ["paint", "kinds", "matter"])
def test_no_text_is_one_clear_sentence(find: str) -> None:
    page = opened(find=find, text=" ")
    assert "There is no word here yet" in html(page)
    checked(page.text_area(key="text").set_value("a blue fox").run())
    assert lead(page)


@pytest.mark.parametrize("replacement", ["even", "previous", "painted"])
def test_a_pattern_can_be_put_in_a_heads_place(trace: ac.Trace, replacement: str) -> None:
    page = opened(find="matter", off="0.3", fill=replacement, query=4, cells="4-3")
    options = ablation.replacement_options(trace.stream(), [(0, 3)], replacement, [(4, 3)])
    turn = ablation.effect(trace.stream(), ac.trace(load("minilm"), STARTER, **options).stream(), 4)
    done = {
        "even": "With even attention in head 0.3",
        "previous": "With head 0.3 looking one word back",
        "painted": "With head 0.3 looking where you painted",
    }
    assert lead(page) == f"{done[replacement]}, the final embedding of creature turns by {turn.text}."
    _, cells = packets(page)["before_after"]
    np.testing.assert_allclose(cells[1], options["edit"][0, 3], atol=1e-6)


def test_a_head_that_is_off_is_palest_in_every_map() -> None:
    from ui.find_heads.ablation import without_off

    shares = np.array([[0.5, 0.2], [0.1, 0.2]])
    np.testing.assert_array_equal(without_off(shares, [(0, 0)]), [[0, 0.2], [0.1, 0.2]])
    assert shares[0, 0] == 0.5, "what is known of the heads stays as it was measured"
