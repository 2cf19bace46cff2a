"""Writing on with kept keys and values, judged by the library's own `generate` and its attention step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import families
import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.prediction import next_token, writing
from attn_core.text import tokens


def written(model: ac.Model, ids: list[int], n_words: int, **options: object) -> list[int]:
    return [drawn.id for drawn in writing.write(model, ids, n_words, **options)]  # type: ignore[arg-type]


def test_the_likeliest_words_and_the_rows_behind_them_are_the_librarys(both: tuple[object, ac.Model]) -> None:
    theirs, model = both
    ids = ac.trace(model, families.TEXT).tokens.ids
    judge = theirs.generate(  # type: ignore[attr-defined]
        torch.tensor([ids]), max_new_tokens=6, num_beams=1, do_sample=False, eos_token_id=None, pad_token_id=0,
        output_attentions=True, return_dict_in_generate=True,
    )  # fmt: skip
    found = written(model, ids, 6, stop=())
    assert found == judge.sequences[0, len(ids) :].tolist()
    trace = ac.trace(model, ids + found)
    for step, layers in enumerate(judge.attentions):  # each [1, head, query, key]; the last query writes
        row = len(ids) - 1 + step
        for layer, theirs_here in enumerate(layers):
            looked = theirs_here[0, :, -1].numpy()
            ours = trace.patterns(layer)[:, row, : row + 1]
            window = row + 1 - looked.shape[-1]  # a sliding window has forgotten what came before it
            assert np.abs(ours[:, window:] - looked).max() < 2e-6 and not ours[:, :window].any()


def test_drawing_follows_the_probabilities(decoder: ac.Model) -> None:
    ids = ac.trace(decoder, "anna and tom went to the market .").tokens.ids  # who gives is a matter of chance
    chances = next_token.probabilities(ac.trace(decoder, ids).logits(), temperature=1.5, top_k=3)
    drawn = [next(writing.write(decoder, ids, 1, temperature=1.5, top_k=3, seed=seed)) for seed in range(400)]
    assert {each.id for each in drawn} <= set(np.flatnonzero(chances))
    likeliest = int(chances.argmax())
    share = np.mean([each.id == likeliest for each in drawn])
    assert abs(share - chances[likeliest]) < 4 * np.sqrt(0.25 / 400)
    assert all(each.probability == pytest.approx(float(chances[each.id]), abs=1e-6) for each in drawn)


def test_a_seed_writes_the_same_words_at_once_or_one_by_one(decoder: ac.Model) -> None:
    ids = ac.trace(decoder, "anna and tom went to the market .").tokens.ids
    at_once = written(decoder, ids, 8, temperature=2.0, seed=3)
    said = list(ids)
    for _ in range(8):
        said += written(decoder, said, 1, temperature=2.0, seed=3)
    assert said[len(ids) :] == at_once != written(decoder, ids, 8, temperature=2.0, seed=4)


def test_writing_ends_at_the_limit_and_at_a_stop_sign(decoder: ac.Model) -> None:
    ids = ac.trace(decoder, "a hungry old fox").tokens.ids
    long = [ids[-1]] * (decoder.limit - 3)
    assert len(written(decoder, long, 50, stop=())) == 3
    assert written(decoder, [ids[-1]] * decoder.limit, 5) == []
    ate = decoder.tokenizer.convert_tokens_to_ids("ate")
    assert written(decoder, ids, 5, stop=(ate,)) == []


def test_a_story_is_told_to_its_end(decoder: ac.Model) -> None:
    read = ac.trace(decoder, "a hungry small fox").tokens
    text = next_token.continued_text(decoder.tokenizer, read, written(decoder, read.ids, 12))
    assert text.startswith("a hungry small fox ate in the ") and "the fox was hungry and small" in text


def test_each_word_waits_its_turn_and_none_is_computed_unasked(decoder: ac.Model) -> None:
    turns = []

    @contextmanager
    def turn() -> Iterator[None]:
        turns.append("began")
        yield
        turns.append("ended")

    words = writing.write(decoder, ac.trace(decoder, "a hungry old fox").tokens.ids, 8, turn=turn)
    assert turns == []
    next(words), next(words)
    assert turns == ["began", "ended"] * 2


def test_what_a_word_was_chosen_from(decoder: ac.Model) -> None:
    ids = ac.trace(decoder, "a hungry old fox").tokens.ids
    hid = decoder.tokenizer.convert_tokens_to_ids("hid")
    trace = ac.trace(decoder, [*ids, hid, *written(decoder, [*ids, hid], 1)])
    forced, own = writing.written_steps(trace.stream(), len(ids), count=3)
    chances = next_token.probabilities(trace.logits(len(ids) - 1))
    assert (forced.word.id, forced.word.word) == (hid, "hid") and forced.word.probability == chances[hid]
    assert forced.rank == int((chances > chances[hid]).sum()) + 1 > 1 and forced.guesses[0].word == "ate"
    assert own.rank == 1 and own.word == own.guesses[0] and len(own.guesses) == 3


def test_whom_a_word_looked_at() -> None:
    row, special = np.array([0.3, 0.1, 0.2, 0.3, 0.1, 0.0]), [True, False, False, False, False, True]
    found = writing.looked_at(row, special, first=3, query=4)
    assert found[:3] == pytest.approx((0.3, 0.3, 0.4))
    assert found.lookback == pytest.approx(0.2 / (0.2 + 0.2))  # mean weights, 0.6 over three and 0.4 over two
    first = writing.looked_at(np.array([0.3, 0.1, 0.6, 0.0]), special[:4], first=3, query=2)
    assert first[:3] == pytest.approx((0.3, 0.7, 0.0)) and first.lookback is None


@pytest.mark.parametrize(
    ("said", "framed"),
    [  # «…» are special tokens; what is framed is in capitals
        ("«im_start» user ⏎ Hi user ⏎ «im_end» ⏎ «im_start» assistant ⏎", "S U N - - - S N S A N"),
        ("«begin» «start» user «end» ⏎⏎ Hi «end» «start» as sistant «end» ⏎⏎", "S S U S N - S S A A S N"),
        ("«begin» user ␠manuals ⏎ are long", "S - - - - -"),
        ("user ⏎ Hi", "- - -"),
        ("«begin» a role in the prompt ⏎", "S - - - - - -"),
        ("«im_start» system", "S -"),
    ],
)
def test_the_frame_is_what_a_chat_template_writes_around_the_words(said: str, framed: str) -> None:
    labels = said.split()
    special = [label.startswith("«") for label in labels]
    read = tokens.Tokens(said, list(range(len(labels))), labels, special, [None] * len(labels), labels)
    assert writing.frame_of(read) == [each != "-" for each in framed.split()]


def test_a_chat_is_read_with_its_frame() -> None:
    own = families.byte_tokenizer()
    own.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    read = tokens.encode(own, "<|im_start|>user\none fox<|endoftext|>\n<|im_start|>assistant\n", 64)
    said = [label for label, framed in zip(read.labels, writing.frame_of(read), strict=True) if not framed]
    assert "".join(said) == "onefox"
