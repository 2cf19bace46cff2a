"""How tokens are read by people: a label for each, the words that they belong to, and which of them are no part of what
was said.

Labels and words come from the tokenizer's own strings (`text.decoding`) and from where each token lies in the text.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import regex

from attn_core.text.decoding import Part, characters_of, spell, style_of, visible
from attn_core.text.whole_words import units

_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}"
_EMOJI = (  # a flag, a key, or a picture with its skin tone and those that are joined to it
    r"\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3"
    r"|\p{Extended_Pictographic}(?:[\p{Emoji_Modifier}\p{M}]|\u200D\p{Extended_Pictographic})*"
)
_WORD = regex.compile(  # an emoji, a number, one sign of a script without spaces, a word with its apostrophes, or signs
    rf"{_EMOJI}|(?<![\w.,])\d++(?:[.,]\d++)++(?![\w\p{{M}}])|[{_SPACELESS}]\p{{M}}*"
    r"|[[\w\p{M}]&&\p{Tibetan}]+[\u0F0B\u0F0C]*"  # a syllable with the point behind it: no dictionary has its words
    rf"|[[\w\p{{M}}]--[{_SPACELESS}]]+(?:['’][[\w\p{{M}}]--[{_SPACELESS}]]+)*"
    r"|\p{P}+|[[^\w\s\p{P}]--\p{Extended_Pictographic}--\p{Regional_Indicator}]+|\p{Regional_Indicator}",
    regex.V1,
)
# Scripts that put no space between words, and whose words only a dictionary can tell apart.
_BY_DICTIONARY = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_MARKS = regex.compile(r"[\p{M}\u1160-\u11FF]*")  # what makes one sign with the letter before it: é, 한


class Description(NamedTuple):
    """What is read of tokens; see the fields of the same names of `text.tokens.Tokens`."""

    text: str
    labels: list[str]
    special: list[bool]
    words: list[int | None]
    word_labels: list[str]


def describe(
    tokenizer: Any,
    ids: list[int],
    *,
    target: bool,
    text: str | None = None,
    spans: list[tuple[int, int]] | None = None,
    names: Mapping[int, str] | None = None,
    second: int | None = None,
    said: Sequence[tuple[int, int]] | None = None,
) -> Description:
    """Labels, words and text of token ids.

    `text` and `spans` are what was typed and where in it each token lies; without them the text is the one that the
    tokens spell. `names` says what positions are called that stand for something else. No word goes across `second`,
    where the second segment of a pair begins. `said` are the parts of the text that somebody said, where others stand
    around them: a token that lies in none of them is special, too.
    """
    special, style = _special(tokenizer, ids), style_of(tokenizer)
    pieces = [(names or {}).get(i, piece) for i, piece in enumerate(_pieces(tokenizer, ids, target))]
    spelling = [piece.encode() if s else spell(piece, style) for piece, s in zip(pieces, special, strict=True)]
    characters = characters_of(spelling)
    spelt = "".join(c for own, s in zip(characters, special, strict=True) for c, part, _ in own if part == 0 and not s)
    if text is None or spans is None:  # no places in a typed text, so take those in the text that the tokens spell
        words = _words(spelt, _spans(characters, special), spelling, special)
    elif getattr(tokenizer, "init_kwargs", {}).get("token_is_word"):  # in "CC" each carbon is a word of its own
        words = _one_by_one(special)
    else:
        words = _words(text, spans, spelling, special)
    words = words if second is None else _apart(words, second)
    # Positions whose words are called as the model reads them, not as they were typed: [SEP], [UNK], <new1>.
    as_read = {i for i, s in enumerate(special) if s or ids[i] == tokenizer.unk_token_id} | {*(names or {})}
    as_is = style in ("wordpiece", "word")  # such pieces are readable, and `##` says that no new word begins
    labels = [visible(p) if as_is or s else _label(own) for p, s, own in zip(pieces, special, characters, strict=True)]
    if said is not None and spans is not None:
        special = [s or not _is_within(span, said) for s, span in zip(special, spans, strict=True)]
        words = _renumbered([None if s else word for s, word in zip(special, words, strict=True)])
        as_read |= {i for i, s in enumerate(special) if s}
    return Description(
        text=spelt.strip() if text is None else text,
        labels=labels,
        special=special,
        words=words,
        word_labels=[
            _word_label(unit, spelling, labels, "" if as_read & {*unit} else _typed(text, spans, unit))
            for unit in units(words)
        ],
    )


def names_of(tokenizer: Any, ids: list[int], *, target: bool) -> list[str]:
    """How ids are read that stand in no sentence: the label that `describe` gives to each of them alone."""
    style = style_of(tokenizer)
    as_is = style in ("wordpiece", "word")
    return [
        visible(piece) if as_is or s else _label(characters_of([spell(piece, style)])[0])
        for piece, s in zip(_pieces(tokenizer, ids, target), _special(tokenizer, ids), strict=True)
    ]


def spelt(tokenizer: Any, ids: list[int]) -> str:
    """The text that token ids spell, blanks at its ends included; specials spell nothing."""
    special, style = _special(tokenizer, ids), style_of(tokenizer)
    pieces = zip(_pieces(tokenizer, ids, False), special, strict=True)
    characters = characters_of([b"" if s else spell(piece, style) for piece, s in pieces])
    return "".join(c for own in characters for c, part, _ in own if part == 0)


def _apart(words: list[int | None], second: int) -> list[int | None]:
    """The same words, of which one that goes on at `second` becomes two."""
    if not 0 < second < len(words) or words[second] is None or words[second] != words[second - 1]:
        return words
    return [*words[:second], *(None if word is None else word + 1 for word in words[second:])]


def _is_within(span: tuple[int, int], parts: Sequence[tuple[int, int]]) -> bool:
    """Whether a token has a character in one of the parts."""
    return any(max(span[0], start) < min(span[1], end) for start, end in parts)


def _renumbered(words: list[int | None]) -> list[int | None]:
    """The same words, counted from 0 without gaps."""
    numbers = {word: n for n, word in enumerate(dict.fromkeys(word for word in words if word is not None))}
    return [None if word is None else numbers[word] for word in words]


def _word_label(unit: list[int], spelling: list[bytes], labels: list[str], typed: str) -> str:
    """A word as it was typed, where that is known; else as its tokens spell it."""
    name = typed or b"".join(spelling[i].strip() for i in unit).decode("utf-8", "backslashreplace")
    return visible(name) if name else labels[unit[0]]


def _typed(text: str | None, spans: list[tuple[int, int]] | None, unit: list[int]) -> str:
    if text is None or spans is None:
        return ""
    # A tokenizer that writes e and ◌́ as one character says that it lies where the e does.
    marks = _MARKS.match(text, max(spans[i][1] for i in unit))
    return text[min(spans[i][0] for i in unit) : marks.end() if marks else None].strip()


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
    """[UNK] and [MASK] stand for a word of the sentence, so they are not special, unless they also frame texts."""
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


def _word_starts(text: str) -> list[int]:
    """Where words begin in a text, in order: by Unicode's dictionaries in scripts that write words without spaces.

    Source: Unicode Standard Annex 29, and the dictionaries of ICU for Thai, Lao, Khmer and Burmese.
    """
    starts: list[int] = []
    for match in _WORD.finditer(text):
        word, at = match.group(), match.start()
        if not _BY_DICTIONARY.search(word):
            starts.append(at)
            continue
        from icu4py.breakers import WordBreaker  # 30 MB of dictionaries, which most texts never need

        for piece in WordBreaker(word, "en"):
            starts.append(at)
            at += len(piece)
    return starts


def _one_by_one(special: list[bool]) -> list[int | None]:
    """Every token a word."""
    number = itertools.count()
    return [None if s else next(number) for s in special]


def _words(text: str, spans: list[tuple[int, int]], spelling: list[bytes], special: list[bool]) -> list[int | None]:
    """Which word of the text each token belongs to: the one that its first visible character lies in."""
    starts = _word_starts(text)
    keys: list[tuple[str, int] | None] = []
    for i, (start, end) in enumerate(spans):
        first = next((p for p in range(start, end) if not text[p].isspace()), None)
        # Tokens share a blank where it is one character of several bytes: U+202F.
        gap = ("gap", start) if start < end else ("nothing", i)
        word = gap if first is None else ("word", bisect_right(starts, first))
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
