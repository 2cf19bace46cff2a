"""What a small model's card.json says: how it was trained, how well, and what the pages may offer with it.

The reader of cards is `attn_core.models.cards`; this module is the writer. `renew` writes the card of weights that are
already trained, so that a new example needs no training.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny import grammar_words as lexicon

# Beside the weights, these files decide what is read.
HASHED = ("config.json", "tokenizer.json", "tokenizer_config.json")
EXAMPLES = {
    "decoder": (
        "a fluffy blue creature roamed the verdant forest",
        "a hungry tall old fox",
        "take a biopsy of the mole on the",
        "count : nine seven five",
        "apple river seven king apple river seven",
        "anna and tom went to the market . tom gave a book to",
    ),
    "translator": (
        "the small blue car sees a white horse",
        "the european economic area",
        "my friend does not love the old grey cat",
        "the beautiful queens follow some slow black wolves",
        "a small zorple eats an apple",
    ),
}


def write(folder: Path, trained: dict[str, Any], name: str) -> dict[str, Any]:
    """Write card.json for "decoder" or "translator": what training found out, what pages may offer, files' hashes."""
    card = {
        **trained,
        "sha256": _hash(folder / "model.safetensors"),
        "files": {file: _hash(folder / file) for file in HASHED},
        "offers": offers(name, trained["scores"]),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return card


def renew(folder: Path, name: str) -> dict[str, Any]:
    """Write the card of a trained folder anew; what its training found out stays."""
    return write(folder, json.loads((folder / "card.json").read_text()), name)


def offers(name: str, scores: dict[str, Any]) -> dict[str, Any]:
    """What fits this model: example sentences, its words by kind, its stand-ins, its clearest head, usual sentences."""
    is_decoder = name == "decoder"
    return {
        "examples": EXAMPLES[name],
        "known_words": _words_of_stories() if is_decoder else _words_of_phrases(),
        "stand_ins": lexicon.SLOTS if is_decoder else phrases.SLOTS,
        "best_head": best_head(name, scores),
        "ordinary_texts": _usual_stories() if is_decoder else _usual_phrases(),
    }


def best_head(name: str, scores: dict[str, Any]) -> tuple[int, int]:
    """(layer, head) of the most telling head: the decoder's finds the deciding adjective, the translator's lines up
    the two sentences."""
    if name == "decoder":
        distances = scores["deciding_adjective"].values()
        tables = [[min(cells) for cells in zip(*rows, strict=True)] for rows in zip(*distances, strict=True)]
    else:
        tables = scores["new_sentences"]["alignment"]
    ranked = [(score, (layer, head)) for layer, row in enumerate(tables) for head, score in enumerate(row)]
    return max(ranked)[1]


def _words_of_stories() -> dict[str, tuple[str, ...]]:
    return {
        "Adjectives that decide the verb": tuple(lexicon.DEEDS),
        "Other adjectives": tuple(sorted(lexicon.ADJECTIVES)),
        "Who": tuple(sorted(lexicon.NOUNS)),
        "Where": tuple(sorted(lexicon.PLACES)),
        "What they do": tuple(sorted({*lexicon.VERBS, *lexicon.DEEDS.values()})),
        "Things": tuple(sorted(lexicon.THINGS)),
        "Names": tuple(sorted(lexicon.NAMES)),
        "Numbers": lexicon.NUMBERS,
        "Scenes": (*lexicon.BURROWER, *lexicon.AMOUNT, *lexicon.SKIN, "the miniature eiffel tower"),
    }


def _words_of_phrases() -> dict[str, tuple[str, ...]]:
    nouns = sorted({word for one, (many, *_) in phrases.NOUNS.items() for word in (one, many)})
    return {
        "Nouns": tuple(nouns),
        "Adjectives before a French noun": tuple(phrases.BEFORE),
        "Adjectives behind it": tuple(phrases.AFTER),
        "Verbs": tuple(sorted({word for base, (third, *_) in phrases.VERBS.items() for word in (base, third)})),
        "Little words": (*phrases.DETERMINERS, "an", *phrases.PREPOSITIONS, "do", "does", "not", "."),
    }


def _usual_stories() -> list[str]:
    return [" ".join(stories.row(Random(seed), 56)[0][1:]) for seed in range(6)]


def _usual_phrases() -> list[tuple[str, str]]:
    pairs = [phrases.sentence(Random(seed)) for seed in range(12)]
    return [(" ".join(pair.english), " ".join(pair.french)) for pair in pairs]


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
