"""Step by step, run as a page: the numbers it says, what its link restores, the toy, the breaks, and other families."""

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from page_driver import checked, load, open_page, packets, text
from streamlit.testing.v1 import AppTest
from tokenizers import Tokenizer, models, pre_tokenizers

import attn_core as ac
from attn_core import attention
from attn_core.text.numbers import number, percent, signed
from attn_core.traces.stream import StreamTrace
from attn_core.walkthrough import toy
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.from_trace import from_trace
from attn_core.walkthrough.head import run_stages
from ui.server import loading
from ui.step_by_step.ablations import STEP_OF
from ui.step_by_step.pocket import editors as toy_editors

ROOT = Path(__file__).parents[3]
STARTER = "a fluffy blue creature roamed the verdant forest"
PAGE = ROOT / "pages" / "step_by_step.py"
CREATURE, FLUFFY = 4, 2
opened = partial(open_page, "step_by_step", all_steps=1)


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """The judge, outside the page."""
    return ac.trace(load("minilm"), STARTER)


def numbers(page: AppTest, key: str) -> np.ndarray:
    return packets(page)[key][1]


# --- A real head -------------------------------------------------------------------------------------------------


def test_every_step_draws_the_numbers_of_the_walk(trace) -> None:
    page = opened(every_fold=True)
    made = run_stages(from_trace(trace.stream(), 0, 3))
    expected = {
        "step_1_e": trace.embedding(0),
        "step_2_q": made.query,
        "step_2_k": made.key,
        "step_3_grid": made.raw_scores,
        "step_6_grid": made.pattern,
        "step_7_v": made.value,
    }
    for key, tensor in expected.items():
        np.testing.assert_array_equal(numbers(page, key), np.asarray(tensor, np.float32), err_msg=key)
    np.testing.assert_allclose(numbers(page, "step_6_grid").sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(numbers(page, "step_6_grid"), trace.pattern(0, 3), atol=2e-6)
    weighted = numbers(page, "step_7_weighted")
    np.testing.assert_allclose(weighted[:-1].sum(0), weighted[-1], atol=1e-5)
    e, delta, total = numbers(page, "step_8_strips")
    np.testing.assert_allclose(delta, trace.delta_e(0, 3)[CREATURE], atol=1e-5)
    np.testing.assert_allclose(total, trace.embedding(0)[CREATURE] + delta, atol=1e-5)
    np.testing.assert_array_equal(e, trace.embedding(0)[CREATURE])


def test_the_parts_of_e_are_the_models_tables(trace) -> None:
    hf = loading.model("minilm").hf.embeddings
    token, place, segment, total = numbers(opened(every_fold=True), "step_1_parts")
    np.testing.assert_array_equal(token, hf.word_embeddings.weight[trace.tokens.ids[CREATURE]].detach())
    np.testing.assert_array_equal(place, hf.position_embeddings.weight[CREATURE].detach())
    np.testing.assert_array_equal(segment, hf.token_type_embeddings.weight[0].detach())
    np.testing.assert_allclose(token + place + segment, total, atol=1e-6)


def test_what_it_says_is_what_the_model_does(trace) -> None:
    said = text(opened())
    row = trace.pattern(0, 3)[CREATURE]
    assert f"has looked at fluffy ({percent(float(row[2]))}) and blue ({percent(float(row[3]))})" in said
    assert "32 numbers instead of 384" in said and "12,288" in said
    assert f"creature · fluffy = {trace.raw_scores(0, 3)[CREATURE, FLUFFY]:.4g}" in said
    q, k = trace.query(0, 3)[CREATURE], trace.key(0, 3)[FLUFFY]
    cosine = q @ k / np.linalg.norm(q) / np.linalg.norm(k)
    assert f"{np.degrees(np.arccos(cosine)):.0f}° apart" in said
    spread = trace.raw_scores(0, 3)[CREATURE].std()
    assert f"goes from {spread:.3g} to {spread / 32**0.5:.3g}" in said
    raw = trace.raw_scores(0, 3)[CREATURE].astype(np.float64)
    assert (
        f"would be {percent(float(np.exp(raw).max() / np.exp(raw).sum()))} instead of {percent(float(row.max()))}"
        in said
    )
    assert "There is no mask here" in said and "The row sums to 1" in said
    delta, e = trace.delta_e(0, 3)[CREATURE], trace.embedding(0)[CREATURE]
    turn = np.degrees(np.arccos((e @ (e + delta)) / np.linalg.norm(e) / np.linalg.norm(e + delta)))
    assert f"creature turns by {turn:.3g}°" in said
    assert "24,576" in said and "147,456" in said
    assert "57,982,058,496 of 175,181,291,520" in said


def test_one_number_of_a_query_is_worked_out_to_the_bias(trace) -> None:
    said = text(opened())
    parts = re.search(r"(no\. \d+ .*?)together (\S+?)\n", said, re.S)
    assert parts is not None
    weights, x = trace.projections(0, 3), trace.attention_input(0)[CREATURE]
    query = trace.query(0, 3)[CREATURE]
    which = int(np.abs(query).argmax())
    assert parts[2] == signed(float(query[which]))
    products = x * weights.w_q[:, which].numpy()
    for i in np.argsort(-np.abs(products))[:5]:
        assert f"no. {i} " in parts[1] and signed(float(products[i])) in parts[1]
    assert f"bias {signed(float(weights.b_q[which]))}" in parts[1]


def test_the_source_shown_is_the_source_that_ran(monkeypatch) -> None:
    def softmax(scores):
        """A stand-in that the page must show, because it is what ran."""
        return torch.softmax(scores, dim=-1)

    def shown(page: AppTest) -> str:
        return "\n".join(block.value for block in page.code)

    page = opened()
    page.session_state["code_6"] = True
    assert "def softmax" in shown(checked(page.run())) and "The row's maximum is subtracted first" in shown(page)
    monkeypatch.setattr(attention, "softmax", softmax)
    assert "what ran" in shown(checked(page.run()))


def test_the_numbers_are_a_table_too(trace) -> None:
    page = opened()
    page.session_state["numbers_6"] = True
    (table,) = checked(page.run()).dataframe
    np.testing.assert_allclose(table.value.to_numpy(), trace.pattern(0, 3), atol=2e-6)
    assert table.value.index[CREATURE] == "query 4 creature" and table.value.columns[FLUFFY] == "key 2 fluffy"


def test_a_link_restores_the_view(trace) -> None:
    breaks = "no-scale,no-w-o"
    page = opened(layer=2, head=5, query=3, key=7, key_guess=1, queries="columns", breaks=breaks, text=STARTER, v=1)
    header, cells = packets(page)["step_6_grid"]
    np.testing.assert_allclose(cells, trace.pattern(2, 5), atol=3e-6)
    assert header["chosen"] == [3, 7] and header["turned"] is True
    said = text(page)
    assert f"blue · the = {number(trace.raw_scores(2, 5)[3, 7], 4)}" in said
    assert "You said a: " in said and "No ÷ √d." in said and "No W_O." in said
    assert "Layers 0 to 1 have each added to it" in said
    assert not [block for block in page.get("html") if 'class="hl-note"' in block.proto.body]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("breaks", "no-brakes"),
        ("toy", "w_q.9.9:1"),
        ("toy", "w_q.0.0:nan"),
        ("weights", "heavy"),
        ("key", "-1"),
    ],
)
def test_a_wrong_parameter_is_named_and_left_aside(name: str, value: str) -> None:
    page = opened(**{name: value, "v": 1, "text": STARTER})
    assert f"This link's {name}={value} cannot be shown" in text(page)


# --- Breaking it -------------------------------------------------------------------------------------------------


def gauges(page: AppTest) -> list[str]:
    return re.findall(r"pattern(\S.*?)ΔE(\S.*?)\n", text(page).split("Distance from the model")[1])[0]


def is_close(distance: str) -> bool:
    return re.fullmatch(r"0|\d × 10⁻([⁵-⁹]|¹.)", distance) is not None


def test_nothing_broken_is_close_to_the_model_and_every_break_is_not(trace) -> None:
    page = opened()
    close = gauges(page)
    assert all(map(is_close, close)), close
    assert re.search(r"✓ the steps: \d × 10⁻[⁶-⁹] from what the model gave", text(page))
    for broken in ("causal-mask", "keys-are-queries", "random-weights", "no-softmax", "no-scale", "shuffled-positions"):
        page = opened(breaks=broken, v=1, text=STARTER)
        assert not is_close(gauges(page)[0]), broken
        inputs = from_trace(trace.stream(), 0, 3, retrace=lambda ids: ac.trace(loading.model("minilm").value(), ids))
        spoilt = run_stages(inputs, frozenset({StageAblation(broken)}))
        step = STEP_OF[StageAblation(broken)]
        shown = numbers(page, f"break_{step}_Broken")
        np.testing.assert_allclose(
            np.nan_to_num(shown), np.nan_to_num(spoilt.pattern.numpy()), atol=1e-5, err_msg=broken
        )
        difference = np.nan_to_num(spoilt.pattern.numpy()) - trace.pattern(0, 3)
        np.testing.assert_allclose(np.nan_to_num(numbers(page, f"break_{step}_Difference")), difference, atol=1e-5)
        np.testing.assert_allclose(numbers(page, "step_6_grid"), trace.pattern(0, 3), atol=2e-6)  # still the model's


def test_the_intact_picture_keeps_its_scale_beside_one_that_is_broken(trace) -> None:
    """Scores instead of weights are far larger, and sharper weights larger; the scale is that of the intact picture."""
    largest = float(trace.pattern(0, 3).max())
    for broken, step in (("no-softmax", 6), ("no-scale", 4), ("keys-are-queries", 2)):
        found = packets(opened(breaks=broken, v=1, text=STARTER))
        intact, spoilt = found[f"break_{step}_As it is"][0], found[f"break_{step}_Broken"][0]
        assert intact["limit"] == pytest.approx(largest, rel=1e-3), broken
        for part in ("limit", "kind", "scale"):
            assert intact[part] == spoilt[part], (broken, part)
        assert intact["bar"]["domain"] == spoilt["bar"]["domain"]
    header, (before, after) = packets(opened(breaks="no-w-o", v=1, text=STARTER))["break_8_deltas"]
    np.testing.assert_allclose(before, trace.delta_e(0, 3)[CREATURE], atol=1e-5)
    assert header["limit"] == pytest.approx(np.abs(before).max(), rel=1e-3) and not np.allclose(
        before, after, atol=0.01
    )


def test_a_scale_that_is_left_below_and_above_says_so() -> None:
    header, cells = packets(opened(breaks="no-softmax", v=1, text=STARTER))["break_6_Broken"]
    assert cells.min() < 0 and cells.max() > 1
    assert [text for _, text in header["bar"]["ticks"]] == [f"≤ {percent(0)}", f"≥ {percent(header['limit'])}"]


def test_no_w_o_leaves_the_pattern_and_changes_delta() -> None:
    page = opened(breaks="no-w-o", v=1, text=STARTER)
    pattern, delta = gauges(page)
    assert is_close(pattern) and not is_close(delta)


def test_a_causal_mask_is_hatched_and_not_zero() -> None:
    page = opened(breaks="causal-mask", v=1, text=STARTER)
    broken = numbers(page, "break_5_Broken")
    assert np.isnan(broken[np.triu_indices(13, 1)]).all() and np.isfinite(broken[np.tril_indices(13)]).all()


def test_a_wrong_model_would_show(monkeypatch, trace) -> None:
    """The meter is computed: spoil W_V on its way to the stages, and it says so."""
    honest = StreamTrace.projections

    def spoilt(self, layer, head):
        found = honest(self, layer, head)
        return replace(found, w_v=found.w_v * 1.01)

    monkeypatch.setattr(StreamTrace, "projections", spoilt)
    walk = sys.modules[from_trace.__module__]
    monkeypatch.setattr(walk, "_makes_values", lambda *_: True)  # or it starts from the captured values
    page = opened()
    assert not is_close(gauges(page)[1])
    assert re.search(r"✕ the steps are off by \d × 10⁻[²³] from what the model gave", text(page))


# --- Predict, then reveal ----------------------------------------------------------------------------------------


def test_a_guess_is_answered_and_none_is_needed(trace) -> None:
    assert "You said" not in text(opened())
    row = trace.pattern(0, 3)[CREATURE]
    said = text(opened(key_guess=3, v=1, text=STARTER))
    assert f"You said blue: with {percent(float(row[3]))} it takes place {int((row > row[3]).sum()) + 1} of 13" in said
    best = int(row.argmax())
    assert "and so it is" in text(opened(key_guess=best, v=1, text=STARTER))


# --- The toy -----------------------------------------------------------------------------------------------------


def test_the_toy_says_that_it_is_one_and_shows_its_hand_made_numbers() -> None:
    page = opened(weights="toy", v=1)
    said = text(page)
    assert "has looked at blue (59 %) and fluffy (41 %)" in said
    assert "toyA head made by hand" in said
    assert "0.411 fluffy, 0.585 blue" in said
    np.testing.assert_array_equal(numbers(page, "step_3_grid")[3], [0.5, 9, 9.5, 2, 2.5])
    np.testing.assert_allclose(numbers(page, "step_6_grid")[3, :4], [0.00101, 0.41090, 0.58518, 0.00291], atol=1e-5)
    assert np.isneginf(numbers(page, "step_6_grid")[0, 1:]).all()


def test_a_changed_number_of_the_toy_changes_what_follows() -> None:
    page = opened(weights="toy", toy="w_k.1.0:0", v=1)  # adjectives say nothing
    np.testing.assert_array_equal(numbers(page, "step_3_grid")[3], [0.5, 1, 1.5, 2, 2.5])
    assert "has looked at blue" in text(page)
    page.button(key="toy_reset").click()
    page = checked(page.run())
    np.testing.assert_array_equal(numbers(page, "step_3_grid")[3], [0.5, 9, 9.5, 2, 2.5])


def test_the_toys_numbers_travel_in_a_link() -> None:
    changed = toy.toy().with_table("w_o", torch.tensor([[0, 0, 1, 0, 0, -2.5], [0, 0, 0, 0.125, 0, 0]]))
    written = toy_editors.written(changed)
    assert written == "w_o.0.5:-2.5;w_o.1.3:0.125"
    assert torch.equal(toy_editors.read(written).w_o, changed.w_o)
    assert toy_editors.written(toy.toy()) == ""


# --- Other families, from folders ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """Tiny random models of families that do something else on the way."""
    words = ["<unk>", "<bos>", "<eos>", *STARTER.split()]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>", eos_token="<eos>"
    )
    size = {"vocab_size": 12, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    size |= {"intermediate_size": 32, "max_position_embeddings": 300, "pad_token_id": 2}
    opt = size | {"ffn_dim": 32, "word_embed_proj_dim": 32}
    grouped = size | {"num_key_value_heads": 2}
    configs = {
        "llama": tf.LlamaConfig(**grouped),
        "qwen3": tf.Qwen3Config(**grouped, head_dim=8),
        "gemma2": tf.Gemma2Config(**grouped, head_dim=8, query_pre_attn_scalar=25),
        "opt": tf.OPTConfig(**opt),
    }
    made = {}
    for name, config in configs.items():
        torch.manual_seed(0)
        model = tf.AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter.data, std=0.2)
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        fast.save_pretrained(folder)
        made[name] = str(folder)
    return made


SAYS = {
    "llama": ["Now the place comes in.", "it turns queries and keys by it, in step 2", "no word may look ahead"],
    "qwen3": ["as they were captured inside the model"],
    "gemma2": ["squeezes every score smoothly", "Dividing by 5 takes that out"],
    "opt": ["This model divides earlier", "nothing is left to do here"],
}


@pytest.mark.parametrize("family", SAYS)
def test_what_a_family_does_differently_is_said(family: str, folders) -> None:
    page = opened(model=folders[family], text=STARTER, layer=1, head=3, v=1)
    said = text(page)
    for sentence in SAYS[family]:
        assert sentence in said
    assert all(map(is_close, gauges(page))), gauges(page)
    trace = ac.trace(loading.model(folders[family]).value(), STARTER)
    shown = numbers(page, "step_6_grid")
    np.testing.assert_allclose(np.where(np.isneginf(shown), 0, shown), trace.pattern(1, 3), atol=1e-5)
    np.testing.assert_allclose(numbers(page, "step_3_grid"), trace.raw_scores(1, 3), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
def test_a_translator_is_walked_through_stream_by_stream(stream: str) -> None:
    page = opened(model="tiny-translator", text="the small blue car sees a white horse", stream=stream, v=1)
    shown = numbers(page, "step_6_grid")
    np.testing.assert_allclose(np.where(np.isneginf(shown), 0, shown).sum(-1), 1, atol=1e-5)
    assert all(map(is_close, gauges(page))), gauges(page)
    assert ("every word of the other text" in text(page)) is (stream == "cross")
    assert ("nothing in E knows its neighbours" in text(page)) is (stream != "cross")  # by then the decoder has looked
    assert ("no word may look ahead" in text(page)) is (stream == "decoder")


def test_the_lessons_head_is_one_click_away() -> None:
    page = opened()
    page.button(key="lessons_head").click()
    said = text(checked(page.run()))
    assert "Eight steps take fox" in said and "has looked at hungry" in said


# --- What people type ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["hi", "<b>bold</b> <script>alert(1)</script> $x$ :red[x] **x**", "שלום 🤗 café \u200b x", "{row} {value}"]
)
def test_whatever_is_typed_is_text(typed: str) -> None:
    page = opened(text=typed, v=1)
    assert "The row sums to 1" in text(page)
    body = "\n".join(block.proto.body for block in page.get("html"))
    assert "<script>" not in body and "<b>bold" not in body
    for element in [*page.markdown, *page.caption]:
        assert "script" not in element.value


def test_two_equal_words_are_told_apart_in_the_headline() -> None:
    said = text(opened(text="the old the old the", query=3))
    assert re.search(r"Eight steps take the₃ from .* has looked at (the|old)[₁₂₄₅] ", said)


def test_nothing_typed_is_asked_for_kindly() -> None:
    assert "There is no word here yet" in text(opened(text="", v=1))


def test_a_long_sentence_is_shown_through_a_window() -> None:
    long = "one two three four five " * 40
    page = opened(text=long, v=1, **{"from": 50})
    header, cells = packets(page)["step_6_grid"]
    assert cells.shape == (128, 128) and header["rows"]["first"] == 50
    trace = ac.trace(loading.model("minilm").value(), long)
    np.testing.assert_allclose(cells, trace.pattern(0, 3)[50:178, 50:178], atol=3e-6)


def test_the_window_holds_the_word_that_is_followed() -> None:
    header, _ = packets(opened(text="one two three four five " * 40, v=1, query=180))["step_6_grid"]
    assert header["chosen"][0] == 180 - header["rows"]["first"] == 106  # of 202 tokens, the last 128 are shown


def test_it_is_said_which_of_two_turns_is_meant() -> None:
    from ui import glossary, words
    from ui.step_by_step import values

    here = words.beside(values.__file__)
    assert "turn in this layer" in str(here.entries) and "when this head is switched off" in str(here.entries)
    assert "at the end of the model" in str(glossary.table())
