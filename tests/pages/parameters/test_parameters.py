"""The parameter page, run as a page: what it says and draws, what a link restores, and what it does with bad input."""

from __future__ import annotations

import json
import re
import shutil
import struct
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from page_driver import ROOT, array, checked, figure, html, lead, open_page
from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest

import attn_core as ac
import ui.page
from attn_core.parameters.count import count_parameters

PAGE = str(ROOT / "pages" / "parameters.py")
opened = partial(open_page, "parameters", every_fold=True)


def text(page: AppTest) -> str:
    """What a reader sees of the page's own HTML."""
    plain = unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", html(page), flags=re.S))
    return re.sub(r"\s+", " ", plain.replace("\xa0", " "))


def boxes(page: AppTest) -> list[list[Any]]:
    """The treemap's nodes, [parent, label, count, role, count as it is read] each, as the browser receives them."""
    (packet,) = [c.proto.bytes for c in page.get("bidi_component") if c.proto.component_name == "headlight.boxes"]
    start = 4 + struct.unpack("<I", packet[:4])[0]
    length = struct.unpack("<I", packet[start : start + 4])[0]
    return json.loads(packet[start + 4 : start + 4 + length])["nodes"]


@pytest.fixture(scope="module")
def front() -> AppTest:
    return opened()


def test_it_opens_on_the_lessons_count(front: AppTest) -> None:
    assert lead(front) == (
        "Attention has 57,982,058,496 of the 175,181,291,520 parameters of GPT-3 175B: 33.1 %, only a third of what "
        "you need."
    )
    said = text(front)
    for shown in ("14,495,514,624", "617,558,016", "6,291,456", "603,979,776", "96 × 128 × 12,288 × 96"):
        assert shown in said
    assert "attention is 4 of 12 parts, and MLP up alone is as large as all of it" in said


def test_both_figures_are_shown_where_the_model_can_be_built(front: AppTest) -> None:
    assert "✓ reconciled table 174,604,259,328 = GPT2LMHeadModel 174,604,259,328" in text(front)


def test_what_the_lesson_leaves_out_is_listed_and_a_switch_adds_it(front: AppTest) -> None:
    said = text(front)
    for shown in ("position embeddings +25,165,824", "biases +10,616,832", "norms +4,743,168", "again −617,558,016"):
        assert shown in said
    assert "of these, embeddings 642,723,840 without embeddings 173,961,535,488" in said
    page = opened(count="all")
    of = "57,986,777,088 of the 174,604,259,328 parameters of GPT-3 175B"
    assert lead(page) == f"Attention has {of}: 33.2 %, only a third of what you need."
    assert boxes(page)[0][2] == 174_604_259_328


def test_boxes_hold_what_is_counted(front: AppTest) -> None:
    nodes = boxes(front)
    assert nodes[0][1:3] == ["GPT-3 175B", 175_181_291_520]
    assert sum(count for parent, _, count, *_ in nodes[1:] if parent == 0) == 175_181_291_520
    assert [label for _, label, *_ in nodes if label.startswith("block ")] == [f"block {i}" for i in range(96)]


def test_a_link_goes_into_a_block(front: AppTest) -> None:
    nodes = boxes(opened(inside="block 57/self-attention"))
    heads = [node for node in nodes if node[1].startswith("head ")]
    assert len(heads) == 96 and {head[2] for head in heads} == {6_291_456}
    assert not [node for node in boxes(front) if node[1].startswith("head ")]


def test_bars_are_shares_or_numbers() -> None:
    page = opened(preset="gpt2", beside="minilm,llama-3-8b", count="all")
    bars = figure(page, "share_bars")["data"]
    assert np.allclose(sum(array(bar["x"]) for bar in bars), 1)
    assert list(bars[0]["y"]) == ["GPT-2", "MiniLM", "Llama 3 8B"]
    page = opened(preset="gpt2", beside="minilm,llama-3-8b", count="all", bars="numbers")
    totals = sum(array(bar["x"]) for bar in figure(page, "share_bars")["data"])
    assert totals.tolist() == [124_439_808, 22_713_216, 8_030_261_248]
    beside = page.dataframe[1].value.set_index("")
    assert beside.loc["parameters"].tolist() == ["124,439,808", "22,713,216", "8,030,261,248"]
    assert beside.loc["cache for one token, float16"].tolist() == ["36.9 kB", "none", "131 kB"]


def test_the_thin_matrices_follow_the_slider(front: AppTest) -> None:
    assert "12,288² = 150,994,944" in text(front) and "2 · 12,288 · 128 = 3,145,728" in text(front)
    page = opened(preset="gpt2", thin=96)
    assert "2 · 768 · 96 = 147,456; the full one has 4 times as many" in text(page)
    square, up, down = figure(page, "thin_matrices")["data"]
    sides = [
        (max(array(b["x"])) - min(array(b["x"])), max(array(b["y"])) - min(array(b["y"]))) for b in (square, up, down)
    ]
    assert np.allclose(sides, [(768, 768), (96, 768), (768, 96)])
    page.slider(key="thin").set_value(512).run()
    assert "two strips save nothing here" in text(checked(page))


def test_the_singular_values_are_a_real_heads() -> None:
    page = opened(layer=3, head=7)
    assert "Head 3.7 of MiniLM can write to 32 of 384 directions, as many as d_head allows" in text(page)
    weights = ac.trace(ac.load("minilm"), "a fluffy blue creature").projections(3, 7)
    product = weights.w_v.double().numpy() @ weights.w_o.double().numpy()
    first = figure(page, "singular_values")["data"][0]
    assert np.allclose(array(first["y"]), np.linalg.svd(product, compute_uv=False)[:32], rtol=1e-9)


@pytest.mark.parametrize(
    ("stream", "module"), [("encoder", "encoder.layers.1.self_attn"), ("cross", "decoder.layers.1.encoder_attn")]
)
def test_a_translators_head_is_looked_at_in_the_stream_that_is_chosen(stream: str, module: str) -> None:
    page = opened(model="tiny-translator", stream=stream, layer=1, head=2)
    assert "cannot be shown" not in text(page) and page.button_group(key="stream").value == stream
    weights = load_file(ROOT / "assets" / "models" / "tiny-translator" / "model.safetensors")
    w_v, w_o = (weights[f"model.{module}.{name}.weight"].double().numpy() for name in ("v_proj", "out_proj"))
    own = slice(2 * 16, 3 * 16)  # the library keeps [out, in]
    judge = np.linalg.svd(w_v[own].T @ w_o[:, own].T, compute_uv=False)
    assert np.allclose(array(figure(page, "singular_values")["data"][0]["y"]), judge[:16], rtol=1e-6)
    which = {"encoder": "encoder", "cross": "decoder → encoder"}[stream]
    assert f"Head 1.2 ({which}) of Tiny translator can write to 16 of 64 directions" in text(page)


def test_while_a_head_is_fetched_the_page_above_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(ROOT / "assets" / "models" / "tiny-decoder", tmp_path / "fetched")
    waited = ui.page.wait_for

    def seen(*job: Any) -> None:
        st.html("<i>fetching</i>")
        waited(*job)

    monkeypatch.setattr(ui.page, "wait_for", seen)
    said = html(opened(model=folder))
    assert (
        said.index("How strongly a real head works")
        < said.index("<i>fetching</i>")
        < said.index("of fetched can write to")
    )


def test_growth_says_what_is_quadratic_in_what(front: AppTest) -> None:
    assert "When d_model grows, these grow: attention and MLP with its square" in text(front)
    assert "When vocabulary grows, these grow: embedding in step" in text(opened(knob="vocabulary"))
    assert "scores and sums with its square" in text(opened(growth="reading"))


def test_costs_carry_their_formulas() -> None:
    page = opened(preset="llama-2-70b", tokens=1000, dtype="int8")
    said = text(page)
    assert "69.0 GB 68,976,648,192 × 1 bytes" in said
    assert "164 kB 2 × 80 blocks × 8 × 128 × 1 bytes" in said
    assert "164 MB 1,000 × 163,840" in said
    assert "64 heads share 8 keys and values" in said and "9,395,240,960" in said and "8 times smaller" in said
    assert "Multiply-adds for one token read and one written" in text(opened(preset="t5-small"))
    assert "Multiply-adds for one more token" in said
    assert "keeps" not in said and "no cache" in text(opened(preset="bert-base-uncased"))


def test_a_family_of_latent_attention_says_what_it_caches(tmp_path: Path) -> None:
    """No formula is here for it, and a key and a value for every head would be 71 times what it keeps."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "deepseek_v3"}))
    said = text(opened(preset=tmp_path))
    assert "70.3 kB 61 blocks × 576 × 2 bytes" in said and "70.3 MB 1,000 × 70,272" in said
    assert "61 × 1,000 tokens × (24,576 + 16,384)" in said
    assert (
        "A block keeps one list of 576 numbers of each token, and makes keys and values of it again (multi-head latent "
        "attention): 71.1 times fewer than the 40,960 numbers of a key and a value for every head."
    ) in " ".join(said.split())


def test_every_tensor_is_in_the_table(front: AppTest) -> None:
    table = count_parameters("gpt-3").frame()
    shown = front.dataframe[-1].value
    assert shown["total"].sum() == 174_604_259_328
    assert shown["name"].tolist() == table["name"].tolist()
    assert "CSV of the table" in [button.proto.label for button in front.get("download_button")]


def test_ones_own_numbers_and_impossible_ones() -> None:
    page = opened(own=1)
    page.number_input(key="n_layers").set_value(48).run()
    half = 12_288 * 50_257 * 2 + 48 * 12 * 12_288**2  # both ends, and the blocks
    assert lead(checked(page)) == (
        f"Attention has 28,991,029,248 of the {half:,} parameters of your model, built like GPT-3 175B: "
        f"{100 * 28_991_029_248 / half:.1f} %, only a third of what you need."
    )
    page.number_input(key="d_head").set_value(None).run()
    page.number_input(key="d_model").set_value(12_290).run()
    assert "d_model 12,290 does not divide into 96 heads; take 12,288 or 12,384, or set d_head." in text(checked(page))
    page.number_input(key="d_head").set_value(64).run()
    assert "your model, built like" in lead(checked(page)) and "only the formula counts them" in text(page)
    page.selectbox(key="preset").set_value("gpt2").run()
    assert page.number_input(key="d_model").value == 768 and "GPT-2" in lead(checked(page))
    assert "124,439,808 = GPT2LMHeadModel 124,439,808" in text(page)


def test_a_number_in_the_link_counts_only_where_it_is_switched_on() -> None:
    assert lead(opened(d_model=768)) == lead(opened())
    attention, mlp, words = 3 * 4 * 768**2, 3 * 8 * 768**2, 2 * 50_257 * 768
    whole = attention + mlp + words
    assert lead(opened(preset="gpt2", own=1, n_layers=3)) == (
        f"Attention has {attention:,} of the {whole:,} parameters of your model, built like GPT-2: "
        f"{100 * attention / whole:.1f} %."
    )


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("transformer-base", "The library has no class of the first Transformer"),
        ("gpt-3-13b", "only the formula counts them"),
        ("gpt-3-xl", "Table 2.1 prints 24 heads"),
        ("t5-small", "T5ForConditionalGeneration 60,506,624"),
        ("bloom-176b", "BloomForCausalLM 176,247,271,424"),
        ("mistral-7b", "A sliding window of 4,096 tokens"),
    ],
)
def test_kinds_of_models(preset: str, said: str) -> None:
    assert said in text(opened(preset=preset))


def test_a_family_without_a_formula_says_so_and_leaves_out_what_it_cannot_tell() -> None:
    page = opened(preset="bloom-176b", own=1)
    said = text(page)
    assert "read off the class, built without memory" in said and "This family has no formula here" in said
    assert "How it grows" not in said and len(page.get("plotly_chart")) == 1


def test_a_wrong_link_is_explained_and_the_page_goes_on() -> None:
    page = opened(
        preset="gpt-5", beside="gpt2,nothing", inside="block 900", knob="luck", d_ff="-3", thin=0, colour="red"
    )
    said = text(page)
    for name in (
        "preset=gpt-5",
        "beside=gpt2,nothing",
        "inside=block 900",
        "knob=luck",
        "d_ff=-3",
        "thin=0",
        "“colour”",
    ):
        assert name in said, name
    assert "You see knob " in said  # … and where nothing is the usual value:
    assert re.search(r"beside=gpt2,nothing cannot be shown: ((?!This link).)*\. It is left out\.", said)
    assert "175,181,291,520" in lead(page)


@pytest.mark.parametrize("preset", ["x" * 5000, "~nobody", "<b>x</b>", "🤗", "שלום"])
def test_a_name_of_any_kind_is_explained(preset: str) -> None:
    page = opened(preset=preset)
    assert "There are no published numbers here for" in text(page) and "GPT-3 175B" in lead(page)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("{", "cannot be read"),
        ("[]", "no configuration"),
        ('{"model_type": "gpt2", "n_positions": null}', "context must"),
    ],
)
def test_a_damaged_folder_is_explained(tmp_path: Path, config: str, why: str) -> None:
    (tmp_path / "config.json").write_text(config)
    page = opened(preset=tmp_path)
    assert why in text(page) and "GPT-3 175B" in lead(page)


def test_the_smallest_model_of_all() -> None:
    ones = dict.fromkeys(("d_model", "n_heads", "d_head", "n_layers", "vocabulary", "context"), 1)
    said, whole = "parameters of your model, built like GPT-3 175B", 4 + 4 + 4 + 1 + 1  # attention, up, down, words
    assert lead(opened(own=1, d_ff=4, **ones)) == f"Attention has 4 of the {whole} {said}: {400 / whole:.1f} %."
    wide = f"{4 + 2 * 4 * 12_288 + 2 * 100_000:,}"
    assert lead(opened(own=1, **ones | {"vocabulary": 100_000})) == f"Attention has 4 of the {wide} {said}: < 0.01 %."


def test_another_name_for_the_same_model() -> None:
    assert "of GPT-3 175B" in lead(opened(preset="gpt-3-175b"))


def test_a_folders_name_is_text(tmp_path: Path) -> None:
    folder = tmp_path / "<b>$x$<img src=x>"
    folder.mkdir()
    config = {"model_type": "gpt2", "n_embd": 12, "n_head": 2, "n_layer": 1, "vocab_size": 9, "n_positions": 4}
    (folder / "config.json").write_text(json.dumps(config))
    page = opened(preset=folder)
    assert "<b>$x$<img src=x>" in lead(page)
    assert "<img src=x>" not in html(page)
    assert "&lt;img" in str(figure(page, "share_bars")["data"][0]["y"])


def test_visitors_of_a_public_server_cannot_name_folders(tmp_path: Path, operator_sets: Any) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    operator_sets(HEADLIGHT_MODE="public")
    page = opened(preset=tmp_path)
    assert "cannot be shown" in text(page) and "GPT-3 175B" in lead(page)


def test_d_ff_follows_d_model_where_it_is_four_times_as_large() -> None:
    page = opened(own=1)
    page.number_input(key="d_model").set_value(9_216).run()
    assert page.number_input(key="d_ff").value is None
    assert f"{96 * 4 * 9_216**2:,}" in text(checked(page))  # MLP up, in 96 blocks
    page.number_input(key="d_ff").set_value(1_000).run()
    page.number_input(key="d_model").set_value(12_288).run()
    assert page.number_input(key="d_ff").value == 1_000  # the visitor's own stays
