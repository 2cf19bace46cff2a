"""What a page needs of a model comes from one pass, and from one for all who ask together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from page_driver import load, open_page

from attn_core.errors import HeadlightError
from ui.server import cache, derived, loading, passes, shared


@contextmanager
def counted(name: str = "minilm") -> Iterator[list[int]]:
    """How many rows each forward pass of a model had that was run inside."""
    rows: list[int] = []

    def note(_: object, args: tuple, named: dict) -> None:
        rows.append(len(named["input_ids"] if "input_ids" in named else args[0]))

    hook = load(name).hf.base_model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield rows
    finally:
        hook.remove()


def test_a_new_sentence_of_the_front_page_costs_one_pass() -> None:
    with counted() as rows:
        open_page("all_heads", text="one pass for a sentence and what a head does in it", layer=2, head=5)
    assert rows == [2], "the sentence, and the sentence without the opened head"
    with counted() as rows:
        open_page("all_heads", text="a mean asks for nothing to be switched off", mean="all")
    assert rows == [1]


def test_two_heads_of_a_sentence_are_compared_in_one_pass() -> None:
    derived.switched_off(loading.model(load("minilm").name))  # what the badge asks once of a model
    with counted() as rows:
        open_page("compare_heads", text="two heads of one sentence are put side by side", layer=3, head=4)
    assert rows == [3], "the sentence, and the sentence without each of the two heads"


def test_word_senses_read_their_sentences_in_one_pass() -> None:
    shared.STATE.traces._sized.clear()
    cache.begin_page()
    derived.near_words(loading.model(load("minilm").name))  # what the badge asks once of a model
    with counted() as rows:
        open_page("word_senses")
    assert len(rows) == 1 and rows[0] > 2


def test_many_who_ask_together_cost_one_pass() -> None:
    model = loading.model(load("minilm").name)
    texts = [f"they ask {together} together" for together in ("all", "both", "three")]
    with counted() as rows:
        for ask in (
            lambda: passes.trace_beside(model, "they ask together", [(1, 1)]),
            lambda: passes.trace_all(model, texts),
        ):
            threads = [Thread(target=ask) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert rows == [2, 3]


def test_what_cannot_be_read_together_is_left_to_a_pass_of_its_own() -> None:
    model = loading.model(load("minilm").name)
    passes.trace_all(model, ["", "one bird"])
    passes.trace_beside(model, "", [(0, 0)])
    try:
        passes.trace(model, "")
    except HeadlightError as reason:
        assert "no word" in str(reason)
    else:
        raise AssertionError("an empty sentence was read")
    assert len(passes.trace(model, "one bird").tokens) == 4
