"""Several words as one query and one key: chosen in the map or by a plain control, in link, table and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from page_driver import checked, load, notes, open_page, packets, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.views import files
from attn_core.views.view import View
from ui.all_heads import spans

TEXT = "a fluffy blue creature roamed"  # [CLS] a fluffy blue creature roam ##ed [SEP]


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), TEXT)


def opened(**params: object) -> AppTest:
    return open_page("all_heads", text=TEXT, layer=2, head=5, **params)


def test_a_link_reads_a_phrase_as_one_query_and_one_key(trace: ac.Trace) -> None:
    page = opened(spans="1-4", query=2)
    header, cells = packets(page)["heatmap"]
    own = trace.pattern(2, 5).astype(float)
    phrase = [1, 2, 3, 4]
    rows = np.vstack([own[0], own[phrase].mean(axis=0), own[5:]])
    by_hand = np.column_stack([rows[:, 0], rows[:, phrase].sum(axis=1), rows[:, 5:]])
    np.testing.assert_allclose(cells, by_hand, atol=1e-6)
    np.testing.assert_allclose(cells.sum(axis=1), 1, atol=1e-5)
    assert header["rows"]["texts"][1] == header["columns"]["texts"][1] == "a fluffy blue creature"
    drawn = {name: own[0] for name, own in packets(page).items()}
    assert len(drawn["links"]["sides"][0]["labels"]) == 5
    sides = [*drawn["links"]["sides"], header["rows"], header["columns"]]
    glance = next(own for own in drawn.values() if "query_positions" in own)
    said_at = [*(side["positions"] for side in sides), glance["query_positions"], glance["key_positions"]]
    assert all(at[:3] == [0, "1–4", 5] for at in said_at), "a phrase is where it begins and ends, in every picture"
    said = text(page)
    assert "To update a fluffy blue creature (1–4), head 2.5 looks at" in said
    assert "Its 4 tokens ask as one: this is the mean of their rows." in said
    assert "What a phrase receives is the sum over its tokens." in said
    assert (
        "‘a fluffy blue creature’ as one: it receives what its tokens receive together (a sum over keys)"
        in (header["explains"])
    )
    assert "checked" in said and "hidden, joined or averaged" in said
    on_sink = rows[1, [0, -1]].sum() * 100
    assert f"{on_sink:.0f} %on [CLS] [SEP]" in said, "the numbers below are the phrase's, too"


def test_a_phrase_that_looks_at_itself_is_called_one() -> None:
    assert "looks at the phrase itself (" in text(
        open_page("all_heads", text=TEXT, layer=0, head=3, spans="2-4", query=2)
    )


def test_the_table_and_files_say_the_phrase(trace: ac.Trace) -> None:
    found = table(opened(spans="1-4", query=1, face="table"), "position")
    assert found.loc[found["key"] == "a fluffy blue creature", ["position", "last"]].values.tolist() == [[1, 4]]
    view = View(trace, 2, 5, spans=((1, 4),))
    lines = list(files.rows(view))
    weight = {line[1] + line[3]: line[4] for line in lines[1:]}["roama fluffy blue creature"]
    assert float(weight) == pytest.approx(trace.pattern(2, 5)[5, 1:5].sum(), abs=1e-6)
    assert "‘a fluffy blue creature’ as one: summed over keys, averaged over queries" in view.caption()
    content = json.loads(files.json(view))
    assert content["link"]["spans"] == "1-4" and content["keys"][1]["positions"] == [1, 2, 3, 4]
    names: dict[str, object] = {}
    exec(view.as_python().replace("Showing(view)", ""), names)
    np.testing.assert_array_equal(names["view"].pattern, view.pattern)  # type: ignore[attr-defined]


def test_phrases_are_made_and_parted_by_a_plain_control() -> None:
    load("minilm")
    page = opened(query=2)
    page.session_state["phrases"] = True
    checked(page.run())
    checked(page.selectbox(key="span_last").set_value(4).run())
    checked(page.button(key="span_join").click().run())
    assert page.query_params["spans"] in ("2-4", ["2-4"])
    assert "fluffy blue creature" in packets(page)["heatmap"][0]["rows"]["texts"]
    page.session_state["phrases"] = True
    checked(page.run())
    checked(page.button(key="span_part_2").click().run())
    assert page.query_params["spans"] in ("", [""]) and "fluffy" in packets(page)["heatmap"][0]["rows"]["texts"]


def test_rows_marked_in_the_map_take_in_what_reaches_into_them(monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, object] = {"spans": ((1, 2), (5, 6))}
    monkeypatch.setattr(spans.st, "session_state", held)
    spans.join(2, 4)
    assert held["spans"] == ((1, 4), (5, 6)), "(1, 2) reaches into it"
    spans.join(4, 4)
    assert held["spans"] == ((1, 4), (5, 6)), "one token is no phrase"
    spans.join(2, 3)
    assert held["spans"] == ((1, 4), (5, 6)), "what lies within a phrase is in it already"
    held["key"] = 3
    spans.take_apart((1, 4))
    assert held["spans"] == ((5, 6),) and held["key"] is None, "keys are counted anew"


def test_another_sentence_has_no_phrases_and_a_wrong_link_says_so() -> None:
    load("minilm")
    page = opened(spans="1-4", query=2)
    checked(page.text_area(key="text").set_value("one bird").run())
    assert page.query_params["spans"] in ("", [""])
    assert "The link names a phrase that this sentence does not have" in notes(opened(spans="6-9"))
    assert "phrases are written like 2-4_8-9" in notes(opened(spans="4-1"))
    for wrong in ("1-3_2-4", "x", "3-3", "1-3_3-4"):
        with pytest.raises(ValueError, match="phrases are written like 2-4_8-9"):
            spans.SPANS.parse(wrong, {})


def test_with_whole_words_a_phrase_takes_in_every_word_that_it_touches(trace: ac.Trace) -> None:
    header, cells = packets(opened(spans="4-5", unit="words", specials="hide", query=4))["heatmap"]
    assert "creature roamed" in header["rows"]["texts"]
    np.testing.assert_allclose(cells.sum(axis=1), 1, atol=1e-5)
