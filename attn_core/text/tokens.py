"""Tokens as people read them: byte pieces decoded, specials flagged, pieces of one word kept together.

A tokenizer's own strings are made for machines: byte-level BPE writes "café" as `cafÃ©` and a space as `Ġ`,
SentencePiece writes a space as `▁`, and a rare emoji is cut into bytes that no font can show. Here every token gets a
label that a person can read, and every position stays a position: two equal tokens are never merged.

Sources: Sennrich et al. 2016 (BPE), Radford et al. 2019, section 2.2 (byte-level BPE), Kudo and Richardson 2018
(SentencePiece), Devlin et al. 2019 (WordPiece).
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import regex

from attn_core.errors import DamagedModel, EmptyText
from attn_core.text.decoding import Part, characters_of, spell, style_of, visible

CHARACTERS_PER_TOKEN = 40  # the longest that a text needs: English has about 4, and only rare words of code reach 40
# A tokenizer keeps its truncation and its source/target mode inside itself, so two threads must not use one at once.
_TOKENIZER_LOCK = threading.Lock()

# Ids, their text and where in it each lies → the ids to read, and names for positions that stand for something else.
Identify = Callable[[list[int], str, list[tuple[int, int]]], tuple[list[int], Mapping[int, str]]]

_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}"
_WORD = regex.compile(  # a word with its apostrophes, one sign of a script without spaces, or a run of signs
    rf"[{_SPACELESS}]\p{{M}}*|[[\w\p{{M}}]--[{_SPACELESS}]]+(?:['’][[\w\p{{M}}]--[{_SPACELESS}]]+)*|\p{{P}}+|[^\w\s\p{{P}}]+",
    regex.V1,
)


@dataclass(frozen=True)
class Tokens:
    """One sentence as its model reads it; all lists but `word_labels` have one entry a token.

    `labels` are for reading and need not be unique: a position is the identity of a token. `special` is True for
    tokens that are no part of what was said, such as [CLS]. `words` gives each token's word, counted from 0, and None
    for specials; `word_labels` has one entry a word or special, in order (see `units`). `dropped` is how many tokens
    of `text` lay beyond the limit and were cut; `unread`, how many characters no tokenizer was given (see `encode`).

    A forward pass needs the ids alone, and describing them costs a twentieth of it: see `described_later`.
    """

    text: str
    ids: list[int]
    labels: list[str]
    special: list[bool]
    words: list[int | None]
    word_labels: list[str]
    dropped: int = 0
    unread: int = 0

    @classmethod
    def described_later(
        cls, ids: list[int], describe: Callable[[], Tokens], *, dropped: int = 0, unread: int = 0
    ) -> Tokens:
        """Tokens of which the ids are known; `describe` gives labels, words and text when one is first asked for."""
        tokens = object.__new__(cls)
        tokens.__dict__.update(ids=ids, dropped=dropped, unread=unread, _describe=describe)
        return tokens

    def __getattr__(self, name: str) -> Any:
        """A field that is not there yet: describe the tokens and keep what that gives."""
        describe = self.__dict__.get("_describe") if name in _DESCRIBED else None
        if describe is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        described = describe()
        self.__dict__.update({field: getattr(described, field) for field in _DESCRIBED})
        return self.__dict__[name]

    def __getstate__(self) -> dict[str, Any]:
        """Fields alone, so that a copy or a file of them needs no tokenizer."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_cut(self) -> bool:
        """Whether something that was typed is not here."""
        return self.dropped > 0 or self.unread > 0

    @property
    def cut_after(self) -> str:
        """Where it was cut, in words: "512 tokens", "20,480 characters"."""
        return f"{len(self)} tokens" if self.dropped else f"{len(self.text):,} characters"

    @property
    def left_out(self) -> str:
        """What is not here, as a sentence."""
        pieces = [f"{self.dropped} more"] * (self.dropped > 0)
        pieces += [f"{self.unread:,} characters after them"] * (self.unread > 0)
        return f"{', and '.join(pieces)} are not shown."


_DESCRIBED = ("text", "labels", "special", "words", "word_labels")


def encode(tokenizer: Any, text: str, limit: int, *, target: bool = False, identify: Identify | None = None) -> Tokens:
    """Cut a text into tokens, at most `limit` of them, the special ones included.

    The tokenizer is given `CHARACTERS_PER_TOKEN` characters for each of them at most: tokenizers take memory and time
    for the whole of a text, however little of it is kept. What lies beyond is counted in `unread`.

    `target=True` reads the text as the other language of a translator, whose vocabulary may be its own. `identify`
    may exchange ids and name positions, as is done for unknown words (see `text.unknown_words`).
    Raises EmptyText where there is nothing to look at.
    """
    unread = max(0, len(text) - CHARACTERS_PER_TOKEN * limit)
    text = text[: CHARACTERS_PER_TOKEN * limit]
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half a character is no character
    encoded = _tokenize(tokenizer, text, target) if text.strip() else {"input_ids": []}
    ids, added = encoded["input_ids"], encoded.get("special_tokens_mask", [])
    head = added.index(0) if 0 in added else len(ids)
    tail = added[::-1].index(0) if 0 in added else 0
    if head == len(ids):
        raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
    places_left = limit - head - tail
    if places_left < 1:
        raise ValueError(f"a limit of {limit} leaves no room beside {head + tail} special tokens")
    end = min(len(ids) - tail, head + places_left)
    kept = [*range(end), *range(len(ids) - tail, len(ids))]
    dropped = len(ids) - len(kept)
    ids = [ids[i] for i in kept]
    if "offset_mapping" not in encoded:
        describe = partial(_describe, tokenizer, ids, target=target, text=text)
        return Tokens.described_later(ids, describe, dropped=dropped, unread=unread)
    spans = [encoded["offset_mapping"][i] for i in kept]
    ids, names = identify(ids, text, spans) if identify else (ids, None)
    describe = partial(_describe, tokenizer, ids, target=target, text=text, spans=spans, names=names)
    return Tokens.described_later(ids, describe, dropped=dropped, unread=unread)


def from_ids(
    tokenizer: Any,
    ids: Sequence[int],
    *,
    target: bool = False,
    names: Mapping[int, str] | None = None,
    dropped: int = 0,
) -> Tokens:
    """Describe tokens that are already ids, for example a decoder's own; nothing is added or cut.

    `names` says what a position is called that stands for something else: {3: "zorple°"}. `dropped` is how many ids
    were cut before.
    """
    if len(ids) == 0:
        raise EmptyText("There are no token ids to look at.")
    own = [int(i) for i in ids]
    return Tokens.described_later(own, partial(_describe, tokenizer, own, target=target, names=names), dropped=dropped)


def units(words: Sequence[int | None]) -> list[list[int]]:
    """The positions of each word, in order; a special token is a unit of its own.

    >>> units([None, 0, 1, 1, None])
    [[0], [1], [2, 3], [4]]
    """
    keys = [("special", i) if word is None else ("word", word) for i, word in enumerate(words)]
    return [[i for i, _ in run] for _, run in groupby(enumerate(keys), key=lambda item: item[1])]


def word_pattern(pattern: np.ndarray, query_words: Sequence[int | None], key_words: Sequence[int | None]) -> np.ndarray:
    """A pattern between words instead of pieces: [..., query, key] → [..., query word, key word].

    A word receives what its pieces receive together, so weights are summed over keys; a word asks as its pieces do on
    average, so they are averaged over queries. Rows still sum to 1. Special tokens stay as they are.
    Source: Clark et al. 2019, "What Does BERT Look At?", section 4.1.

    >>> word_pattern(np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]), [0, 1, 1], [0, 1, 1])
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    by_key = np.stack([pattern[..., :, unit].sum(axis=-1) for unit in units(key_words)], axis=-1)
    return np.stack([by_key[..., unit, :].mean(axis=-2) for unit in units(query_words)], axis=-2)


def _tokenize(tokenizer: Any, text: str, target: bool) -> Any:
    try:
        with _TOKENIZER_LOCK:
            return tokenizer(
                **{"text_target" if target else "text": text},
                truncation=False,
                padding=False,
                return_special_tokens_mask=True,
                return_offsets_mapping=bool(tokenizer.is_fast),
                verbose=False,  # a long text is our business: it is cut, and the page says so
            )
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the tokenizers library, and no Exception
            raise
        raise DamagedModel("This model's tokenizer breaks on this text; its tokenizer.json may be damaged.") from None


def _describe(
    tokenizer: Any,
    ids: list[int],
    *,
    target: bool,
    text: str | None = None,
    spans: list[tuple[int, int]] | None = None,
    names: Mapping[int, str] | None = None,
) -> Tokens:
    special, style = _special(tokenizer, ids), style_of(tokenizer)
    pieces = [(names or {}).get(i, piece) for i, piece in enumerate(_pieces(tokenizer, ids, target))]
    spelling = [piece.encode() if s else spell(piece, style) for piece, s in zip(pieces, special, strict=True)]
    characters = characters_of(spelling)
    spelt = "".join(c for own, s in zip(characters, special, strict=True) for c, part, _ in own if part == 0 and not s)
    if text is None or spans is None:  # no places in a typed text, so take those in the text that the tokens spell
        words = _words(spelt, _spans(characters, special), spelling, special)
    else:
        words = _words(text, spans, spelling, special)
    as_is = style in ("wordpiece", "word")  # such pieces are readable, and `##` says that no new word begins
    labels = [visible(p) if as_is or s else _label(own) for p, s, own in zip(pieces, special, characters, strict=True)]
    return Tokens(
        text=spelt.strip() if text is None else text,
        ids=ids,
        labels=labels,
        special=special,
        words=words,
        word_labels=[_word_label(unit, spelling, labels) for unit in units(words)],
    )


def _word_label(unit: list[int], spelling: list[bytes], labels: list[str]) -> str:
    name = b"".join(spelling[i].strip() for i in unit).decode("utf-8", "backslashreplace")
    return visible(name) if name else labels[unit[0]]


def _pieces(tokenizer: Any, ids: list[int], target: bool) -> list[str]:
    """The tokenizer's own strings. A translator with two vocabularies decodes only its target: look the source up."""
    if getattr(tokenizer, "separate_vocabs", False) and not target:
        source = {i: piece for piece, i in tokenizer.encoder.items()}
        return [source.get(i, tokenizer.unk_token) for i in ids]
    return [
        piece if piece is not None else f"‹{i}›"
        for i, piece in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
    ]


def _special(tokenizer: Any, ids: list[int]) -> list[bool]:
    """[UNK] and [MASK] stand for a word of the sentence, so they are not special, unless they double as a frame."""
    frame = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id}
    said = {tokenizer.unk_token_id, tokenizer.mask_token_id} - frame
    special = set(tokenizer.all_special_ids) - said
    return [i in special for i in ids]


def _label(characters: list[Part]) -> str:
    """What to read: the text without the one space that begins a word; parts of a character are counted, 🤗‹1/3›."""
    if len(characters) > 1 and characters[0] == (" ", 0, 1):
        characters = characters[1:]
    if all(parts == 1 for _, _, parts in characters):
        return visible("".join(c for c, _, _ in characters))
    return "".join(visible(c) if n == 1 else f"{visible(c)}‹{part + 1}/{n}›" for c, part, n in characters)


def _spans(characters: list[list[Part]], special: list[bool]) -> list[tuple[int, int]]:
    """Where each token lies in the text that the tokens spell; parts of a character share its place."""
    spans, at = [], 0
    for own, s in zip(characters, special, strict=True):
        start = at - len(own[0][0]) if own and own[0][1] > 0 else at
        at = at if s else start + sum(len(c) for c, _, _ in own)
        spans.append((start, at))
    return spans


def _words(text: str, spans: list[tuple[int, int]], spelling: list[bytes], special: list[bool]) -> list[int | None]:
    """Which word of the text each token belongs to: the one that its first visible character lies in."""
    starts = [match.start() for match in _WORD.finditer(text)]
    keys: list[tuple[str, int] | None] = []
    for i, (start, end) in enumerate(spans):
        first = next((p for p in range(start, end) if not text[p].isspace()), None)
        word = ("gap", i) if first is None else ("word", bisect_right(starts, first))
        keys.append(None if special[i] else word)
    for i in range(len(keys) - 2, -1, -1):  # a lone space opens the word that follows it
        if spelling[i] == b" " and keys[i] and keys[i + 1] and not spelling[i + 1][:1].isspace():
            keys[i] = keys[i + 1]
    words: list[int | None] = []
    count = -1
    for i, key in enumerate(keys):
        count += key is not None and (i == 0 or key != keys[i - 1])
        words.append(count if key is not None else None)
    return words
