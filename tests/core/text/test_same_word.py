"""The same word in another sentence."""

import pytest

from attn_core.text.same_word import WordPlace, find_word, word_at
from attn_core.text.tokens import Tokens


def tokens(*words: list[str]) -> Tokens:
    """[CLS], words by their pieces, [SEP]."""
    labels = ["[CLS]", *(piece for word in words for piece in word), "[SEP]"]
    groups = [None, *(i for i, word in enumerate(words) for _ in word), None]
    special = [group is None for group in groups]
    return Tokens("", [*range(len(labels))], labels, special, groups, ["[CLS]", *map("".join, words), "[SEP]"])


BEFORE = tokens(["a"], ["mole"], ["saw"], ["a"], ["roam", "ed"], ["mole"])


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (1, WordPlace("a", 0, 0)),
        (4, WordPlace("a", 1, 0)),
        (6, WordPlace("roamed", 0, 1)),
        (8, WordPlace("[sep]", 0, 0)),
    ],
)
def test_a_word_is_named_by_its_occurrence_and_piece(position: int, place: WordPlace) -> None:
    assert word_at(BEFORE, position) == place
    assert find_word(BEFORE, place) == position


def test_it_is_found_in_another_sentence_whole_or_in_pieces_or_not_at_all() -> None:
    after = tokens(["One"], ["Mole"], ["roamed"])
    assert find_word(after, word_at(BEFORE, 7)) == 2, "fewer of them: the last; capitals make no other word"
    assert find_word(after, word_at(BEFORE, 6)) == 3, "a word of one piece"
    assert find_word(after, word_at(BEFORE, 4)) is None
