"""The ΔE page, run as a page: every number that it shows against the trace, what a link restores, and bad input."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import families
import numpy as np
import pytest
import scipy
import torch
from page_driver import array, figure, html, lead, load, open_page, packets, table, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.residual import decomposition, logit_attribution
from attn_core.text.numbers import percent
from attn_core.traces.stream import StreamTrace

STARTER = "a fluffy blue creature roamed the verdant forest"
LESSON = "a fluffy blue creature roamed the verdant forest . the creature was"
CREATURE = 4
opened = partial(open_page, "delta_e", every_fold=True)


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """The judge: the same sentence, traced outside the page."""
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def first(trace) -> AppTest:
    """The page as a visitor first sees it."""
    return opened()


def on_the_map(page: AppTest) -> np.ndarray:
    """The numbers of the canvas, [layer, head]."""
    return np.array(packets(page)["delta_map"][0]["values"])


# --- Every number on the page -----------------------------------------------------------------------------------------


def test_the_first_screen_is_creature_in_the_starter(first, trace) -> None:
    block = decomposition.decompose_block(trace.stream(), 0, CREATURE)
    sizes = [np.linalg.norm(part.vector) for part in block.parts if part.kind == "head"]
    assert int(np.argmax(sizes)) == int(np.argmax(trace.delta_e_sizes(0)[:, CREATURE]))
    assert lead(first) == said_of(trace, 0, CREATURE, "creature")
    assert "live" in text(first) and "✓ checked" in text(first) and "✓ the parts add up" in text(first)


def said_of(trace, layer: int, query: int, word: str) -> str:
    """The headline: by how much the layer turns the word, which head adds most, and from where most of that came."""
    turn = _angle(trace.embedding(layer)[query], trace.embedding(layer + 1)[query])
    head = int(np.argmax(trace.delta_e_sizes(layer)[:, query]))
    parts = trace.pattern(layer, head)[query][:, None] * (trace.value(layer, head) @ trace.w_o(layer, head))
    along = parts @ parts.sum(axis=0) / np.linalg.norm(parts.sum(axis=0)) ** 2  # of each source, along their sum
    source = int(along.argmax())
    amount = "nearly all" if along[source] > 0.95 else percent(float(along[source]))
    most = f"Head {layer}.{head} adds most, {amount} of it from {trace.tokens.labels[source]}."
    return f"Layer {layer} turns {word} by {turn:.0f}°. {most}"


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


def test_the_table_has_every_part_in_the_order_of_the_block(first, trace) -> None:
    parts = table(first, "cos_final")
    assert parts["part"].tolist() == [
        "E of creature, entering layer 0",
        *(f"+ head 0.{head}" for head in range(12)),
        "+ output bias",
        "+ LayerNorm after attention",
        "+ MLP",
        "+ LayerNorm after the MLP",
        "= E entering layer 1",
    ]
    deltas = np.stack([trace.delta_e(0, head)[CREATURE] for head in range(12)])
    total, bias = trace.attention_output(0)[CREATURE], trace.output_bias(0)
    e, end, final = (x[CREATURE] for x in (trace.embedding(0), trace.embedding(1), trace.final_embedding()))

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    heads = parts.iloc[1:13]
    lengths = np.linalg.norm(deltas, axis=1)
    np.testing.assert_allclose(heads["length"].astype(float), lengths, rtol=1e-4)
    np.testing.assert_allclose(heads["size"].astype(float), 100 * lengths / lengths.sum(), rtol=1e-4)
    np.testing.assert_allclose(
        heads["along"].astype(float), 100 * deltas @ total / (total @ total), rtol=1e-3, atol=0.01
    )
    assert parts["along"].iloc[1:14].astype(float).sum() == pytest.approx(100, abs=0.01)
    for name, other in (("cos_e", e), ("cos_delta", total), ("cos_final", final)):
        np.testing.assert_allclose(heads[name].astype(float), [cosine(d, other) for d in deltas], atol=1e-4)
    assert parts["length"].iloc[0] == pytest.approx(np.linalg.norm(e), rel=1e-5)
    assert parts["length"].iloc[13] == pytest.approx(np.linalg.norm(bias), rel=1e-5)
    assert parts["length"].iloc[15] == pytest.approx(np.linalg.norm(trace.mlp_added(0)[CREATURE]), rel=1e-5)
    assert parts["length"].iloc[17] == pytest.approx(np.linalg.norm(end), rel=1e-5)
    assert parts["source"].iloc[3].startswith("blue (3) 99.9")
    assert parts["towards"].iloc[0].startswith("creature")


def test_the_staircase_ends_at_a_hundred_percent(first) -> None:
    bars = figure(first, "staircase")["data"][0]
    widths, bases = array(bars["x"]), array(bars["base"])
    assert len(widths) == 13 and widths.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(bases[1:], np.cumsum(widths)[:-1], atol=1e-9)


def test_the_map_and_the_layers_are_lengths_of_delta_e(first, trace) -> None:
    sizes = np.stack([trace.delta_e_sizes(layer)[:, CREATURE] for layer in range(6)])
    np.testing.assert_allclose(on_the_map(first), sizes, rtol=1e-4)
    attention, mlp = figure(first, "layer_bars")["data"]
    judge = [np.linalg.norm(trace.attention_output(layer)[CREATURE]) for layer in range(6)]
    np.testing.assert_allclose(array(attention["y"]), judge, rtol=1e-4)
    np.testing.assert_allclose(
        array(mlp["y"]), [np.linalg.norm(trace.mlp_added(i)[CREATURE]) for i in range(6)], rtol=1e-4
    )
    behind = table(first, "MLP")
    np.testing.assert_allclose(behind[[f"head {h}" for h in range(12)]].to_numpy(), sizes, rtol=1e-4)


def test_sources_say_weight_value_and_what_it_adds(first, trace) -> None:
    parts = trace.delta_e_by_source(0, 3, CREATURE)
    delta = trace.delta_e(0, 3)[CREATURE]
    along = parts @ delta / np.linalg.norm(delta)
    drawn = [array(bar["x"])[0] for bar in figure(first, "stacked")["data"]]
    np.testing.assert_allclose(drawn, along, atol=1e-5)
    (rows,) = [
        block.proto.body
        for block in first.get("html")
        if "hl-bars" in block.proto.body and "<table" in block.proto.body
    ]
    said = [re.findall(r"<b>([^<]*)</b>", row) for row in rows.split("<tr")[2:]]
    assert len(said) == 13 and said[2][0] == "19 %" and said[2][2] == f"{along[2]:+.2f}"
    weights = trace.pattern(0, 3)[CREATURE]
    heaviest = trace.tokens.labels[int(weights.argmax())]
    assert f"The largest weight is on {heaviest} (19 %)" in text(first)

    behind = table(first, "‖weight · value‖")
    assert behind["from"].tolist()[4] == "creature (4)"
    sizes = np.linalg.norm(parts, axis=1)
    np.testing.assert_allclose(behind["‖weight · value‖"], sizes, atol=6e-4)
    np.testing.assert_allclose(behind["weight %"], 100 * weights, atol=6e-4)
    np.testing.assert_allclose(behind["‖value‖"], sizes / weights, atol=6e-4)
    np.testing.assert_allclose(behind["of ΔE %"], 100 * along / np.linalg.norm(delta), atol=6e-4)


def test_the_line_of_chance_is_for_all_words_and_both_ends(first, trace) -> None:
    """One in twenty for the whole vocabulary at once, not for each word: exact for independent scores."""
    words = 2 * trace.vocabulary.matrix.shape[0]
    level = scipy.stats.norm.isf(1 - 0.95 ** (1 / words))
    said = f"Of directions without meaning one in twenty has a word beyond the dotted line, at {level:.1f} standard"
    assert f"{said} deviations." in " ".join(text(first).split())
    drawn = figure(first, "words")
    found = array(drawn["data"][0]["x"])
    lines = sorted(line["x0"] for line in drawn["layout"]["shapes"])
    np.testing.assert_allclose(lines, [-level, level], rtol=1e-6)
    beyond = int((np.abs(found) > level).sum())
    verdicts = {0: "none of them passes the dotted line", 1: "one of them passes the dotted line"}
    assert len(found) and verdicts.get(beyond, f"{beyond} of them pass the dotted line") in text(first)


def test_all_numbers_of_delta_e_are_drawn(first, trace) -> None:
    drawn = figure(first, "numbers_map")["data"][0]
    np.testing.assert_allclose(array(drawn["z"]), trace.delta_e(0, 3), atol=1e-6)
    assert drawn["zmin"] == -drawn["zmax"]  # centred on 0
    (behind,) = [frame.value for frame in first.dataframe if frame.value.shape == (13, 384)]
    np.testing.assert_allclose(behind.to_numpy(), trace.delta_e(0, 3), atol=1e-6)


def test_arrows_say_true_lengths_and_angles(first, trace) -> None:
    true = table(first, "turn °")
    starts, moves = trace.embedding(0), trace.delta_e(0, 3)
    np.testing.assert_allclose(true["‖E‖"], np.linalg.norm(starts, axis=1), atol=0.006)
    np.testing.assert_allclose(true["‖ΔE‖"], np.linalg.norm(moves, axis=1), atol=0.006)
    np.testing.assert_allclose(
        true["turn °"], [_angle(a, a + b) for a, b in zip(starts, moves, strict=True)], atol=0.11
    )
    axes = figure(first, "arrows")["layout"]
    assert "of the variance" in axes["xaxis"]["title"]["text"]
    assert axes["yaxis"]["scaleanchor"] == "x"


def test_a_token_that_is_far_away_is_not_drawn_and_said(tmp_path: Path) -> None:
    """As language models make the first one; its numbers stay, and it is drawn where it is the one to follow."""
    made = families.save("gpt2", tmp_path)
    with torch.no_grad():
        made.transformer.wpe.weight[0] *= 1000
    made.save_pretrained(tmp_path)
    said = "whose E is more than 10 times as long as usual"

    def names(page: AppTest) -> list[str]:
        return [str(tip) for part in figure(page, "arrows")["data"] for tip in part.get("customdata") or ()]

    for plane in ("moves", "words"):
        page = opened(model=str(tmp_path), text="one grey fox", layer=1, head=1, query=2, plane=plane)
        first = table(page, "turn °")["word"][0]
        assert f"Not drawn: {first}, {said}" in text(page)
        assert names(page) and not [tip for tip in names(page) if "</b> (0)" in tip]
        assert len(table(page, "turn °")) == len(ac.trace(str(tmp_path), "one grey fox").tokens)
    page = opened(model=str(tmp_path), text="one grey fox", layer=1, head=1, query=0)
    assert said not in text(page) and [tip for tip in names(page) if "</b> (0)" in tip]


# --- What a link restores ---------------------------------------------------------------------------------------------


def test_a_link_restores_layer_head_word_and_picture(trace) -> None:
    page = opened(layer=5, head=3, query=2, measure="end", moves="path", axes=3, numbers="layer", order="variance")
    assert lead(page) == said_of(trace, 5, 2, "fluffy")
    final = trace.final_embedding()[2]
    judge = np.stack([[trace.delta_e(i, h)[2] @ final for h in range(12)] for i in range(6)]) / np.linalg.norm(final)
    np.testing.assert_allclose(on_the_map(page), judge, atol=1e-3)
    assert any(part["type"] == "scatter3d" for part in figure(page, "arrows")["data"])
    route = table(page, "from the start °")
    np.testing.assert_allclose(route["‖E‖"], [np.linalg.norm(trace.embedding(i)[2]) for i in range(7)], atol=0.006)
    delta = trace.attention_output(5)
    order = np.argsort(-delta.var(axis=0), kind="stable")
    np.testing.assert_allclose(array(figure(page, "numbers_map")["data"][0]["z"]), delta[:, order], atol=1e-5)
    assert page.session_state["head"] == 3 and "Where head 5.3 takes it from" in text(page)


def test_equal_words_are_told_apart_by_their_positions() -> None:
    page = opened(text="the fox saw the fox", query=5, layer=1)
    assert lead(page) == said_of(ac.trace(load("minilm"), "the fox saw the fox"), 1, 5, "fox (5)")


def test_a_direction_between_two_words(trace) -> None:
    page = opened(measure="word", towards="animal", against="stone")
    vocabulary, model = trace.vocabulary, load("minilm")
    ids = [model.tokenizer.convert_tokens_to_ids(word) for word in ("animal", "stone")]
    way = (vocabulary.matrix[ids[0]] - vocabulary.matrix[ids[1]]).numpy()
    judge = [[trace.delta_e(i, h)[CREATURE] @ way / np.linalg.norm(way) for h in range(12)] for i in range(6)]
    np.testing.assert_allclose(on_the_map(page), judge, atol=1e-4)
    written = [number for row in packets(page)["delta_map"][0]["texts"] for number in row]
    assert max(map(len, written)) <= len("+0.1234")  # a longer one would leave its square empty
    assert "from “stone” to “animal”, along their rows of the input embedding" in text(page)


def test_the_logit_of_a_next_word_is_the_sum_of_its_parts() -> None:
    judge = ac.trace(load("tiny-decoder"), LESSON)
    page = opened(model="tiny-decoder", text=LESSON, measure="logit", query=len(judge.tokens) - 1)
    said = text(page)
    assert "with the final norm frozen" in said and "✓ the same" in said
    logits = judge.logits(len(judge.tokens) - 1)
    best = int(logits.argmax())
    assert f"the model’s own logit of “{judge.vocabulary.word(best)}” is +{logits[best]:.3g}" in said


def test_a_translators_decoder_has_two_kinds_of_heads() -> None:
    page = opened(model="tiny-translator", stream="cross")
    parts = table(page, "cos_final")["part"].tolist()
    assert "+ head 0.0" in parts and "+ cross head 0.0" in parts and "✓ the parts add up" in text(page)
    page = opened(model="tiny-translator", stream="encoder")
    assert "choose the decoder to read ΔE as words" in text(page) and "✓ the parts add up" in text(page)


# --- What must not happen ---------------------------------------------------------------------------------------------


def test_a_sum_that_fails_turns_red(monkeypatch) -> None:
    real = StreamTrace.heads_delta_e

    def wrong(self, layer, query):
        return 1.001 * real(self, layer, query)

    monkeypatch.setattr(StreamTrace, "heads_delta_e", wrong)
    page = opened(text="a sentence that nobody else asks for")
    assert "✕ the parts do not add up" in text(page) and "✓ the parts add up" not in text(page)
    assert "near words" in text(page)
    assert '<span class="hl-badge bad"' in html(page)


def test_a_layer_that_cannot_be_taken_apart_is_one_clear_sentence(monkeypatch) -> None:
    def unknown(self, layer):
        raise ac.HeadlightError(f"How layer {layer} of this model adds up could not be found.")

    monkeypatch.setattr(StreamTrace, "block", unknown)
    page = opened(text="another sentence that nobody else asks for")
    assert "How layer 0 of this model adds up could not be found." in text(page) and not page.dataframe


def test_what_a_visitor_types_stays_text() -> None:
    page = opened(
        text="<b>bold</b> *star* $x$ [link](http://a.b) <script>alert(1)</script>", measure="word", towards="<i>x</i>"
    )
    assert "<b>bold" not in html(page) and "<i>x" not in html(page) and "<script" not in html(page)


@pytest.mark.parametrize("sentence", ["word", "x " * 600, "🤗 שלום ‏ \u200b zero"])
def test_odd_sentences_are_read(sentence) -> None:
    page = opened(text=sentence)
    assert "✓ the parts add up" in text(page)


def test_nothing_typed_is_one_clear_sentence() -> None:
    assert "Type a sentence" in text(opened(text="  "))


def test_wrong_parameters_are_named() -> None:
    page = opened(layer=99, measure="nonsense", axes=7)
    for name in ("layer=99", "measure=nonsense", "axes=7"):
        assert name in text(page)


def test_a_word_that_is_no_word_is_told() -> None:
    page = opened(measure="word")
    assert "Type a word of the model’s vocabulary" in text(page)


def test_no_vector_is_looked_up_twice_in_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product with 30,522 words costs as much as a forward pass: each part is one row of one product."""
    looked_up, real = [], logit_attribution.nearest_words

    def spy(*given: object) -> object:
        looked_up.append(given[2])
        return real(*given)

    monkeypatch.setattr(logit_attribution, "nearest_words", spy)
    open_page("delta_e", text="a sentence that nobody has asked about before")
    (vectors,) = looked_up
    assert len(vectors) == 17 + 3 and len(np.unique(vectors, axis=0)) == len(vectors)
