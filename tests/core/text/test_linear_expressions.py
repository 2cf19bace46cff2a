"""Whatever reads a stranger's text takes time in proportion to its length, however often it begins in vain."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from attn_core.figures import labels
from attn_core.models import catalogue
from attn_core.parameters import from_class
from attn_core.study import painted_rules
from attn_core.study.painted_rules import PaintedRule
from attn_core.study.word_sets import WordSet
from attn_core.text import description, smiles
from attn_core.views import html_page

ROOT = Path(__file__).parents[3]
# What each of them reads: a sentence, the name of a model, names of tensors, labels, a saved view, a file's name.
READERS: dict[str, Callable[[str], object]] = {
    "words of a sentence": description._WORD.findall,
    "words of a script without spaces": description._word_starts,
    "the name of a model": catalogue._HUB_ID.fullmatch,
    "a saved view": lambda text: _refused(html_page.remembered, text, "no saved view"),
    "the text of a label": labels.unescaped,
    "a token among Markdown": lambda text: re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text),
    "the name of a file": lambda text: re.sub(r"[^\w.]+", "-", text),
    "the folds of a link": lambda text: re.fullmatch("[a-z0-9_]{1,40}", text),
    "a reaction": smiles._TOKEN.findall,
    "an atom of a reaction": smiles._ELEMENT.match,
    "a rule of a study": lambda text: _refused(PaintedRule.parse, text, "rule"),
    "the words of a rule": lambda text: _refused(WordSet.parse, f"/{text}/", "regular expression"),
    "the place of a rule": painted_rules._DISTANCE.fullmatch,
    "the number of a block": lambda text: re.search(r"\.(\d+)\.", text),
    **{
        f"names of tensors: {name}": getattr(from_class, name).search
        for name in ("_POSITION", "_NORM_NAME", "_NORM_CLASS", "UNEMBEDDING", "_ATTENTION_CLASS")
    },
    **{f"names of tensors: {part}": words.search for part, words in from_class._BY_NAME},
    **{f"names of tensors: {role}": re.compile(words).search for role, words in from_class._ROLES},
}
OPENERS = [
    "<", "<a", "<!--", html_page._VIEW, "a'", "'", "a-", "_", ".", ".1", "1", "1.", "/", "a/", "[", "{", "&", " ",
    "norm", "layer_", "ln", "attn", "embed", "un", "e\u0301", "\u0e01", "👩\u200d", "你", "\t", "\\",
]  # fmt: skip
# Where an expression may stand: those above, and the ones that read our own files alone.
TRUSTED = {
    "hosting/headers.py",
    "attn_core/text/decoding.py",
    "attn_core/figures/scripts.py",  # our own scripts
    "attn_core/models/formats/gguf.py",  # the names of a library's own types
    "attn_core/models/formats/ctranslate2.py",  # names in a file whose hash is known
    "ui/glossary.py",  # our own sentences, before anything fills their slots
}
READ_HERE = {
    "attn_core/text/description.py",
    "attn_core/models/catalogue.py",
    "attn_core/figures/labels.py",
    "attn_core/parameters/meta_model.py",
    "attn_core/parameters/from_class.py",
    "attn_core/text/smiles.py",
    "attn_core/study/painted_rules.py",
    "attn_core/study/word_sets.py",  # a visitor's own expression: short, and stopped by the clock
    "ui/shell/folds.py",
    "ui/shell/save_files.py",
    "ui/drawing/markup.py",
    "attn_core/models/hub.py",  # a commit: forty characters, no repetition
}


def _refused(read: Callable[[str], object], text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read(text)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("reader", READERS)
def test_ten_times_the_openers_are_read_within_seconds(reader: str) -> None:
    """What is quadratic would take a minute for the longer text, and is interrupted."""
    for opener in OPENERS:
        for length in (20_000, 200_000):
            text = opener * (length // len(opener))
            begun = time.thread_time()
            READERS[reader](text)
            assert time.thread_time() - begun < 10, f"{opener!r} × {length // len(opener)}"


def test_no_other_expression_reads_what_a_stranger_sends() -> None:
    files = [file for folder in ("attn_core", "ui", "hosting") for file in (ROOT / folder).rglob("*.py")]
    used = re.compile(r"\b(?:re|regex)\.(?:compile|sub|search|match|fullmatch|findall|finditer|split)\(")
    found = {file.relative_to(ROOT).as_posix() for file in files if used.search(file.read_text(encoding="utf-8"))}
    assert {name for name in found if not name.startswith("attn_core/tiny/")} == TRUSTED | READ_HERE


# Scripts that have an expression, each without a repetition inside another: a colour, our own templates, a rounding.
IN_SCRIPTS = {"app/whole_page.js", "app/paint_words.js", "app/recording.js", "canvas/drawing.js", "canvas/numbers.js"}


def test_scripts_have_no_other_expression_either() -> None:
    used = re.compile(r"(?:[(=,:]|return|\?|&&|\|\|)\s*/(?![/*\s=])[^\n]*?/[dgimsuvy]*\s*[.,;)]|\bRegExp\b")
    nested = re.compile(r"\([^()]*[+*][^()]*\)[+*{]")
    assets = ROOT / "assets"
    found = {
        file.relative_to(assets).as_posix(): used.findall(file.read_text(encoding="utf-8"))
        for file in assets.rglob("*.js")
    }
    assert {name for name, expressions in found.items() if expressions} == IN_SCRIPTS
    assert not [each for expressions in found.values() for each in expressions if nested.search(each)]
