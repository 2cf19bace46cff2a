"""The page Why there?, seen as the flow behind a word: its shares are the library's, in picture and table."""

from __future__ import annotations

import numpy as np
import pytest
from page_driver import array, figure, html, lead, load, notes, open_page, table, text

import attn_core as ac
from attn_core.circuits.flow import disagreement, flow
from attn_core.text.numbers import percent

STARTER = "a fluffy blue creature roamed the verdant forest"
CREATURE = 4


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def page():
    return open_page("why_there", why="flow", query=CREATURE, folds=True, menus=True)


def test_the_headline_names_the_three_largest_shares(page, trace):
    shares = flow(trace.stream(), "alti").behind(6)[CREATURE]
    said = []
    for i in np.argsort(-shares[:-1])[:3]:
        said.append(f"{percent(float(shares[i]))} from {'itself' if i == CREATURE else trace.tokens.labels[i]}")
    assert lead(page) == f"What creature is in the end came {', '.join(said)}."


def test_the_picture_has_lines_as_wide_as_the_flow_and_points_that_say_their_share_and_heads(page, trace):
    found, drawn = flow(trace.stream(), "alti"), figure(page, "flow_picture")
    reach = found.reach(CREATURE, 6)
    lines = [part for part in drawn["data"] if part["mode"] == "lines"]
    last = [line for line in lines if line["y"] == [5, 6]]
    assert all(line["x"][1] == CREATURE for line in last)
    for line in last:
        assert line["line"]["width"] == pytest.approx(0.8 + 13 * found.edges[5][CREATURE, line["x"][0]])
    (points,) = (part for part in drawn["data"] if part["mode"] == "markers")
    itself = [said for said in points["text"] if said.startswith(f"creature before layer 0: <b>{percent(reach[0, 4])}")]
    assert len(itself) == 1
    sizes = np.linalg.norm(trace.stream().heads_delta_e(5, CREATURE), axis=1)
    assert f"mostly through heads 5.{sizes.argmax()} ({percent(sizes.max() / sizes.sum())})" in " ".join(points["text"])
    assert array(points["y"]).max() == 6 and drawn["layout"]["xaxis"]["ticktext"][-1] == "bias"


@pytest.mark.parametrize("measure", ["norms", "rollout"])
def test_another_measure_gives_its_own_shares(trace, measure):
    shares = flow(trace.stream(), measure).behind(6)[CREATURE]
    page = open_page("why_there", why="flow", flow=measure, query=CREATURE)
    best = int(np.argsort(-shares[:-1])[0])
    first = f"{percent(float(shares[best]))} from {'itself' if best == CREATURE else trace.tokens.labels[best]}"
    assert lead(page).startswith(f"What creature is in the end came {first}, ")


def test_itself_sinks_bias_and_disagreement_are_said_and_all_is_in_the_table(page, trace):
    shares = {name: flow(trace.stream(), name).behind(6)[CREATURE] for name in ("rollout", "norms", "alti")}
    own = shares["alti"]
    sink = own[0] + own[len(trace.tokens) - 1]
    for number, what in (
        (own[CREATURE], "from itself"),
        (sink, "from [CLS] [SEP], often just a resting place"),
        (own[-1], "from biases and the shift of norms"),
        (disagreement(own, shares["rollout"]), "of the flow lies elsewhere by rollout"),
    ):
        assert f"{percent(float(number))}{what}" in text(page), what
    every = table(page, "alti")
    for name, column in shares.items():
        np.testing.assert_allclose(every[name], column, atol=1e-6)
    assert every["word"].iloc[-1] == "bias" and len(every) == len(trace.tokens) + 1
    assert "flow(trace.stream(), 'alti')" in "\n".join(code.value for code in page.code)


def test_a_decoder_with_an_encoder_is_refused_with_the_reason_and_a_long_text_with_what_fits(monkeypatch):
    refused = open_page("why_there", why="flow", model="tiny-translator", stream="cross")
    assert "A decoder’s words" in text(refused).replace("'", "’") and "two sentences" in text(refused)
    monkeypatch.setattr("ui.why_there.flow_view.budget.fitting", lambda reads: 170)
    assert "up to 170 tokens would fit" in notes(open_page("why_there", why="flow"))


def test_what_was_typed_is_text_in_the_flow_too():
    page = open_page("why_there", why="flow", text="<b>x</b> $y$ said", query=2)
    assert "<b>x</b>" not in html(page)
