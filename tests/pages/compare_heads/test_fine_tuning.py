"""Compare, with a base model beside its fine-tuned one: heads ranked by what changed in them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import peft
import pytest
import streamlit as st
import torch
import transformers
from families import FAMILIES, TEXT, word_tokenizer
from page_driver import html, open_page, table

import attn_core as ac
from ui.compare_heads import fine_tuning

OTHER = "the old fox ran over the hill"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base model, and one of its shape in which head 1.2 asks otherwise."""
    base = FAMILIES["bert"].build()
    tuned = copy.deepcopy(base)
    with torch.no_grad():
        tuned.encoder.layer[1].attention.self.query.weight[16:24] *= 3
    made = []
    for model in (base, tuned):
        made.append(tmp_path_factory.mktemp("model"))
        model.save_pretrained(made[-1])
        word_tokenizer().save_pretrained(made[-1])
    return made[0], made[1]


def test_heads_are_ranked_by_what_changed_in_them(folders: tuple[Path, Path]) -> None:
    base, tuned = folders
    page = open_page("compare_heads", model=base, model_b=tuned, text=TEXT, text_b=OTHER, panels=2)
    judge = ac.changed_heads(base, tuned, [TEXT, OTHER])
    shown = table(page, "W_Q")
    assert list(shown.columns) == ["head", "pattern", "W_Q", "W_K", "W_V", "W_O"]
    assert shown["head"][0] == "1.2" == f"{judge.layer[0]}.{judge['head'][0]}"
    np.testing.assert_allclose(shown["pattern"], judge.pattern, atol=1e-5)
    assert shown["W_Q"][0] == pytest.approx(2.0, abs=1e-5) and (shown[["W_K", "W_V", "W_O"]] == 0).all(axis=None)
    assert "over the words of 2 sentences" in html(page)


def test_one_sentence_is_enough_and_a_row_opens_its_head_in_both(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, tuned = folders
    drawn, opened = st.dataframe, []

    def clicked(data, **options):
        if options.get("key") == "changed_heads":
            st.session_state["changed_heads"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
            options["on_select"]()
            del st.session_state["changed_heads"]
        return drawn(data, **options)

    monkeypatch.setattr(st, "dataframe", clicked)
    monkeypatch.setattr(fine_tuning, "show_head", lambda *asked: opened.append(asked))
    page = open_page("compare_heads", model=base, model_b=tuned, text=TEXT, text_b=TEXT, panels=2)
    assert opened == [((0, 1), 1, 2)] and "over the words of this sentence" in html(page)


@pytest.mark.parametrize("asked", ["one model", "a baseline", "another shape"])
def test_what_has_no_counterpart_is_not_ranked(folders: tuple[Path, Path], asked: str) -> None:
    base, tuned = folders
    others = {
        "one model": {"model_b": base, "text_b": OTHER},
        "a baseline": {"model_b": tuned, "shows_b": "random", "text_b": TEXT},
        "another shape": {"model_b": "minilm", "text_b": TEXT},
    }
    page = open_page("compare_heads", model=base, text=TEXT, panels=2, **others[asked])
    assert not any("W_Q" in frame.value for frame in page.dataframe) and "What changed between" not in html(page)


def test_an_adapter_by_its_folder_beside_its_base(folders: tuple[Path, Path], tmp_path: Path) -> None:
    base = folders[0]
    model = transformers.AutoModel.from_pretrained(base)
    owners = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["query"], init_lora_weights=False))
    owners.peft_config["default"].base_model_name_or_path = str(base)
    owners.save_pretrained(tmp_path)
    page = open_page("compare_heads", model=base, model_b=tmp_path, text=TEXT, text_b=TEXT, panels=2)
    shown = table(page, "W_Q")
    assert (shown["W_Q"] > 0.01).all() and (shown[["W_K", "W_V", "W_O"]] == 0).all(axis=None)
    np.testing.assert_allclose(shown["pattern"], ac.changed_heads(base, tmp_path, [TEXT]).pattern, atol=1e-5)
