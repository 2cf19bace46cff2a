"""Tokens as people read them: byte pieces decoded, specials flagged, pieces of one word kept together.

A tokenizer's own strings are made for machines: byte-level BPE writes "café" as `cafÃ©` and a space as `Ġ`,
SentencePiece writes a space as `▁`, and a rare emoji is cut into bytes that no font can show. Here every token gets a
label that a person can read, and every position stays a position: two equal tokens are never merged.

Sources: Sennrich et al. 2016 (BPE), Radford et al. 2019, section 2.2 (byte-level BPE), Kudo and Richardson 2018
(SentencePiece), Devlin et al. 2019 (WordPiece).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from textwrap import shorten
from typing import Any

from attn_core.errors import DamagedModel, EmptyText
from attn_core.text.decoding import Name
from attn_core.text.description import Description, describe

CHARACTERS_PER_TOKEN = 40  # the longest that a text needs: English has about 4, and only rare words of code reach 40
# A tokenizer keeps its truncation and its source/target mode inside itself, so two threads must not use one at once.
_TOKENIZER_LOCK = threading.Lock()

FRAMES = ("own", "typed")  # what `attn_core.trace` may be told to put around a text

# Ids, their text and where in it each lies → the ids to read, and names for positions that stand for something else.
Identify = Callable[[list[int], str, list[tuple[int, int]]], tuple[list[int], Mapping[int, str]]]


@dataclass(frozen=True)
class Tokens:
    """One sentence as its model reads it; all lists but `word_labels` have one entry a token.

    `labels` are for reading and need not be unique: a position is the identity of a token. `special` is True for
    tokens that are no part of what was said, such as [CLS]. `words` gives each token's word, counted from 0, and None
    for specials; `word_labels` has one entry a word or special, in order (see `whole_words.units`). `dropped` is how
    many tokens of `text` lay beyond the limit and were cut; `unread`, how many characters no tokenizer was given (see
    `encode`).

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
    from_ids: bool = False  # whether ids were given and no text, so that `text` is what they spell
    from_inputs: bool = False  # whether more than ids was given: segments, a mask
    doubled: tuple[str, ...] = ()  # special tokens that were typed where the tokenizer's own frame has them already
    types: list[int] | None = None  # the tokenizer's number of each token's segment, where not all are 0
    second: int | None = None  # of a pair: where its second segment begins, the frame's tokens counted in
    second_text: str = ""  # of a pair: what was typed as its second text; `text` is the first
    frame: str = "own"  # what stands around the text: the tokenizer's "own" frame, or "typed": nothing, or "chat"
    messages: tuple[
        tuple[str, str], ...
    ] = ()  # of a chat: (role, content) of each turn; `text` is what was made of them

    @classmethod
    def described_later(cls, ids: list[int], describe: Callable[[], Description], **known: Any) -> Tokens:
        """Tokens of which the ids are known, and other fields by name; `describe` gives the rest when one is first
        asked for."""
        tokens = object.__new__(cls)
        tokens.__dict__.update(ids=ids, _describe=describe, **known)
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

    def __repr__(self) -> str:
        said, labels = (shorten(text, 60, placeholder=" …") for text in (self.said, " ".join(self.labels)))
        return f"<{len(self)} tokens of {said!r}: {labels}>"

    def with_keys(self, names: Sequence[str]) -> Tokens:
        """The same with keys after them that stand for no word: special, and of ids of no vocabulary, −1, −2, …"""
        if not names:
            return self
        known = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _NOT_YET}
        more = [Name(name) for name in names]

        def described() -> Description:
            return Description(
                self.text,
                [*self.labels, *more],
                [*self.special, *[True] * len(more)],
                [*self.words, *[None] * len(more)],
                [*self.word_labels, *more],
            )

        return Tokens.described_later([*self.ids, *(-1 - i for i in range(len(more)))], described, **known)

    @property
    def as_ids(self) -> list[int] | tuple[list[int], list[int]]:
        """The ids as an argument of `attn_core.trace`: of a pair those of its two segments."""
        return self.ids if self.second is None else (self.ids[: self.second], self.ids[self.second :])

    @property
    def as_typed(self) -> str | tuple[str, str]:
        """The text, or both of a pair."""
        return self.text if self.second is None else (self.text, self.second_text)

    @property
    def said(self) -> str:
        """The text in one line, or both of a pair: "Who roamed? + a blue creature roamed"; of a chat who says what."""
        if self.messages:
            return " / ".join(f"{role}: {content}" for role, content in self.messages)
        return " + ".join(filter(None, (self.text, self.second_text)))

    def as_python(self) -> str:
        """What was read, as an argument of `attn_core.trace`: the text or pair, the ids where ids were given, or
        `messages=`."""
        if self.messages:
            return f"messages={[{'role': role, 'content': content} for role, content in self.messages]!r}"
        return repr(self.as_ids if self.from_ids else self.as_typed)

    @property
    def is_cut(self) -> bool:
        """Whether something that was typed is not here."""
        return self.dropped > 0 or self.unread > 0

    @property
    def cut_after(self) -> str:
        """Where it was cut, in words: "512 tokens", "20,480 characters"."""
        return f"{len(self)} tokens" if self.dropped else f"{len(self.text) + len(self.second_text):,} characters"

    @property
    def left_out(self) -> str:
        """What is not here, as a sentence."""
        pieces = [f"{self.dropped} more"] * (self.dropped > 0)
        pieces += [f"{self.unread:,} characters after them"] * (self.unread > 0)
        return f"{', and '.join(pieces)} are not shown."


_DESCRIBED = Description._fields
_NOT_YET = (*_DESCRIBED, "ids", "types")


def encode(
    tokenizer: Any,
    text: str,
    limit: int,
    *,
    target: bool = False,
    identify: Identify | None = None,
    frame: str = "own",
    said: Sequence[tuple[int, int]] | None = None,
) -> Tokens:
    """Cut a text into tokens, at most `limit` of them, the special ones included.

    The tokenizer is given `CHARACTERS_PER_TOKEN` characters for each of them at most: tokenizers take memory and time
    for the whole of a text, however little of it is kept. What lies beyond is counted in `unread`.

    `target=True` reads the text as the other language of a translator, whose vocabulary may be its own. `identify`
    may exchange ids and name positions, as is done for unknown words (see `text.unknown_words`). `frame="typed"`
    adds no special tokens: the text is read as it was typed. `said` are the parts of a text, (start, end), that
    somebody said; what lies outside of them is special, too.
    Raises EmptyText where there is nothing to look at.
    """
    unread = max(0, len(text) - CHARACTERS_PER_TOKEN * limit)
    text = text[: CHARACTERS_PER_TOKEN * limit]
    text = whole_characters(text)
    encoded = tokenize(tokenizer, text, target=target, framed=frame == "own") if text.strip() else {"input_ids": []}
    ids, added = encoded["input_ids"], encoded.get("special_tokens_mask", [])
    head = added.index(0) if 0 in added else len(ids)
    tail = added[::-1].index(0) if 0 in added else 0
    if head == len(ids):
        raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
    places_left = limit - head - tail
    if places_left < 1:
        raise ValueError(f"a limit of {limit} leaves no room beside {head + tail} special tokens")
    typed = [ids[head]] * (ids[head] in ids[:head]) + [ids[-tail - 1]] * (tail > 0 and ids[-tail - 1] in ids[-tail:])
    doubled = tuple(tokenizer.convert_ids_to_tokens(typed))
    end = min(len(ids) - tail, head + places_left)
    kept = [*range(end), *range(len(ids) - tail, len(ids))]
    dropped = len(ids) - len(kept)
    ids = [ids[i] for i in kept]
    types = [encoded["token_type_ids"][i] for i in kept] if any(encoded.get("token_type_ids", [])) else None
    known = {"dropped": dropped, "unread": unread, "doubled": doubled, "types": types, "frame": frame}
    if "offset_mapping" not in encoded:
        later = partial(describe, tokenizer, ids, target=target, text=text)
        return Tokens.described_later(ids, later, **known)
    spans = [encoded["offset_mapping"][i] for i in kept]
    ids, names = identify(ids, text, spans) if identify else (ids, None)
    later = partial(describe, tokenizer, ids, target=target, text=text, spans=spans, names=names, said=said)
    return Tokens.described_later(ids, later, **known)


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
    later = partial(describe, tokenizer, own, target=target, names=names)
    return Tokens.described_later(own, later, dropped=dropped, from_ids=True)


def whole_characters(text: str) -> str:
    """A text without halves of characters, which no tokenizer can read."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tokenize(tokenizer: Any, text: str, *, pair: str | None = None, target: bool = False, framed: bool = True) -> Any:
    """What a tokenizer gives for a text, or a text and its `pair`, neither cut nor filled up: ids, which of them are
    its own, and where in the text each lies. Raises DamagedModel where it breaks."""
    try:
        with _TOKENIZER_LOCK:
            return tokenizer(
                **{"text_target" if target else "text": text},
                text_pair=pair,
                add_special_tokens=framed,
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
