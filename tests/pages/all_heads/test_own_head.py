"""What a model with a head of its own says, where others have the next word: labels, answers, words for a [MASK]."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import own_heads
import torch
import transformers as tf
from families import _BERT, TEXT, word_tokenizer
from page_driver import html, notes, open_page, text

from attn_core.text.numbers import percent

QUESTION = "one grey [MASK] ran far over the hill"


def opened(name: str, folder: Path, said: str = TEXT, **params: object) -> tuple[Any, Any, list[int]]:
    """(the library's model, the page, the token ids that it reads)."""
    theirs = own_heads.save(name, folder)
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    return theirs, open_page("all_heads", model=folder, text=said, **params), tokenizer(said)["input_ids"]


def rows(page: Any) -> list[tuple[str, str]]:
    """(name, what its bar says) of every row of a table of bars, in order."""
    found = re.findall(r'<tr class="[^"]*"><th scope="row">(.*?)</th><td><div><b>(.*?)</b>', html(page))
    return [(re.sub(r"<[^>]*>", "", name), said) for name, said in found]


def chances(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    return torch.tensor(logits).softmax(dim=axis).numpy()


def test_a_text_has_its_labels_with_their_probabilities_as_bars(tmp_path: Path) -> None:
    theirs, page, ids = opened("bert", tmp_path)
    judge = chances(own_heads.logits(theirs, ids))
    names = list(theirs.config.id2label.values())
    best = np.argsort(-judge)
    assert rows(page) == [(names[i], percent(float(judge[i]))) for i in best]
    assert "trained to sort texts" in text(page) and "What comes next" not in text(page)


def test_every_word_has_its_label_and_the_chosen_one_all_of_them(tmp_path: Path) -> None:
    theirs, page, ids = opened("tokens", tmp_path, query=3)
    judge, names = chances(own_heads.logits(theirs, ids)), list(theirs.config.id2label.values())
    found = rows(page)
    assert found[:3] == [(names[i], percent(float(judge[3, i]))) for i in np.argsort(-judge[3])]
    best = judge.argmax(axis=1)
    assert [said for _, said in found[3:]] == [
        f"{names[b]} {percent(float(row[b]))}" for b, row in zip(best, judge, strict=True)
    ]
    assert found[3 + 3][0] == "fox (3)"


def test_a_question_has_its_answer_with_both_ends(tmp_path: Path) -> None:
    theirs, page, ids = opened("answers", tmp_path)
    judge = chances(own_heads.logits(theirs, ids), axis=0)
    likeliest = judge.max(axis=0)
    found = rows(page)
    assert [found[0][1], found[len(found) // 2][1]] == [percent(float(chance)) for chance in likeliest]
    assert "Its likeliest answer is" in text(page)


def test_a_mask_has_its_likeliest_words(tmp_path: Path) -> None:
    theirs, page, ids = opened("masked", tmp_path, QUESTION)
    mask = tf.AutoTokenizer.from_pretrained(tmp_path).mask_token_id
    judge = chances(own_heads.logits(theirs, ids))[ids.index(mask)]
    assert [said for _, said in rows(page)] == [percent(float(chance)) for chance in np.sort(judge)[::-1][:10]]
    assert "In the place of [MASK] (token 3)" in text(page)


def test_without_a_mask_the_page_says_how_to_ask(tmp_path: Path) -> None:
    _, page, _ = opened("masked", tmp_path)
    assert "Write [MASK] in the place of a word" in notes(page) and not rows(page)


def test_a_head_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tf.BertForMultipleChoice(tf.BertConfig(**_BERT)).save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    page = open_page("all_heads", model=tmp_path, text=TEXT)
    assert "BertForMultipleChoice, that cannot be read here. It is left aside" in notes(page)


def test_labels_are_text_and_never_markup(tmp_path: Path) -> None:
    made, config = own_heads.MODELS["bert"]
    config = type(config)(**_BERT, id2label={0: "<b>x</b>", 1: "$a$ {b}"}, label2id={"<b>x</b>": 0, "$a$ {b}": 1})
    made(config).save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    said = html(open_page("all_heads", model=tmp_path, text=TEXT))
    assert "&lt;b&gt;x&lt;/b&gt;" in said and "<b>x</b>" not in said and "$a$ {b}" in said


def test_a_decoder_with_a_head_for_texts_has_labels_and_no_next_word(tmp_path: Path) -> None:
    theirs, page, ids = opened("gpt2", tmp_path)
    judge = chances(own_heads.logits(theirs, ids))
    assert [said for _, said in rows(page)] == [percent(float(chance)) for chance in np.sort(judge)[::-1]]
    assert "What comes next" not in text(page)
