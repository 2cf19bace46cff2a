"""How tokenizers write text down, read back: spaces, bytes, and characters that lie across several tokens.

Byte-level BPE writes every byte as one printable character, SentencePiece writes a space as `▁` and a rare byte as
`<0xF0>`, WordPiece writes `##` where no new word begins.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

import regex

SHORT = 32  # characters of a text that is remembered; what is typed may be a megabyte
Part = tuple[str, int, int]  # (character, part, parts): (c, 0, 1) is whole, (c, 1, 3) the second of three parts


class Name(str):
    """What a position is called that is no token's text, "no word": its blanks are blanks of the name."""

    __slots__ = ()


def visible(text: str) -> str:
    """One token's text with everything invisible made visible: never empty, no blanks, no hidden directions.

    >>> visible(""), visible(" a"), visible("\\n"), visible("\\u200b")
    ('∅', '␠a', '⏎', '‹U+200B›')
    """
    if isinstance(text, Name):
        return text
    return _visible_short(text) if len(text) <= SHORT else _made_visible(text)


def aloud(label: str) -> str:
    """A label as it is read aloud: what stands for a blank by its name.

    >>> aloud("⏎"), aloud("⏎⏎"), aloud("fox")
    ('line break', 'line break line break', 'fox')
    """
    return " ".join("".join(f" {SPOKEN[c]} " if c in SPOKEN else c for c in label).split())


def with_name(label: str) -> str:
    """A label where it can have no name of its own, in a table or a list that opens: its sign, and the name beside it.

    >>> with_name("⏎ (3)"), with_name("⏎⏎"), with_name("fox")
    ('⏎ line break (3)', '⏎ line break ⏎ line break', 'fox')
    """
    if not any(sign in label for sign in SPOKEN):
        return label
    return " ".join("".join(f" {c} {SPOKEN[c]} " if c in SPOKEN else c for c in label).split())


def _made_visible(text: str) -> str:
    shown = "".join(c if i and _joins(text, i) else _visible_character(c) for i, c in enumerate(text))
    return "◌" + shown if shown and unicodedata.category(shown[0])[0] == "M" else shown or "∅"


def style_of(tokenizer: Any) -> str:
    """How this tokenizer writes: "byte", "wordpiece", "sentencepiece" or "word" (one token, one word)."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return "sentencepiece"
    if type(backend.model).__name__ == "WordPiece":
        return "wordpiece"
    parts = [part for part in (backend.decoder, backend.pre_tokenizer, backend.normalizer) if part is not None]
    state = b" ".join(part.__getstate__() for part in parts).decode()
    if "ByteLevel" in state:
        return "byte"
    return "sentencepiece" if "Metaspace" in state or "▁" in state or "u2581" in state else "word"


def spell(piece: str, style: str) -> bytes:
    """The bytes of the text that a piece stands for, with the space before it where a new word begins."""
    if style == "byte" and all(c in _BYTES for c in piece):
        return bytes(_BYTES[c] for c in piece)
    if style == "sentencepiece":
        byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
        return bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ").encode()
    if style == "wordpiece" and piece.startswith("##"):
        return piece[2:].encode()
    return piece.encode() if style == "byte" else f" {piece}".encode()


def _byte_alphabet() -> dict[str, int]:
    """Byte-level BPE's alphabet: a printable byte is its own Latin-1 character, the others follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def characters_of(spelling: list[bytes]) -> list[list[Part]]:
    """Each token's characters as (character, part, parts); (c, 0, 1) is whole, (c, 1, 3) the second of three parts."""
    owners = [token for token, chunk in enumerate(spelling) for _ in chunk]
    stream = b"".join(spelling)
    found: list[list[Part]] = [[] for _ in spelling]
    at = 0
    while at < len(stream):
        lead = stream[at]
        size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        try:
            character = stream[at : at + size].decode()
        except UnicodeDecodeError:  # a byte of a character that was cut, or never was one
            size, character = 1, f"\\x{lead:02x}"
        tokens = list(dict.fromkeys(owners[at : at + size]))
        for part, token in enumerate(tokens):
            found[token].append((character, part, len(tokens)))
        at += size
    return found


def _joins(text: str, at: int) -> bool:
    """Whether a character without width is seen all the same: it makes one emoji of two, or, within a word of a script
    whose letters join, says which of them do (Persian می‌خواهم)."""
    character, following = text[at], text[at + 1 : at + 2]
    if character == "\u200d" and _PICTURE.match(following):
        return True
    return character in "\u200c\u200d" and bool(_JOINED.match(text[at - 1]) and _JOINED.match(following))


def _visible_character(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp")
    return f"‹U+{code:04X}›" if hidden or character in "\u115f\u1160\u2800\u3164\uffa0" else character


_visible_short = lru_cache(maxsize=8192)(_made_visible)  # a page names the same few tokens thousands of times
_PICTURE = regex.compile(r"\p{Extended_Pictographic}")
_JOINED = regex.compile(  # a letter or mark of a script whose letters take another form beside each other
    r"[\p{Arabic}\p{Syriac}\p{Mongolian}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}"
    r"\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}]"
)
_NAMED = {" ": "␠", "\n": "⏎", "\t": "⇥", "\x7f": "␡"}
SPOKEN = {"⏎": "line break", "␠": "space", "⇥": "tab"}  # for those who hear a page: no voice says the signs
