"""Study, run as a page: typed and uploaded sentences, rules, groups, limits, a study that was stopped, and links."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import page_driver
import pandas as pd
import pytest
from page_driver import checked, everything, html, lead, load, notes, open_page, packets, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.study import merge
from attn_core.study.batches import fingerprint
from attn_core.study.run import Plan, as_sentences, iter_study, run_study
from attn_core.study.texts import Columns, Sentence
from attn_core.text.numbers import percent
from ui.server import loading, passes, shared
from ui.server.cache import key_of
from ui.study import asked, cards, computing, inputs, kept, params

TEXTS = [
    f"the {a} creature {v} in the {p}" for a in ("blue", "old") for v in ("ate", "slept") for p in ("forest", "tower")
]
opened = partial(open_page, "study", model="tiny-decoder", every_fold=True)


def lines(texts: list[str]) -> str:
    return "\n".join(texts)


def button(page: AppTest, key: str):  # type: ignore[no-untyped-def]
    return next((each for each in page.button if each.key == key), None)


def in_the_app(**said: str) -> AppTest:
    """The page among the others: one that runs by itself has no links."""
    page = AppTest.from_file(str(page_driver.ROOT / "app.py"), default_timeout=300)
    page.switch_page("pages/study.py")
    for name, value in {"v": "1", **said}.items():
        page.query_params[name] = value
    return checked(page.run())


def of(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    return frame[frame.measure == measure].reset_index(drop=True)


# --- What it opens with -----------------------------------------------------------------------------------------------


def test_the_first_screen_is_a_study_of_the_pages_own_sentences() -> None:
    page = open_page("study")
    assert len(params.FIRST) >= 20  # so that every mean has an interval
    expected = of(ac.run_study(load("minilm"), params.FIRST).frame(), "delta_share")
    best = expected.loc[expected["mean"].idxmax()]
    mean, low, high = (percent(best[name]) for name in ("mean", "low", "high"))
    assert lead(page) == (
        f"Over {len(params.FIRST)} sentences, share of ΔE is on average highest in head {best.layer}.{best['head']}: "
        f"{mean}, 95 % interval {low} to {high}."
    )
    header, _ = packets(page)["study_map"]
    np.testing.assert_allclose(np.ravel(header["values"]), expected["mean"], atol=1e-6)
    shown = table(page, "low")
    assert list(shown) == ["head", "mean", "low", "high", "n"] and len(shown) == 72
    np.testing.assert_allclose(shown["mean"], 100 * expected["mean"].sort_values(ascending=False), atol=1e-4)
    assert (
        (shown.low <= shown["mean"]).all()
        and "checked" in text(page)
        and f"{len(params.FIRST)} sentences" in text(page)
    )


def test_every_model_that_reads_text_opens_with_sentences_of_its_own() -> None:
    page = opened()
    assert "a value of this measure" not in notes(page) and len(table(page, "n")) == 8
    page = open_page("study", model="tiny-translator", stream="cross")
    assert len(packets(page)["study_map"][0]["values"]) == 2
    assert " ||| " in html(page)  # pairs at both ends
    page = open_page("study", model="tiny-translator", stream="cross", study_measure="distance")
    assert page.session_state["study_measure"] != "distance"  # between two sentences it means nothing


# --- Typed sentences --------------------------------------------------------------------------------------------------


def test_typed_sentences_give_what_the_library_gives_and_each_opens_in_all_heads() -> None:
    said = {"model": "tiny-decoder", "sentences": lines([*TEXTS, "", TEXTS[0]]), "study_measure": "sink"}
    page = in_the_app(**said, layer="1", head="2")
    result = run_study("tiny-decoder", [*TEXTS, TEXTS[0]])
    header, _ = packets(page)["study_map"]
    np.testing.assert_allclose(np.ravel(header["values"]), of(result.frame(), "sink")["mean"], atol=1e-6)
    assert "1 of them say what another one says" in text(page) and "an interval would be too narrow" in text(page)
    assert "low" not in table(page, "n")
    values = result.values(1, 2, "sink")
    links = [each.proto for each in page.get("page_link") if "head=2" in each.proto.query_string]
    asked_for = [parse_qs(link.query_string)["text"][0] for link in links]
    assert asked_for[:4] == list(values.text[:4]) and values.text.iloc[-1] in asked_for
    assert {parse_qs(link.query_string)["layer"][0] for link in links} == {"1"}


def test_pairs_of_a_translator_open_where_translations_are_looked_at() -> None:
    pairs = {"the small blue car": "la petite voiture bleue", "the cat eats": "le chat mange"}
    typed = lines([f"{source} ||| {target}" for source, target in pairs.items()])
    page = in_the_app(model="tiny-translator", sentences=typed, stream="cross", study_measure="sink", layer="1")
    links = [each.proto for each in page.get("page_link") if "target=" in each.proto.query_string]
    said = [parse_qs(link.query_string) for link in links]
    assert {own["text"][0]: own["target"][0] for own in said} == pairs and {link.page for link in links} == {
        "cross_attention"
    }
    assert {(own["layer"][0], own["stream"][0]) for own in said} == {("1", "cross")}
    assert "checked" in text(page) and "2 sentences, 24 heads" in text(page)


def test_pairs_of_a_model_with_segments_open_as_pairs() -> None:
    pairs = {"the cat sat": "an animal sat", "it rained": "the street was wet"}
    typed = lines([f"{first} ||| {second}" for first, second in pairs.items()])
    page = in_the_app(model="minilm", sentences=typed, study_measure="sink", layer="1")
    said = [
        parse_qs(each.proto.query_string) for each in page.get("page_link") if "second_text=" in each.proto.query_string
    ]
    assert {own["text"][0]: own["second_text"][0] for own in said} == pairs and {own["layer"][0] for own in said} == {
        "1"
    }


def test_too_few_sentences_and_wrong_rules_are_said_and_what_was_typed_stays() -> None:
    page = opened(sentences="the creature")
    assert "at least 2 sentences" in notes(page) and lead(page).startswith("What does each head do")
    assert page.text_area(key="sentences").value == "the creature" and "study_map" not in packets(page)
    for rule, problem in (("/(/", "is no regular expression"), ("/((a{99}){99}){99}/", "repeats too much")):
        page = opened(sentences=lines(TEXTS), rule_from=rule)
        assert "Your rule cannot be read" in notes(page) and problem in notes(page)
        assert page.text_input(key="rule_from").value == rule
    page = opened(sentences=lines([*TEXTS, "a" * 40 + "!"]), rule_from="/(a|aa)+$c/", rule_to="*")
    assert "takes too long: write a simpler one" in text(page)
    assert page.text_area(key="sentences").value.startswith(TEXTS[0])


def test_a_rule_of_ones_own_is_a_measure_among_the_others() -> None:
    page = opened(
        sentences=lines(TEXTS),
        rule_from="ate slept",
        rule_to="/creat.*/",
        rule_where="nearest before",
        study_measure="rule",
    )
    expected = run_study("tiny-decoder", TEXTS, rules=["rule = ate slept -> /creat.*/, nearest before"]).frame()
    header, _ = packets(page)["study_map"]
    np.testing.assert_allclose(np.ravel(header["values"]), of(expected, "rule")["mean"], atol=1e-6)
    best = of(expected, "rule").sort_values("mean").iloc[-1]
    highest = f"in head {best.layer}.{best['head']}: {percent(best['mean'])}"
    assert lead(page) == f"Over 8 sentences, your rule is on average highest {highest}."
    assert "the share of its weight that follows the rule ate slept -&gt; /creat.*/, nearest before" in html(page)
    page.text_input(key="rule_from").set_value("").run()
    checked(page.text_input(key="rule_to").set_value("").run())
    assert page.session_state["study_measure"] != "rule"  # a measure that is not there gives way


def test_what_is_typed_is_text() -> None:
    hostile = [
        "<script>alert(1)</script> the creature",
        "![i](http://example.org/i.png) :red[x]",
        "$x$ **b** \u202etfel",
    ]
    page = opened(sentences=lines(hostile), rule_from="<b>x</b>", rule_to="*")
    assert "<script>" not in html(page) and "<b>x</b>" not in html(page)
    assert all("](http" not in each.proto.label for each in page.get("page_link"))
    assert "\u202e" not in str([each.proto.label for each in page.get("page_link")])


# --- Two groups -------------------------------------------------------------------------------------------------------


def test_two_boxes_are_two_groups_and_their_difference_is_the_librarys() -> None:
    others = [each.replace("creature", "cat") for each in TEXTS]
    page = opened(sentences=lines(TEXTS), two_groups=1, other_sentences=lines(others), study_measure="entropy")
    result = run_study("tiny-decoder", [*TEXTS, *others], groups=["A"] * 8 + ["B"] * 8)
    expected = of(result.compare("A", "B"), "entropy")
    header, _ = packets(page)["study_groups"]
    np.testing.assert_allclose(np.ravel(header["values"]), expected.difference, atol=1e-5)
    shown = table(page, "q")
    np.testing.assert_allclose(shown.p, expected.p.sort_values(), rtol=1e-3)
    sure = int((expected.q < 0.05).sum())
    most = expected.sort_values("p").iloc[0]
    bits = " against ".join(f"{mean:.2f} bits" for mean in (most.mean_first, most.mean_second))
    head = f"{most.layer}.{most['head']}"
    assert sure > 1 and lead(page) == (
        f"Between A and B {sure} of {len(expected)} heads differ in entropy, most surely head {head}: {bits}."
    )
    assert {"A", "B", "difference"} <= {*shown} and button(page, "study_groups_csv") is None  # a download, no button


def test_a_second_group_without_sentences_is_asked_for() -> None:
    page = opened(sentences=lines(TEXTS), two_groups=1)
    assert "Group B has no sentence yet" in notes(page)


# --- Files ------------------------------------------------------------------------------------------------------------


def upload(page: AppTest, name: str, body: bytes) -> AppTest:
    page.file_uploader[0].set_value((name, body, "text/csv"))
    return checked(page.run())


def test_a_table_is_read_by_its_columns_with_groups_and_labels() -> None:
    tags = " ".join(["D", "A", "N", "V", "P", "D", "N"])
    rows = pd.DataFrame({"id": range(8), "sentence": TEXTS, "half": ["x", "y", "z", "x"] * 2, "tags": [tags] * 8})
    page = opened(sentences_from="file", rule_from="label:V", rule_to="label:A", study_measure="rule")
    assert "Choose a file" in notes(page)
    page = upload(page, "texts.csv", rows.to_csv(index=False).encode())
    assert page.selectbox(key="study_column").value == "sentence"
    page.selectbox(key="study_labels").set_value(3).run()
    checked(page.selectbox(key="study_group").set_value(2).run())
    labels = [tags.split()] * 8
    expected = run_study("tiny-decoder", TEXTS, rules=["rule = label:V -> label:A"], labels=labels).frame()
    checked(page.selectbox(key="study_measure").set_value("rule").run())  # it had no value before there were labels
    values = np.ravel(packets(page)["study_map"][0]["values"])
    np.testing.assert_allclose(values, of(expected, "rule")["mean"], atol=1e-6)
    assert (page.selectbox(key="study_first").value, page.selectbox(key="study_second").value) == ("x", "y")
    groups = [group if group in "xy" else "other" for group in rows.half]
    compared = run_study("tiny-decoder", TEXTS, groups=groups).compare("x", "y")
    checked(page.selectbox(key="study_measure").set_value("entropy").run())
    values = np.ravel(packets(page)["study_groups"][0]["values"])
    np.testing.assert_allclose(values, of(compared, "entropy").difference, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("x.jsonl", b"{", "This is no JSONL file: line 1 is no JSON"),
        ("x.csv", b"," * 200, "more than 100 columns"),
        ("x.txt", b"one line", "at least 2 sentences"),
        ("x.parquet", b"PAR1", "Choose a file"),  # not taken: it would have to be unpacked
    ],
)
def test_what_is_wrong_with_a_file_is_said(name: str, body: bytes, problem: str) -> None:
    page = upload(opened(sentences_from="file"), name, body)
    assert problem in notes(page)


def test_a_column_of_too_many_groups_is_refused() -> None:
    body = ("text,group\n" + "".join(f"the creature,{i}\n" for i in range(60))).encode()
    page = upload(opened(sentences_from="file"), "x.csv", body)
    checked(page.selectbox(key="study_group").set_value(1).run())
    assert "60 different values: to name groups, it may have 2 to 50" in notes(page)


def test_a_second_column_makes_pairs() -> None:
    rows = pd.DataFrame({"premise": ["the cat sat", "it rained"], "hypothesis": ["an animal sat", "it was dry"]})
    page = upload(open_page("study", sentences_from="file"), "x.csv", rows.to_csv(index=False).encode())
    checked(page.selectbox(key="study_second_column").set_value(1).run())
    expected = of(run_study("minilm", list(rows.itertuples(index=False, name=None))).frame(), "delta_share")
    values = np.ravel(packets(page)["study_map"][0]["values"])
    np.testing.assert_allclose(values, expected["mean"], atol=1e-6)


def test_a_folder_of_this_computer_is_read_and_the_lines_of_python_name_it(tmp_path: Path) -> None:
    for number, texts in enumerate((TEXTS[:3], TEXTS[3:])):
        rows = pd.DataFrame({"text": texts, "half": ["x", "y"] * (len(texts) // 2) + ["x"] * (len(texts) % 2)})
        rows.to_json(tmp_path / f"{number}.jsonl", orient="records", lines=True)
    page = opened(sentences_from="folder")
    assert "Every text, CSV, TSV, JSONL and Parquet file" in notes(page)
    checked(page.text_input(key="study_folder").set_value(str(tmp_path / "no")).run())
    assert "cannot be read: No such file" in notes(page)
    checked(page.text_input(key="study_folder").set_value(str(tmp_path)).run())
    checked(page.selectbox(key="study_group").set_value(1).run())
    expected = run_study("tiny-decoder", TEXTS, groups=["x", "y", "x", "x", "y", "x", "y", "x"]).compare("x", "y")
    values = np.ravel(packets(page)["study_groups"][0]["values"])
    np.testing.assert_allclose(values, of(expected, "delta_share").difference, atol=1e-5)
    page = opened(sentences_from="folder", study_folder=str(tmp_path), menus=True)
    (code,) = [block.value for block in page.code if "run_study" in block.value]
    names: dict[str, object] = {}
    exec(code, names)
    assert names["result"].frame().equals(run_study("tiny-decoder", TEXTS).frame())


def test_a_data_set_is_fetched_at_a_click_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = []

    def brought(*said: str, most: int) -> dict[str, list[str]]:
        asked_for.append((*said, most))
        return {"id": list("abcdefgh"), "sentence": TEXTS}

    monkeypatch.setattr(inputs, "data_set", brought)
    link = {"sentences_from": "data_set", "data_set": "some/sentences", "data_split": "train"}
    page = opened(**link)
    assert not asked_for and "Its rows come from huggingface.co" in notes(page)
    checked(button(page, "fetch_data_set").click().run())
    assert asked_for == [("some/sentences", "", "train", 10_001)]
    assert "8 sentences, 8 heads" in text(page) and "8 sentences, 8 heads" in text(opened(**link))
    assert len(asked_for) == 1


def test_strangers_name_no_folder_and_no_data_set(operator_sets, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "secret.txt").write_text("\n".join(TEXTS))
    operator_sets(HEADLIGHT_MODE="public")
    for link in ({"study_folder": str(tmp_path)}, {"data_set": "some/sentences"}):
        page = opened(sentences_from="folder" if "study_folder" in link else "data_set", **link)
        assert page.session_state["sentences_from"] == "typed" and "it must be one of typed, file" in notes(page)
        assert [each.key for each in page.text_input if each.key in link] == []


# --- Limits, stop, go on ----------------------------------------------------------------------------------------------


def test_a_hosted_server_reads_as_many_sentences_as_its_operator_says(operator_sets) -> None:  # type: ignore[no-untyped-def]
    assert asked.limit() == 10_000
    operator_sets(HEADLIGHT_MODE="public")
    assert asked.limit() == asked.PUBLIC
    operator_sets(HEADLIGHT_MODE="public", HEADLIGHT_STUDY="5")
    page = opened(sentences=lines(TEXTS))
    assert "The first 5 sentences are read; 3 more are left out here" in notes(page)
    assert "5 sentences, 8 heads" in text(page)
    operator_sets(HEADLIGHT_MODE="public", HEADLIGHT_PAGE_TOKENS2="100")
    assert "more than one page of this server computes" in everything(opened(sentences=lines(TEXTS[1:])))


def test_each_batch_takes_its_turn_and_what_takes_long_waits_for_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    read = passes.read_uncached

    def counted(model, texts):  # type: ignore[no-untyped-def]
        taken.append(len(texts))
        return read(model, texts)

    monkeypatch.setattr(passes, "read_uncached", counted)
    monkeypatch.setattr(computing, "AT_ONCE", 0)
    texts = [f"{each} {i}" for i in range(5) for each in TEXTS]
    page = opened(sentences=lines(texts))
    assert taken == [] and lead(page).startswith("What does each head do")
    assert button(page, "read_study").label == "Read these 40 sentences"
    checked(button(page, "read_study").click().run())
    assert sum(taken) == 40 and max(taken) <= 32 and "40 sentences, 8 heads" in text(page)
    assert button(page, "stop_study") is None  # it is over
    checked(page.run())
    assert sum(taken) == 40  # kept
    again = opened(sentences=lines(texts))
    assert sum(taken) == 40 and "40 sentences" in text(again)  # for everybody


def test_a_study_that_was_stopped_shows_what_is_done_and_goes_on() -> None:
    texts = [f"{each} once more {i}" for i in range(9) for each in TEXTS]
    load("tiny-decoder")
    handle = loading.model("tiny-decoder")
    assert handle is not None
    sentences = as_sentences(texts)
    begun = next(iter_study(handle.value(), sentences, Plan()))
    key = ("study", key_of(handle), fingerprint(sentences), ())
    shared.STATE.traces.put(key, begun, begun.n_bytes)
    page = opened(sentences=lines(texts))
    assert f"Stopped: {begun.n} of 72 sentences are read" in text(page) and f"{begun.n} sentences, 8 heads" in text(
        page
    )
    checked(button(page, "read_study").click().run())
    assert "72 sentences, 8 heads" in text(page) and button(page, "read_study") is None
    whole = shared.STATE.traces.get(key)
    assert whole.frame().equals(run_study("tiny-decoder", texts).frame())


def test_a_saved_study_goes_on_from_its_file_and_a_whole_one_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{each} from a file {i}" for i in range(9) for each in TEXTS]
    monkeypatch.setattr(computing, "AT_ONCE", 0)
    model, sentences = load("tiny-decoder"), as_sentences(texts)
    begun = next(iter_study(model, sentences, Plan()))
    page = opened(sentences=lines(texts))
    page = put_in(page, kept.content(begun))
    assert f"Stopped: {begun.n} of 72 sentences are read" in text(page)
    assert "holds another study" in notes(put_in(opened(sentences=lines(texts[1:])), kept.content(begun)))
    assert "This is not the file of a study" in notes(put_in(opened(sentences=lines(texts[1:])), b"PAR1"))
    checked(button(page, "read_study").click().run())
    expected = run_study(model, texts).frame()
    found = shared.STATE.traces.get(("study", key_of(loading.model("tiny-decoder")), fingerprint(sentences), ()))
    assert found.frame().equals(expected)  # type: ignore[union-attr]
    parts = [run_study(model, texts[2:], shard=(k, 2)) for k in range(2)]
    page = opened(sentences=lines(texts[2:]))
    assert "holds another study" in notes(put_in(page, kept.content(parts[0])))  # one of two shards
    page = put_in(page, kept.content(merge(parts)))
    assert "70 sentences, 8 heads" in text(page) and button(page, "read_study") is None
    page = put_in(page, b"PAR1")  # also where all is read already
    assert "This is not the file of a study" in notes(page) and "70 sentences, 8 heads" in text(page)


def test_strangers_put_in_no_file_that_would_have_to_be_unpacked(operator_sets) -> None:  # type: ignore[no-untyped-def]
    operator_sets(HEADLIGHT_MODE="public")
    assert not opened(sentences=lines(TEXTS)).file_uploader


def put_in(page: AppTest, body: bytes) -> AppTest:
    page.file_uploader(key="kept_study_file").set_value(("study.parquet", body, "application/octet-stream"))
    return checked(page.run())


# --- What can be taken away -------------------------------------------------------------------------------------------


def test_the_files_hold_the_whole_table_and_the_lines_of_python_give_it() -> None:
    frame = run_study("tiny-decoder", TEXTS).frame()
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(cards._parquet(frame))), frame)
    assert len(pd.read_csv(io.StringIO(cards._csv(frame)))) == len(frame)
    page = open_page("study", model="tiny-decoder", sentences=lines(TEXTS), rule_from="ate", rule_to="*", menus=True)
    (code,) = [block.value for block in page.code if "run_study" in block.value]
    names: dict[str, object] = {}
    exec(code, names)
    result = names["result"]
    assert result.about.rules == ("rule = ate -> *, anywhere",)
    assert result.n == len(TEXTS)


def test_sentences_of_lines_and_tables() -> None:
    found = asked.typed("a b\n\n le chat ||| the cat \n", None)
    assert [own.text for own in found.sentences] == ["a b", ("le chat", "the cat")] and found.groups is None
    two = asked.of_table({"t": ["a b", "c", "d"], "g": ["1", "2", "3"]}, Columns("t", group="g"), ("1", "2"))
    assert two.sentences == (Sentence("a b", "1"), Sentence("c", "2"), Sentence("d", asked.OTHER))
