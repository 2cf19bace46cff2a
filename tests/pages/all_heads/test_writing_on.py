"""The next word's card in the page All heads: its numbers, what its buttons write, the lens, the steps."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
import torch
from page_driver import ROOT, array, checked, figure, html, load, open_page, text
from streamlit.testing.v1 import AppTest

from attn_core.text.numbers import percent
from ui.server import loading

FOX = "a hungry small brown fox"


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load("tiny-decoder")


def opened(**params: object) -> AppTest:
    return open_page("all_heads", **({"model": "tiny-decoder", "text": FOX} | params))


def ran(page: AppTest) -> AppTest:
    return checked(page.run())


def rows(page: AppTest, heading: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    for table in re.findall(r"<table.*?</table>", html(page), flags=re.S):
        found = [
            re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S)
            for row in re.findall(r"<tr.*?</tr>|<thead>.*?</thead>", table, flags=re.S)
        ]
        plain = [[unescape(re.sub(r"<[^>]*>", "", cell)).strip().replace("\xa0", " ") for cell in row] for row in found]
        if plain[0][0] == heading:
            return plain[1:]
    raise AssertionError(f"no table that begins with {heading}")


@torch.no_grad()
def chances(judge: tuple, sentence: str, temperature: float = 1.0) -> tuple[list[str], np.ndarray]:
    model, tokenizer = judge
    logits = model(torch.tensor([tokenizer(sentence).input_ids])).logits[0, -1]
    best = torch.softmax(logits / temperature, dim=-1).topk(10)
    return tokenizer.convert_ids_to_tokens(best.indices.tolist()), best.values.numpy()


def test_the_likeliest_words_are_the_librarys(judge: tuple) -> None:
    words, probability = chances(judge, FOX)
    found = rows(opened(), "next")
    assert [row[0] for row in found] == words and words[0] == "ate"
    assert [row[1] for row in found] == [percent(float(p)) for p in probability]


def test_temperature_and_top_k_change_the_draw(judge: tuple) -> None:
    words, probability = chances(judge, FOX, temperature=2.0)
    assert [row[1] for row in rows(opened(temperature=2.0), "next")] == [percent(float(p)) for p in probability]
    kept = rows(opened(temperature=2.0, top_k=3), "next")
    assert [row[0] for row in kept] == words[:3]
    assert kept[0][1] == percent(float(probability[0] / probability[:3].sum()))


def test_a_word_is_appended_and_the_page_goes_on_from_it() -> None:
    page = opened()
    page.selectbox(key="next_choice").set_value(0)
    page.button(key="next_append").click()
    ran(page)
    assert page.session_state["text"] == f"{FOX} ate" and page.session_state["written"] == " ate"
    assert "The next word, after ate" in text(page)
    assert rows(page, "next")[0][0] == "in"


def test_writing_is_greedy_generation_and_shows_where_the_head_looked(judge: tuple) -> None:
    model, tokenizer = judge
    ids = tokenizer(FOX, return_tensors="pt").input_ids
    everything = torch.ones_like(ids)
    wanted = model.generate(ids, attention_mask=everything, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
    page = opened(layer=1, head=1)
    page.button(key="next_many").click()
    ran(page)
    assert page.session_state["text"] == f"{FOX} " + " ".join(tokenizer.convert_ids_to_tokens(wanted.tolist()))
    assert "Step by step: where head 1.1 looked" in text(page)
    cells = np.nan_to_num(array(figure(page, "next_steps")["data"][0]["z"]))
    with torch.no_grad():
        looked = model(torch.cat([ids[0], wanted])[None], output_attentions=True).attentions[1][0, 1].numpy()
    assert cells.shape == (8, 14) and np.abs(cells - looked[5:13]).max() < 1e-5
    page.button(key="next_one").click()
    ran(page)
    assert len(page.session_state["text"].split()) == 5 + 9


def test_chance_draws_among_the_top_k() -> None:
    page = opened(text="anna and tom went to the market .", draw="chance", top_k=2, temperature=2.0)
    page.button(key="next_one").click()
    ran(page)
    assert page.session_state["text"].split()[-1] in ("anna", "tom")


def test_what_was_typed_later_is_not_taken_for_written() -> None:
    assert "Step by step: where" not in text(opened(written=" slept in the barn"))
    assert "Step by step: where" in text(opened(text=f"{FOX} ate", written=" ate"))


@torch.no_grad()
def test_the_lens_reads_every_layer(judge: tuple) -> None:
    model, tokenizer = judge
    out = model(torch.tensor([tokenizer(FOX + " ate in the").input_ids]), output_hidden_states=True)
    page = opened(text=FOX + " ate in the", query=5)
    found = rows(page, "after")
    assert [row[0] for row in found] == ["embedding", "layer 0", "layer 1"]
    true = tokenizer.convert_tokens_to_ids("ate")
    for row, state in zip(found[:2], out.hidden_states[:2], strict=True):
        probability = torch.softmax(model.lm_head(model.transformer.ln_f(state[0, 5])), dim=-1)
        best = probability.topk(3)
        words = tokenizer.convert_ids_to_tokens(best.indices.tolist())
        assert row[1:4] == [f"{w} {percent(float(p))}" for w, p in zip(words, best.values, strict=True)]
        assert row[4].replace("\N{NARROW NO-BREAK SPACE}", "") == str(int((probability > probability[true]).sum()) + 1)
    assert found[2][1].startswith("ate ") and found[2][4] == "1"
    assert "ate, which really follows" in text(page)


def test_a_full_text_cannot_grow() -> None:
    page = opened(text=" ".join(["fox"] * 63))
    assert page.button(key="next_one").disabled and page.button(key="next_append").disabled
    assert "as long as this model can read" in text(page)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", "9"), ("temperature", "warm"), ("temperature", "nan"), ("top_k", "-1"), ("draw", "dice")],
)
def test_a_wrong_link_falls_back_and_says_so(name: str, value: str) -> None:
    page = opened(**{name: value})
    assert "hl-note" in html(page) and name in text(page)
    assert rows(page, "next")[0][0] == "ate"


def test_models_without_a_next_word_get_no_card() -> None:
    job = loading.open_model("minilm")
    assert job.done.wait(300)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    assert "What comes next" not in text(ran(page))


def test_sentences_and_words_that_fit_the_model_are_offered() -> None:
    page = opened()
    assert "Adjectives that decide the verb" in text(page)
    page.button(key="example_2").click()
    ran(page)
    assert page.session_state["text"] == "take a biopsy of the mole on the"
    assert "has not met" not in text(page)


def test_new_words_are_marked_and_explained() -> None:
    page = opened(text="a hungry Zorple")
    assert "Zorple: this model has not met this word (°)" in text(page)
    assert rows(page, "next")[0][0] == "ate"
