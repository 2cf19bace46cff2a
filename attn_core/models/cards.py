"""What a model that we trained knows of itself, read from the card.json beside its weights.

    card_of("tiny-decoder").examples[0]     # 'a fluffy blue creature roamed the verdant forest'

A model without a card offers nothing: every field is empty, and its best head is the first. Training writes the cards
(`attn_core.tiny.card`); nothing else of a small model's making is known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from attn_core.settings import assets_folder


@dataclass(frozen=True)
class ModelCard:
    """Facts about one shipped model.

    `files` maps the names of its files to their sha256, weights included. `known_words` groups its vocabulary by kind,
    and `stand_ins` are the names of its tokens for unknown words. `best_head` is (layer, head) of its most telling
    head. `ordinary_texts` are sentences for measuring heads: texts, or (source, target) pairs for a translator.
    """

    parameters: int | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    known_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stand_ins: tuple[str, ...] = ()
    best_head: tuple[int, int] = (0, 0)
    ordinary_texts: tuple[str | tuple[str, str], ...] = ()


def shipped_folder(name: str) -> Path:
    """Where the weights of a model that we trained lie, whether or not they are in this copy."""
    return assets_folder() / "models" / name


def card_of(name: str) -> ModelCard:
    """The card of a shipped model; an empty one for any other."""
    return _read(shipped_folder(name) / "card.json") if name in _shipped() else ModelCard()


@cache
def _shipped() -> frozenset[str]:
    folder = assets_folder() / "models"
    return frozenset(each.name for each in folder.iterdir()) if folder.is_dir() else frozenset()


@cache
def _read(file: Path) -> ModelCard:
    if not file.is_file():
        return ModelCard()
    card = json.loads(file.read_text())
    offers = card.get("offers", {})
    layer, head = offers.get("best_head", (0, 0))
    return ModelCard(
        parameters=card.get("parameters"),
        files={"model.safetensors": card["sha256"], **card.get("files", {})},
        examples=tuple(offers.get("examples", ())),
        known_words={kind: tuple(words) for kind, words in offers.get("known_words", {}).items()},
        stand_ins=tuple(offers.get("stand_ins", ())),
        best_head=(layer, head),
        ordinary_texts=tuple(_text(each) for each in offers.get("ordinary_texts", ())),
    )


def _text(said: Any) -> str | tuple[str, str]:
    return said if isinstance(said, str) else (said[0], said[1])
