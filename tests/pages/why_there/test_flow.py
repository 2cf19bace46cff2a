"""The page Why there?, seen as the flow behind a word: its shares are the library's, in picture and table."""

from __future__ import annotations

from html import escape

import numpy as np
import pytest
from page_driver import array, figure, html, lead, load, notes, open_page, table, text

import attn_core as ac
from attn_core.circuits.flow import disagreement, flow, layer_edges
from attn_core.circuits.logit_flow import logit_top
from attn_core.figures.circuits.flow import flow_lines
from attn_core.prediction.next_token import next_words
from attn_core.text.numbers import percent, signed

STARTER = "a fluffy blue creature roamed the verdant forest"
CREATURE = 4


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def page():
    return open_page("why_there", why="flow", query=CREATURE, every_fold=True, menus=True)


def came(trace, measure, query=CREATURE):
    """The headline, from the library's shares."""
    shares, labels = flow(trace.stream(), measure).behind(trace.n_layers)[query], trace.tokens.labels
    three = np.argsort(-shares[:-1])[:3]
    said = [f"{percent(float(shares[i]))} from {'itself' if i == query else labels[i]}" for i in three]
    return f"The final vector of {labels[query]} came {', '.join(said)}."


def test_the_headline_names_the_three_largest_shares(page, trace):
    assert lead(page) == came(trace, "alti")


def test_the_picture_has_lines_as_wide_as_the_flow_and_points_that_say_their_share_and_heads(page, trace):
    found, drawn = flow(trace.stream(), "alti"), figure(page, "flow_picture")
    reach = found.reach(CREATURE, 6)
    lines = [part for part in drawn["data"] if part["mode"] == "lines"]
    last = [line for line in lines if line["y"] == [5, 6]]
    assert all(line["x"][1] == CREATURE for line in last)
    for line in last:
        assert line["line"]["width"] == pytest.approx(0.8 + 13 * found.edges[5][CREATURE, line["x"][0]])
    (points,) = (part for part in drawn["data"] if part.get("name") == "points")
    itself = [said for said in points["text"] if said == f"<b>creature before layer 0: {percent(reach[0, 4])}</b>"]
    assert len(itself) == 1
    sizes = np.linalg.norm(trace.stream().heads_delta_e(5, CREATURE), axis=1)
    assert f"mostly through heads 5.{sizes.argmax()} ({percent(sizes.max() / sizes.sum())})" in " ".join(points["text"])
    assert array(points["y"]).max() == 6 and drawn["layout"]["xaxis"]["ticktext"][-1] == "bias"


def test_each_line_says_its_share_and_the_heads_that_carried_it_and_all_are_in_a_table(page, trace):
    found, drawn = flow(trace.stream(), "alti"), figure(page, "flow_picture")
    (middles,) = (part for part in drawn["data"] if part.get("name") == "middles")
    lengths = np.array(
        [
            trace.pattern(5, head)[CREATURE, 2] * np.linalg.norm(trace.value(5, head)[2] @ trace.w_o(5, head))
            for head in range(12)
        ]
    )
    best = lengths.argmax()
    said = f"fluffy → creature in layer 5: {percent(float(found.edges[5][CREATURE, 2]))}"
    heads = f"mostly through heads 5.{best} ({percent(float(lengths[best] / lengths.sum()))})"
    (line,) = (text for text in middles["text"] if text.startswith(f"<b>{said}"))
    assert heads in line
    rows = table(page, "heads")
    assert len(rows) == len(middles["text"]) == len(drawn["data"]) - 2
    (row,) = rows[(rows["layer"] == 5) & (rows["from"] == "fluffy") & (rows["to"] == "creature")].itertuples()
    assert row.heads.startswith(heads) and row[4] == pytest.approx(100 * found.edges[5][CREATURE, 2], abs=1e-3)
    assert rows["share %"].is_monotonic_decreasing


@pytest.mark.parametrize("measure", ["norms", "rollout"])
def test_another_measure_gives_its_own_shares(trace, measure):
    page = open_page("why_there", why="flow", flow=measure, query=CREATURE)
    assert lead(page) == came(trace, measure)


def test_itself_sinks_bias_and_disagreement_are_said_and_all_is_in_the_table(page, trace):
    shares = {name: flow(trace.stream(), name).behind(6)[CREATURE] for name in ("rollout", "norms", "alti")}
    own = shares["alti"]
    sink = own[0] + own[len(trace.tokens) - 1]
    for number, what in (
        (own[CREATURE], "from itself"),
        (sink, "from [CLS] [SEP], often just a resting place"),
        (own[-1], "from biases and the shift of norms"),
        (disagreement(own, shares["rollout"]), "of the flow lies elsewhere by rollout"),
        (disagreement(own, shares["norms"]), "of the flow lies elsewhere by the norms"),
    ):
        assert f"{percent(float(number))}{what}" in text(page), what
    every = table(page, "alti")
    for name, column in shares.items():
        np.testing.assert_allclose(every[name], column, atol=1e-6)
    assert every["word"].iloc[-1] == "bias" and len(every) == len(trace.tokens) + 1
    assert "flow(trace.stream(), 'alti')" in "\n".join(code.value for code in page.code)


def test_a_word_that_a_measure_cannot_split_is_undefined_and_never_spread_evenly(monkeypatch):
    """One row of one layer in which no part is positive: said, no bars, and nothing in its column of the table."""

    def with_an_undefined_row(stream, layer, *given):
        found = layer_edges(stream, layer, *given)
        if layer == 5:
            found["alti"][3] = np.nan
        return found

    monkeypatch.setattr("ui.why_there.flow.layer_edges", with_an_undefined_row)
    shown = open_page("why_there", why="flow", text="a small fluffy fox slept", query=3, every_fold=True)
    said = "This measure cannot split the final vector of fluffy: at some place on the way no part is positive."
    assert lead(shown) == said and said in notes(shown) + lead(shown)
    every = table(shown, "alti")
    assert every["alti"].isna().all() and every[["rollout", "norms"]].notna().all().all()
    assert "elsewhere by" not in text(shown) and "from itself" not in text(shown)
    other = open_page("why_there", why="flow", text="a small fluffy fox slept", query=4, every_fold=True)
    assert lead(other) == came(ac.trace(load("minilm"), "a small fluffy fox slept"), "alti", 4)


def test_a_decoder_with_an_encoder_is_refused_with_the_reason_and_a_long_text_with_what_fits(monkeypatch):
    refused = open_page("why_there", why="flow", model="tiny-translator", stream="cross")
    assert "A decoder’s words" in text(refused).replace("'", "’") and "two sentences" in text(refused)
    monkeypatch.setattr("ui.why_there.flow_view.budget.fitting", lambda reads: 170)
    assert "up to 170 tokens would fit" in notes(open_page("why_there", why="flow"))


def test_what_was_typed_is_text_in_the_flow_too():
    page = open_page("why_there", why="flow", text="<b>x</b> $y$ said", query=2)
    assert "<b>x</b>" not in html(page)


# ------------------------------------------------------------------------------------- from the next word's logit down


@pytest.fixture(scope="module")
def decoder() -> ac.Trace:
    return ac.trace(load("tiny-decoder"), STARTER)


@pytest.fixture(scope="module")
def next_page(decoder):
    return open_page(
        "why_there", why="flow", model="tiny-decoder", text=decoder.tokens.text, query=6, top="next", every_fold=True
    )


def comes(decoder, word):
    """The headline of a next word: its chance and logit from all logits, and the library's three largest parts."""
    logits, labels = decoder.logits(6).astype(float), decoder.tokens.labels
    chance = float(np.exp(logits[word] - logits.max()) / np.exp(logits - logits.max()).sum())
    parts = logit_top(decoder.stream(), 6, word).down(flow(decoder.stream(), "alti")).words
    names = [*labels, "biases and shifts", "the MLPs"]
    three = np.argsort(-np.abs(parts))[:3]
    said = [f"{signed(float(parts[i]))} from {'itself' if i == 6 else names[i]}" for i in three]
    start = f"After {labels[6]}, {decoder.stream().word(word)} comes next with {percent(chance)}; its logit is "
    return f"{start}{signed(logits[word] - logits.mean())} against the mean of all words: {', '.join(said)}."


def test_a_causal_models_next_word_is_followed_down_and_the_parts_are_its_logit(next_page, decoder):
    (best, *_) = next_words(decoder.stream(), 5, position=6)
    found = logit_top(decoder.stream(), 6, best.id).down(flow(decoder.stream(), "alti"))
    assert lead(next_page) == comes(decoder, best.id)
    every = table(next_page, "alti")
    np.testing.assert_allclose(every["alti"], found.words, atol=1e-6)
    logits = decoder.logits(6).astype(float)
    for measure in ("alti", "norms", "rollout"):
        assert every[measure].sum() == pytest.approx(logits[best.id] - logits.mean(), abs=1e-4)
    assert list(every["word"][-2:]) == ["bias", "MLPs"]
    assert f"{signed(found.top.mlp)}from the MLPs" in text(next_page)


def test_its_picture_has_dotted_lines_from_the_top_coloured_by_sign(next_page, decoder):
    (best, *_) = next_words(decoder.stream(), 5, position=6)
    top = logit_top(decoder.stream(), 6, best.id)
    drawn, end = figure(next_page, "flow_picture"), len(top.brought) + 0.8
    straight = [part for part in drawn["data"] if part["mode"] == "lines" and part["line"]["dash"] == "dot"]
    assert straight and all(line["x"][1] == 6 and line["y"][1] == end for line in straight)
    for line in straight:
        brought = top.brought[line["y"][0], line["x"][0]]
        whole = np.abs(top.brought).sum() + abs(top.own)
        assert line["line"]["width"] == pytest.approx(0.8 + 13 * abs(brought) / whole)
        assert (line["line"]["color"] == "#406cae") == (brought < 0)
    assert f"<b>{escape(best.word)}</b>" in [note["text"] for note in drawn["layout"]["annotations"]]


@pytest.mark.parametrize(("n_layers", "height"), [(2, 266), (6, 578), (30, 1010), (48, 1166)])
def test_a_deep_model_has_no_taller_picture_than_a_screen_or_two(n_layers, height):
    assert flow_lines(["a", "bias"], [], [], n_layers, 0, theme="light").to_dict()["layout"]["height"] == height


def test_another_of_the_likeliest_next_words_is_put_on_top(decoder):
    second = next_words(decoder.stream(), 5, position=6)[1]
    opened = {"why": "flow", "model": "tiny-decoder", "text": decoder.tokens.text, "query": 6, "top": "next"}
    page = open_page("why_there", nth=2, menus=True, **opened)
    assert lead(page) == comes(decoder, second.id)
    lines: dict[str, object] = {}
    (code,) = [block.value for block in page.code if block.value.startswith("import attn_core")]
    exec(code, lines)
    assert lines["parts"].words.sum() == pytest.approx(lines["parts"].top.logit, abs=1e-4)


def test_a_model_that_predicts_nothing_has_only_the_word_on_top(page):
    assert "Its next word" not in str(page.get("button_group"))
    asked = open_page("why_there", why="flow", query=CREATURE, top="next")
    assert lead(asked) == lead(page)
