"""What pictures say is in data files: JavaScript has no sentence, says all that it is given, and fills each slot."""

import re
from collections.abc import Iterator
from string import Formatter

import pytest

from attn_core.figures import scripts
from attn_core.figures.canvas.packet import words_of

# All but numbers.js, which says numbers as text/numbers.py does: test_numbers_in_both_languages.py compares the two.
FILES = sorted(
    str(file.relative_to(scripts.ASSETS)) for file in scripts.ASSETS.glob("*/*.js") if file.name != "numbers.js"
)
PICTURES = {
    "overview": "canvas/overview.js",
    "cells": "canvas/cells.js",
    "links": "canvas/links.js",
    "panels": "canvas/panels.js",
    "boxes": "canvas/boxes.js",
    "offline": "offline/offline.js",
}
# What stands before a literal that is a style, a selector or a list of classes.
STYLE = r"(font|background|cssText|gridTemplateColumns|MONO|color|cookie) ={1,3} ?|const font = .*"
SELECTOR = r"(matches|closest\?\.|querySelector(All)?)\("
CLASSES = r'element\("\w+", (node\.inside\.length \? "" : |header\.choose \? )?'
NO_WORDS = re.compile(f"({STYLE}|{SELECTOR}|{CLASSES})$")


def literals(source: str, at: int = 0) -> Iterator[tuple[str, str]]:
    """Every string of a script, and what stands before it; "{}" is where a template has code, which is read, too."""
    while at < len(source):
        if source.startswith(("/*", "//"), at):
            end = {"/*": "*/", "//": "\n"}[source[at : at + 2]]
            at = source.index(end, at) + len(end)
        elif source[at] in "\"'`":
            begun, quote, text, at = at, source[at], "", at + 1
            while source[at] != quote:
                if quote == "`" and source.startswith("${", at):
                    end = closing(source, at + 2)
                    yield from literals(source[at + 2 : end])
                    text, at = text + "{}", end + 1
                else:
                    step = 2 if source[at] == "\\" else 1
                    text, at = text + source[at : at + step], at + step
            yield text, source[max(0, begun - 80) : begun]
            at += 1
        else:
            at += 1


def closing(source: str, at: int) -> int:
    """Where the brace closes that was opened before `at`."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        at += 1
    return at - 1


def is_said(text: str, before: str) -> bool:
    """Whether people would read it: two words, or a word beside a value."""
    is_style = (";" in text and ":" in text) or bool(re.match(r"calc\(|\([a-z-]+: [a-z]+\)$|[a-z, ]+\[", text))
    return bool(re.search(r"[A-Za-z]{2}\S* +\S|\} [A-Za-z]{2}", text)) and not is_style and not NO_WORDS.search(before)


@pytest.mark.parametrize("file", FILES)
def test_a_script_has_no_sentence_of_its_own(file: str) -> None:
    found = [text for text, before in literals(scripts.asset(file)) if is_said(text, before)]
    assert found == []


@pytest.mark.parametrize(
    "script",
    ['said.append("Waiting for it …")', "f(`head ${a.map((b) => `x ${b}`)} is open`)", 'x = { a: "go inside" }'],
)
def test_a_sentence_in_a_script_is_found(script: str) -> None:
    assert any(is_said(text, before) for text, before in literals(script))


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_says_every_sentence_that_it_is_given(picture: str) -> None:
    source = scripts.asset(PICTURES[picture])
    used = set(re.findall(r"(?:header|saved)\.words\.(\w+)", source))
    for names in re.findall(r"const \{ ([\w, ]+) \} = \w+\.words;", source):
        used |= set(names.split(", "))
    assert used == words_of(picture).keys()


@pytest.mark.parametrize("picture", PICTURES)
def test_every_slot_of_a_sentence_is_filled(picture: str) -> None:
    filled = re.findall(r"filled\(([^{}]*?\.words\.[^{}]*?), \{([^{}]*)\}\)", scripts.asset(PICTURES[picture]))
    assert filled
    for names, given in filled:
        slots = {part.split(":")[0].strip() for part in given.split(",") if part.strip()}
        for name in re.findall(r"\.words\.(\w+)", names):
            needed = {slot for _, slot, _, _ in Formatter().parse(words_of(picture)[name]) if slot}
            assert needed <= slots, (picture, name)
