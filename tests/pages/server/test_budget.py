"""A link of four kilobytes costs no minute: what is too much for one page is one sentence that says what would fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

import pytest
from page_driver import html, lead, notes, open_page, packets
from streamlit.testing.v1 import AppTest

from ui.drawing import gallery
from ui.server import budget, passes
from ui.server.cache import Busy

LETTERS = " ".join(ascii_lowercase[i % 26] for i in range(509))  # 512 tokens of one letter each
WORDS = [" ".join(ascii_lowercase[(7 * i * (k + 1) + i // 26) % 26] for i in range(509)) for k in range(12)]


@pytest.fixture(autouse=True)
def public(operator_sets: Callable[..., None]) -> None:
    operator_sets(HEADLIGHT_MODE="public")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The forward passes that were run."""
    run, texts = passes._run, []

    def noting(loaded: object, text: object, *more: object) -> object:
        texts.append(text)
        return run(loaded, text, *more)

    monkeypatch.setattr(passes, "_run", noting)
    return texts


@pytest.mark.parametrize("shows", ["shuffled", "random", "head"])
def test_four_panels_as_long_as_can_be_are_refused_before_anything_is_run(shows: str, runs: list[str]) -> None:
    more = {f"{what}_{letter}": value for letter, text in zip("bcd", WORDS, strict=False)
            for what, value in (("text", text), ("shows", shows))}  # fmt: skip
    open_page("compare_heads")  # everything is imported, and the model is here
    runs.clear()
    page = open_page("compare_heads", text=LETTERS, panels=4, **more)
    assert "Together these sentences are more than one page of this server computes" in html(page)
    assert not page.exception and runs == []


def test_two_long_panels_are_shown() -> None:
    page = open_page("compare_heads", text=LETTERS, panels=2, text_b=LETTERS, head_b=5)
    assert "cannot be shown" not in html(page) and lead(page)


def sent(page: AppTest) -> int:
    return sum(len(element.proto.bytes) for element in page.get("bidi_component"))


def test_four_panels_as_long_as_can_be_are_a_megabyte_and_a_half(operator_sets: Callable[..., None]) -> None:
    operator_sets(HEADLIGHT_MODE="local")
    page = open_page("compare_heads", text=LETTERS, panels=4, head_b=5, head_c=6, head_d=7)
    assert "cannot be shown" not in html(page) and "is not known" not in html(page) and lead(page)
    header, cells = packets(page)["side_by_side"]
    heads = [f"{letter} · head 0.{head}" for letter, head in zip("ABCD", (3, 5, 6, 7), strict=True)]
    assert [panel["title"] for panel in header["panels"]] == [*heads, "A − B"]
    assert (header["pool"], header["queries"], cells.shape) == (2, 511, (5, 256, 256))
    assert 1_300_000 < sent(page) < 1_500_000


def test_a_panel_is_exact_below_the_length_at_which_words_share_a_cell(operator_sets: Callable[..., None]) -> None:
    operator_sets(HEADLIGHT_MODE="local")
    words = " ".join(LETTERS.split()[:200])
    page = open_page("compare_heads", text=words, panels=4, head_b=5, head_c=6, head_d=7)
    header, cells = packets(page)["side_by_side"]
    assert (header["pool"], header["queries"], cells.shape) == (1, 202, (5, 202, 202))


def test_an_answer_has_so_many_bytes_and_what_is_beyond_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sent(open_page("find_heads"))
    monkeypatch.setattr(gallery, "LARGEST_ANSWER", whole // 2)
    page = open_page("find_heads")
    assert sent(page) <= whole // 2 and gallery.TOO_LARGE in html(page)


def test_twelve_long_sentences_of_one_word_are_refused_before_anything_is_run(runs: list[str]) -> None:
    rows = json.dumps([[f"q {WORDS[i]}", f"q {WORDS[i + 6]}", 0] for i in range(6)])
    page = open_page("word_senses", word="q", board=rows)
    assert "up to 223 tokens in each would fit" in html(page)
    assert not page.exception and runs == []


def test_a_sentence_as_long_as_can_be_is_run_once_and_no_head_is_taken_out_of_it(runs: list[str]) -> None:
    def taken_out(page: AppTest) -> bool:
        return any("really" in table.value for table in page.dataframe)

    unseen = LETTERS[::-1]  # which no other test has had traced
    long = open_page("why_there", text=unseen, layer=5, head=1, query=300)
    assert len(runs) == 1 and "more than one page of this server computes; up to 292 tokens" in notes(long)
    short = open_page("why_there", layer=5, head=1, query=3)
    assert "up to" not in notes(short) and taken_out(short) and not taken_out(long)


def test_heads_are_switched_off_in_turn_only_in_a_sentence_that_a_page_may_cost(
    operator_sets: Callable[..., None],
) -> None:
    def asks(text: str) -> bool:
        page = open_page("find_heads", find="matter", text=text)
        assert ("is 72 passes through the model" in notes(page)) is (text is LETTERS)
        return any(button.key == "ask_effects" for button in page.button)

    assert not asks(LETTERS) and asks("a fluffy blue creature")
    operator_sets(HEADLIGHT_MODE="local")
    assert "ask_effects" in [button.key for button in open_page("find_heads", find="matter", text=LETTERS).button]


def test_a_translation_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model writes it word by word: a long pass, in the queue like others."""
    turns: list[object] = []
    turn = passes.in_turn
    monkeypatch.setattr(passes, "in_turn", lambda model: turns.append(model) or turn(model))
    lead(open_page("cross_attention", source="the small blue horse sees my red car"))
    assert len(turns) == 2  # what it writes, and the pass over both sentences


def test_what_would_fit_fits() -> None:
    with pytest.raises(budget.TooMuch, match="up to 129 tokens") as refused:
        budget.hold_to([(512, 9), (512, 9), (512, 9), (512, 9)])
    assert "server" in str(refused.value)
    budget.hold_to([(129, 9)] * 4)
    with pytest.raises(budget.TooMuch, match="2,048 places.*up to 707 would fit"):
        budget.hold_drawn((2048, 2048), 5)
    budget.hold_drawn((707, 707), 5)
    budget.hold_to([])


def test_a_file_too_large_for_all_is_not_offered_and_the_button_says_why(
    operator_sets: Callable[..., None],
) -> None:
    def npz(page: AppTest) -> Any:
        (button,) = (button for button in page.get("download_button") if button.proto.label == "NPZ")
        return button.proto

    long = npz(open_page("delta_e", menus=True, text=LETTERS))
    assert long.disabled and "it would have 75 MB, and this server makes files up to 24 MB" in long.help
    assert not npz(open_page("delta_e", menus=True, text="a fluffy blue creature")).disabled
    operator_sets(HEADLIGHT_MODE="local")
    assert not npz(open_page("delta_e", menus=True, text=LETTERS)).disabled


def test_files_are_made_one_at_a_time_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "DOWNLOAD_WAIT", 0.05)
    with pytest.raises(Busy):
        budget.made_in_turn(lambda: budget.made_in_turn(lambda: b"never"))
    assert budget.made_in_turn(lambda: b"a file") == b"a file"
