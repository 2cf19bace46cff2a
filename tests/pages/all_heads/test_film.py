"""Writing on, as a film: the words that were written, what each was chosen from, and whom the opened head looked at."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch
from page_driver import checked, load, notes, open_page, text
from streamlit.testing.v1 import AppTest

from attn_core.text.numbers import percent
from ui.server import passes
from ui.server.cache import Busy

FOX = "a hungry small brown fox"


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load("tiny-decoder")


def opened(**params: object) -> AppTest:
    return open_page("all_heads", **({"model": "tiny-decoder", "text": FOX, "layer": 1, "head": 1} | params))


def click(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click()
    return checked(page.run())


def film(page: AppTest) -> dict[str, Any]:
    """What the film's script is given, its rows as weights [written, token]."""
    for element in page.get("bidi_component"):
        if '"rows"' in element.proto.json:
            data = json.loads(element.proto.json)
            cells = np.frombuffer(base64.b64decode(data["rows"]), "<u2").reshape(-1, len(data["tokens"]))
            return {**data, "rows": cells / 65_535}
    raise AssertionError("there is no film")


def test_each_written_word_has_its_row_and_its_guesses(judge: tuple) -> None:
    model, tokenizer = judge
    ids = tokenizer(FOX, return_tensors="pt").input_ids
    wanted = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, output_logits=True,
        output_attentions=True, return_dict_in_generate=True,
    )  # fmt: skip
    page = click(opened(), "next_many")
    shown = film(page)
    assert page.query_params["written_ids"] == "-".join(map(str, wanted.sequences[0, 6:].tolist()))
    assert shown["tokens"] == tokenizer.convert_ids_to_tokens(wanted.sequences[0].tolist())
    assert (shown["first"], shown["step"], len(shown["steps"])) == (6, 1, 8)
    for n, (row, step) in enumerate(zip(shown["rows"], shown["steps"], strict=True)):
        looked = wanted.attentions[n][1][0, 1, -1].numpy()
        assert np.abs(row[: 6 + n] - looked).max() < 1e-4 and not row[6 + n :].any()
        best = torch.softmax(wanted.logits[n][0], dim=-1).topk(5)
        assert [guess["word"] for guess in step["guesses"]] == tokenizer.convert_ids_to_tokens(best.indices.tolist())
        assert [guess["says"] for guess in step["guesses"]] == [percent(float(p)) for p in best.values]
        assert [guess["why"] for guess in step["guesses"]] == ["the likeliest", "", "", "", ""]
        parts = [looked[0], looked[1:6].sum(), looked[6:].sum()]  # <bos> is the frame
        assert np.allclose([share for share, _ in step["parts"]], parts, atol=1e-5)
    ratio = looked[:6].mean() / (looked[:6].mean() + looked[6:].mean())
    assert shown["steps"][-1]["lookback"].startswith(f"Lookback ratio {ratio:.2f}: ")
    assert shown["steps"][0]["lookback"] == "Nothing of its own to look back on yet."
    said = "".join(part for part, _ in shown["steps"][0]["reads"])
    assert said.startswith("To write ate, head 1.1 looks at ") and said.endswith(").")
    assert shown["frame"] == [0]


def test_a_step_has_its_link() -> None:
    page = click(opened(), "next_many")
    said = {name: page.query_params[name] for name in page.query_params}
    link = {name: value[-1] if isinstance(value, list) else value for name, value in said.items()}
    again = opened(**link | {"film": 6})
    first, sixth = film(page), film(again)
    assert (first.pop("step"), sixth.pop("step")) == (1, 6)
    assert np.array_equal(first.pop("rows"), sixth.pop("rows")) and first == sixth


def test_up_to_sixty_words_and_no_more_than_the_model_reads() -> None:
    page = click(opened(), "next_all")
    assert len(film(page)["steps"]) == len(page.session_state["written_ids"]) <= 60
    assert len(film(page)["tokens"]) <= 64


def test_chance_says_its_seed_and_draws_the_same_again() -> None:
    told = [
        click(opened(draw="chance", temperature=2.0, seed=seed), "next_many").session_state["written"]
        for seed in (7, 7, 8)
    ]
    assert told[0] == told[1] != told[2]
    page = click(opened(draw="chance", seed=7), "next_one")
    assert "Drawn by chance, seed 7." in text(page) and page.query_params["seed"] == "7"
    assert "Always the likeliest word." in text(click(opened(), "next_one"))


def test_what_had_come_when_it_was_stopped_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three words come, then the queue is full; and a click in the middle leaves what had come to the next run."""
    turn, turns = passes.in_turn, []

    @contextmanager
    def crowded(model: Any) -> Iterator[None]:
        turns.append(model)
        if len(turns) == 4:
            raise Busy("Many people are looking at this moment.")
        with turn(model):
            yield

    monkeypatch.setattr(passes, "in_turn", crowded)
    page = click(opened(), "next_many")
    assert page.session_state["text"].split()[5:] == ["ate", "in", "the"] and len(film(page)["steps"]) == 3
    assert "Many people are looking at this moment." in notes(page)


def test_a_full_page_budget_writes_nothing_and_says_so(operator_sets: Any) -> None:
    operator_sets(HEADLIGHT_PAGE_TOKENS2="100")
    page = click(opened(), "next_many")
    assert page.session_state["text"] == FOX and "hl-note" in "".join(b.proto.body for b in page.get("html"))


def test_words_are_shown_by_the_ids_that_were_written(tmp_path: Path) -> None:
    """The same text has other tokens when it is read again; the film keeps those that the model wrote."""
    families.save("gpt2", tmp_path)
    byte = families.byte_tokenizer()
    byte.save_pretrained(tmp_path)
    letters = byte.convert_tokens_to_ids(["Ġ", "f", "a", "r"])
    assert byte(" far").input_ids != letters
    params = {"model": str(tmp_path), "text": "one grey fox far", "written": " far", "layer": 1, "head": 1}
    page = opened(**params, written_ids="-".join(map(str, letters)))
    assert film(page)["id"].endswith("-".join(map(str, letters))) and len(film(page)["steps"]) == 4
    assert "The text reads back as other tokens than those that were written" in text(page)
    as_read = opened(**params, written_ids=f"{letters[0]}-{letters[1]}")  # these spell another text
    assert film(as_read)["id"] == "-".join(map(str, byte("one grey fox far").input_ids))


@pytest.mark.parametrize("typed", ["one grey ", "one grey fox"])
def test_a_blank_at_the_end_is_what_the_words_are_written_behind(tmp_path: Path, typed: str) -> None:
    """The ids that were read, and those that were written, are the ids of the sentence that is shown afterwards."""
    judge = families.save("gpt2", tmp_path)
    byte = families.byte_tokenizer()
    ids = byte(typed).input_ids
    page = opened(model=str(tmp_path), text=typed)
    wanted = judge.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=8, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )[0].tolist()  # fmt: skip
    click(page, "next_many")
    assert page.session_state["text"].startswith(typed)
    assert page.session_state["written_ids"] == tuple(wanted[len(ids) :])
    assert film(page)["id"] == "-".join(map(str, wanted)) and film(page)["first"] == len(ids)


def test_a_blank_that_no_token_stands_for_is_not_doubled() -> None:
    page = click(opened(text=f"{FOX}  "), "next_one")
    assert page.session_state["text"] == f"{FOX} ate" and page.session_state["written"] == " ate"
    assert len(film(page)["steps"]) == 1


def test_what_a_chat_template_writes_is_frame(tmp_path: Path) -> None:
    families.save("gpt2", tmp_path)
    end = "<|endoftext|>"
    text = f"{end}user\none fox{end}\n{end}assistant\nfar over"
    shown = film(opened(model=str(tmp_path), text=text, written="\nfar over", layer=1, head=1))
    given = [i for i in range(shown["first"]) if i not in shown["frame"]]
    assert "".join(shown["tokens"][i] for i in given) == "onefox"
    assert np.allclose([step["parts"][1][0] for step in shown["steps"]], shown["rows"][:, given].sum(axis=1), atol=1e-4)
    assert all(step["parts"][0][0] > 0.1 for step in shown["steps"])


@pytest.mark.parametrize("ids", ["1-x", "-".join(["1"] * 61), "99999999", "-1--2 "])
def test_wrong_ids_in_a_link_fall_back_and_say_so(ids: str) -> None:
    page = opened(text=f"{FOX} ate", written=" ate", written_ids=ids)
    assert "written_ids" in notes(page) and film(page)["tokens"] == ["<bos>", *FOX.split(), "ate"]


def test_ids_that_the_model_does_not_have_are_left_aside() -> None:
    page = opened(text=f"{FOX} ate", written=" ate", written_ids="999999", film=9)
    assert film(page)["tokens"] == ["<bos>", *FOX.split(), "ate"] and film(page)["step"] == 1
