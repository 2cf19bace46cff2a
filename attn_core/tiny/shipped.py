"""What there is to know about the two models that are shipped: fitting sentences, their words, their clearest heads."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from attn_core.settings import assets_folder
from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories

EXAMPLES = {
    "tiny-decoder": (
        "a fluffy blue creature roamed the verdant forest",
        "a hungry tall old fox",
        "take a biopsy of the mole on the",
        "count : nine seven five",
        "apple river seven king apple river seven",
        "anna and tom went to the market . tom gave a book to",
    ),
    "tiny-translator": (
        "the small blue car sees a white horse",
        "the european economic area",
        "my friend does not love the old grey cat",
        "the beautiful queens follow some slow black wolves",
        "a small zorple eats an apple",
    ),
}


def examples(name: str) -> tuple[str, ...]:
    """Sentences that fit a shipped model; none for any other."""
    return EXAMPLES.get(name, ())


def known_words(name: str) -> dict[str, tuple[str, ...]]:
    """The words that a visitor can use with a shipped model, by kind; empty for any other model."""
    if name == "tiny-decoder":
        return {
            "Adjectives that decide the verb": tuple(stories.DEEDS),
            "Other adjectives": tuple(sorted(stories.ADJECTIVES)),
            "Who": tuple(sorted(stories.NOUNS)),
            "Where": tuple(sorted(stories.PLACES)),
            "What they do": tuple(sorted({*stories.VERBS, *stories.DEEDS.values()})),
            "Things": tuple(sorted(stories.THINGS)),
            "Names": tuple(sorted(stories.NAMES)),
            "Numbers": stories.NUMBERS,
            "Scenes": (*stories.BURROWER, *stories.AMOUNT, *stories.SKIN, "the miniature eiffel tower"),
        }
    if name == "tiny-translator":
        nouns = sorted({word for one, (many, *_) in phrases.NOUNS.items() for word in (one, many)})
        return {
            "Nouns": tuple(nouns),
            "Adjectives before a French noun": tuple(phrases.BEFORE),
            "Adjectives behind it": tuple(phrases.AFTER),
            "Verbs": tuple(sorted({word for base, (third, *_) in phrases.VERBS.items() for word in (base, third)})),
            "Little words": (*phrases.DETERMINERS, "an", *phrases.PREPOSITIONS, "do", "does", "not", "."),
        }
    return {}


def stand_ins(name: str) -> tuple[str, ...]:
    """What a shipped model has for words that it has not met; none for any other model."""
    return {"tiny-decoder": stories.SLOTS, "tiny-translator": phrases.SLOTS}.get(name, ())


def best_head(name: str) -> tuple[int, int]:
    """(layer, head) of a shipped model's most telling head: the decoder's finds the deciding adjective, the
    translator's lines up the two sentences. (0, 0) for any other model."""
    scores = card(name).get("scores", {})
    if name == "tiny-decoder":
        distances = scores["deciding_adjective"].values()
        tables = [[min(cells) for cells in zip(*rows, strict=True)] for rows in zip(*distances, strict=True)]
    elif name == "tiny-translator":
        tables = scores["new_sentences"]["alignment"]
    else:
        return 0, 0
    ranked = [(score, (layer, head)) for layer, row in enumerate(tables) for head, score in enumerate(row)]
    return max(ranked)[1]


@cache
def card(name: str) -> dict[str, Any]:
    """What its training wrote down about a shipped model; empty for any other."""
    file = assets_folder() / "models" / name / "card.json"
    return json.loads(file.read_text()) if name in EXAMPLES and file.is_file() else {}
