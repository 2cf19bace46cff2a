"""Words that a model has never met: what stands in for them, and how they are named.

A plain `<unk>` would make all new words the same word. Some models (our small ones) therefore keep a few stand-ins,
`<new1>`, `<new2>`, …, and each distinct unknown word of a text takes one, so that heads can find it again. Their names
are in the tokenizer's own settings, under `slots`. A model without stand-ins is read by its tokenizer alone.

    reader = TextReader(tokenizer)
    reader.read_text("a zorple sees a blick", limit=64).labels     # […, "zorple°", …, "blick°"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attn_core.text import pairs
from attn_core.text import tokens as text_tokens
from attn_core.text.tokens import Tokens

# Pieces a word from which a text has fallen apart; English sentences have up to 1.5 in English models.
MANY_PIECES = 1.6
SHORTEST = 4  # words below which a few rare ones say nothing about the language
MARK = "°"  # set behind a word, as typed, that the model has not met


def falls_apart(tokens: Tokens) -> bool:
    """Whether a text was split into many pieces a word, or holds letters that the model lacks: not its language."""
    pieces = [word for word, special in zip(tokens.words, tokens.special, strict=True) if not special]
    words = {word for word in pieces if word is not None}
    unknown = sum("[UNK]" in label or "<unk>" in label for label in tokens.labels)
    return unknown >= 2 or (len(words) >= SHORTEST and len(pieces) >= MANY_PIECES * len(words))


class TextReader:
    """Turns text or ids into the tokens of one model, unknown words under the names that they were typed with.

    `stand_ins` are the ids that the model keeps for unknown words, in the order in which they are given out.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        names = list(getattr(tokenizer, "init_kwargs", {}).get("slots", ()))
        self.stand_ins: tuple[int, ...] = tuple(tokenizer.convert_tokens_to_ids(names)) if names else ()

    def read_text(
        self, text: str, limit: int, *, target: bool = False, beside: Tokens | None = None, frame: str = "own"
    ) -> Tokens:
        """Cut a text into at most `limit` tokens; a word that `beside` has too keeps the stand-in that it has there."""
        taken = {word.lower(): stand_in for word, stand_in in self.unknown_words(beside).items()}
        return text_tokens.encode(
            self.tokenizer,
            text,
            limit,
            target=target,
            frame=frame,
            identify=lambda ids, typed, spans: self.assign_stand_ins(ids, typed, spans, taken),
        )

    def read_pair(self, first: Any, second: Any, limit: int) -> Tokens:
        """Two texts, or the ids of two, in the tokenizer's frame for pairs; at most `limit` tokens together."""
        read = pairs.encode_pair if isinstance(first, str) else pairs.pair_of_ids
        return read(self.tokenizer, first, second, limit)

    def read_ids(
        self, ids: Sequence[int], *, target: bool = False, beside: Tokens | None = None, dropped: int = 0
    ) -> Tokens:
        """Describe ids as they are, `dropped` already cut; a stand-in that `beside` gave to a word is called by it."""
        typed = {stand_in: word + MARK for word, stand_in in reversed(self.unknown_words(beside).items())}
        names = {place: typed[i] for place, i in enumerate(ids) if i in typed}  # of two that share one, the first
        return text_tokens.from_ids(self.tokenizer, ids, target=target, names=names, dropped=dropped)

    def assign_stand_ins(
        self,
        ids: Sequence[int],
        text: str,
        spans: Sequence[tuple[int, int]],
        taken: Mapping[str, int] | None = None,
    ) -> tuple[list[int], dict[int, str]]:
        """Give every unknown word of a text its stand-in: the new ids, and what to call each such position.

        `spans` says where in `text` each token lies. The same word, whatever its case, has the same stand-in, also the
        one that it has `taken` in another sentence; when all are taken they begin again at the first.
        """
        given, names = list(ids), {}
        order = dict(taken or {})
        for position, (start, end) in enumerate(spans):
            if self.stand_ins and ids[position] == self.tokenizer.unk_token_id:
                word = text[start:end]
                free = (stand_in for stand_in in self.stand_ins if stand_in not in order.values())
                next_one = next(free, self.stand_ins[len(order) % len(self.stand_ins)])
                given[position] = order.setdefault(word.lower(), next_one)
                names[position] = word + MARK
        return given, names

    def unknown_words(self, tokens: Tokens | None) -> dict[str, int]:
        """The unknown words of a sentence in the order in which they came, as typed, and the stand-in of each."""
        if tokens is None or not self.stand_ins:
            return {}
        marked = zip(tokens.labels, tokens.ids, strict=True)
        return {as_typed(label): i for label, i in marked if i in self.stand_ins and is_unknown(label)}

    def names_of(self, tokens: Tokens) -> dict[int, str]:
        """What each stand-in of a sentence stands for, as typed; where two words share one, the later."""
        pairs = zip(tokens.ids, tokens.labels, strict=True)
        return {i: as_typed(label) for i, label in pairs if i in self.stand_ins}


def is_unknown(label: str) -> bool:
    """Whether a label is that of a word which the model has not met."""
    return label.endswith(MARK)


def as_typed(label: str) -> str:
    """A label without the mark of an unknown word.

    >>> as_typed("zorple°"), as_typed("fluffy")
    ('zorple', 'fluffy')
    """
    return label.removesuffix(MARK)
