"""The sentences of a page: a TOML file beside its code, with named slots.

    WORDS = words.beside(__file__)                       # ui/find_heads/words.toml
    WORDS.html("search.lead", word=markup.query(label), head="0.3")   # Markup: what fills a slot is escaped
    WORDS.text("search.alt", n=12)                       # plain text, for captions, alt texts and widgets' labels
    WORDS.html("crossed", how_many(n), n=n)              # one entry of a table: "none", "one" or "many"
    WORDS.table("fills")                                 # a whole table of labels

A file holds whole sentences, so that they can be read, corrected and translated without opening Python. Singular and
plural are two sentences. A sentence that is shown as HTML may hold tags, <dfn>head</dfn> among them, a term that
explains itself (`ui.glossary`); what fills a slot is always text, unless it is `markupsafe.Markup`. Every slot must be
filled, and nothing else may be given: both are errors at once, and `tests/pages/test_words.py` finds them in the
source without running a page.

Take care with `+`: Markup + str escapes the str. Put Markup into a slot instead, or into an f-string.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TypeAlias

from markupsafe import Markup

from attn_core.text.sentences import Sentence, Slot, filled
from ui.glossary import explained

Entry: TypeAlias = "str | dict[str, Entry]"  # a sentence, or a table of them, as TOML gives them


@dataclass(frozen=True)
class Words:
    """The sentences of one file, by dotted key."""

    file: Path
    entries: dict[str, Entry]

    def html(self, key: str, /, *choice: str, **slots: object) -> Markup:
        """A sentence as HTML; slots are escaped unless they are Markup. `choice` picks an entry of a table.

        Raises KeyError for an unknown key, and ValueError for a slot that is missing or not there.
        """
        return Markup(explained(self._sentence(key, choice, slots))).format(**slots)

    def text(self, key: str, /, *choice: str, **slots: object) -> str:
        """A sentence as plain text: for alt texts, captions, labels and whatever escapes it later."""
        return self._sentence(key, choice, slots).format(**slots)

    def parts(self, key: str, /, *choice: str, **slots: Slot) -> Sentence:
        """A sentence as (text, role) pairs, see `attn_core.text.sentences`: for headlines that are also plain text."""
        return filled(self._sentence(key, choice, dict(slots)), **slots)

    def table(self, key: str) -> dict[str, str]:
        """All labels of a table, in the file's order; they have no slots."""
        found = self._entry(key)
        if not isinstance(found, dict):
            raise KeyError(f"{key} is a sentence in {self.file.name}, not a table")
        return {name: _one_line(str(label)) for name, label in found.items()}

    def _sentence(self, key: str, choice: tuple[str, ...], slots: dict[str, object]) -> str:
        found = self._entry(key)
        for name in choice:
            found = found.get(name, found.get("many", "")) if isinstance(found, dict) else ""
        if not isinstance(found, str) or not found:
            raise KeyError(f"{'.'.join((key, *choice))} is no sentence of {self.file.name}")
        missing = slots_of(found) - slots.keys()
        unknown = slots.keys() - slots_of(found) if not choice else set()
        if missing or unknown:
            raise ValueError(f"{self.file.name}: {key} needs {sorted(slots_of(found))}, got {sorted(slots)}")
        return _one_line(found)

    def _entry(self, key: str) -> Entry:
        found: Entry = self.entries
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                raise KeyError(f"{key} is not in {self.file.name}")
            found = found[part]
        return found


def beside(module_file: str, name: str = "words.toml") -> Words:
    """The sentences of the TOML file that lies beside a module: `beside(__file__)`."""
    return read(Path(module_file).with_name(name))


@cache
def read(file: Path) -> Words:
    """The sentences of one TOML file; read once."""
    return Words(file, tomllib.loads(file.read_text(encoding="utf-8")))


def how_many(count: int) -> str:
    """Which sentence fits a number: "none", "one" or "many"; a table without "none" says "many" for it."""
    return {0: "none", 1: "one"}.get(count, "many")


def together(*sentences: str) -> Markup:
    """Sentences that are HTML one after the other; "" is left out."""
    return Markup(" ").join(Markup(sentence) for sentence in sentences if sentence)


def slots_of(sentence: str) -> set[str]:
    """The names in braces: "{head} of {n:.0f}" → {"head", "n"}."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def _one_line(sentence: str) -> str:
    """A sentence that the file breaks over lines for reading; paragraphs of HTML mark themselves with tags."""
    return " ".join(sentence.split()) if "\n" in sentence else sentence
