"""Sentences in data files: every key is used, every slot filled, and what fills one is text."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from markupsafe import Markup

from attn_core.figures.html.bar_table import Column, bars
from attn_core.heads.ablation import REPLACEMENTS
from attn_core.heads.measures import MEASURES
from attn_core.heads.rules import KINDS
from attn_core.walkthrough.ablations import StageAblation
from ui import words
from ui.compare_heads.specs import PRESETS
from ui.drawing import controls, markup, widgets
from ui.words import Words, how_many, slots_of

ROOT = Path(__file__).parents[2]
SENTENCES = Words(
    Path("x.toml"),
    {
        "lead": "From {word} on, head <b>{head}</b>.",
        "long": "One\n  sentence\n",
        "crossed": {"one": "{n} line crosses.", "many": "{n} lines cross."},
        "fills": {"zero": "nothing", "mean": "its mean"},
    },
)


@dataclass(frozen=True)
class Use:
    """One call of WORDS.html(…), .text(…) or .table(…) in the source."""

    where: str
    file: Path  # the TOML file that it reads
    method: str
    key: str
    chosen: tuple[str | None, ...]  # None where the choice is made at run time
    slots: set[str]


def uses() -> list[Use]:
    return [use for file in sorted((ROOT / "ui").rglob("*.py")) for use in _uses_in(file)]


def _uses_in(file: Path) -> Iterator[Use]:
    tree = ast.parse(file.read_text())
    files = {
        target.id: file.with_name(node.value.args[1].value if len(node.value.args) > 1 else "words.toml")
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(("words.beside(", "beside("))
        for target in node.targets
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in files):
            continue
        where = f"{file.relative_to(ROOT)}:{node.lineno}"
        key, *chosen = (arg.value if isinstance(arg, ast.Constant) else None for arg in node.args)
        assert isinstance(key, str), f"{where}: the key is written out, so that it can be found"
        slots = {str(keyword.arg) for keyword in node.keywords}
        yield Use(where, files[node.func.value.id], node.func.attr, key, tuple(chosen), slots)


def _sentences(entry: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(entry, dict):
        for name, below in entry.items():
            yield from _sentences(below, f"{key}.{name}" if key else name)
    else:
        yield key, str(entry)


def _meant(use: Use) -> dict[str, str]:
    """The sentences that a call may give: one, or those of a table that is chosen from at run time."""
    entry = words.read(use.file)._entry(use.key)
    for name in use.chosen:
        if isinstance(name, str):
            entry = entry[name]
    return dict(_sentences(entry, use.key))


def test_every_slot_of_a_sentence_is_filled_and_nothing_else_is_given():
    for use in uses():
        found = _meant(use)
        needed = set().union(*(slots_of(sentence) for sentence in found.values()))
        assert use.slots == needed, f"{use.where}: {use.key} has {sorted(needed)}, got {sorted(use.slots)}"
        assert use.chosen or use.method == "table" or len(found) == 1, f"{use.where}: {use.key} is a table"


def test_every_sentence_is_used():
    used: dict[Path, set[str]] = {}
    for use in uses():
        entry = words.read(use.file)._entry(use.key)
        used.setdefault(use.file, set()).update(key for key, _ in _sentences(entry, use.key))
    by_name = ROOT / "ui" / "teachers_kit" / "views.toml"  # read by the names of the views: their own test fills each
    for file in sorted({*(ROOT / "ui").rglob("*.toml")} - {by_name}):
        there = {key for key, _ in _sentences(words.read(file).entries, "")}
        assert there == used.get(file, set()), file


def test_what_fills_a_slot_is_text_unless_it_is_markup():
    assert SENTENCES.html("lead", word="<i>", head=3) == "From &lt;i&gt; on, head <b>3</b>."
    assert SENTENCES.html("lead", word=Markup("<i>the</i>"), head=3) == "From <i>the</i> on, head <b>3</b>."
    assert SENTENCES.text("lead", word="<i>", head=3) == "From <i> on, head <b>3</b>."


@pytest.mark.parametrize("slots", [{"word": "a"}, {"word": "a", "head": 1, "layer": 2}, {}])
def test_a_missing_and_an_unknown_slot_are_errors(slots):
    with pytest.raises(ValueError, match=r"x\.toml: lead needs \['head', 'word'\]"):
        SENTENCES.html("lead", **slots)


@pytest.mark.parametrize("key", ["nothing", "lead.more", "crossed"])
def test_an_unknown_key_is_an_error(key):
    with pytest.raises(KeyError):
        SENTENCES.text(key)


def test_one_entry_of_a_table_is_chosen_by_name_or_by_number():
    said = [SENTENCES.text("crossed", how_many(n), n=n) for n in (0, 1, 2)]
    assert said == ["0 lines cross.", "1 line crosses.", "2 lines cross."]
    assert SENTENCES.text("fills", "mean") == "its mean"
    assert SENTENCES.table("fills") == {"zero": "nothing", "mean": "its mean"}


def test_sentences_stand_after_each_other():
    assert words.together("<b>One.</b>", "", Markup("Two.")) == "<b>One.</b> Two."


def test_a_sentence_may_be_broken_over_lines_in_its_file():
    assert SENTENCES.text("long") == "One sentence"


def test_every_record_has_its_words():
    """A replacement or a stage ablation without its sentence would stop the page that offers it."""
    find_heads, step_by_step = (
        words.read(ROOT / "ui" / page / "words.toml") for page in ("find_heads", "step_by_step")
    )
    assert find_heads._entry("ablation.done").keys() == REPLACEMENTS.keys()
    for table in ("break.names", "break.why"):
        assert step_by_step._entry(table).keys() == set(StageAblation), table
    records = {**MEASURES, **KINDS}
    assert len(records) == len(MEASURES) + len(KINDS), "one name is one thing"
    for name, record in records.items():
        assert record.title and record.meaning and record.source, name


SCRIPTS = sorted([ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "ui").rglob("*.py")])
WORD = re.compile(r"[A-Za-z]{2,}")
CSS = re.compile(r":not\(|[{;]|cqw")


def said(node: ast.expr) -> str:
    """What a string or an f-string says by itself, without tags; "" for anything else."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return re.sub(r"<[^>]*>?", "", "".join(texts))


def sentences_of(source: str) -> list[str]:
    """Whole sentences that a script says itself: four words and a full stop, or a slot among five words.

    What is raised for a link or an event that nobody could have meant stays where it is checked.
    """
    tree = ast.parse(source)
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr):
            apart |= {id(below) for below in ast.walk(node) if below is not node}
    found = []
    for node in ast.walk(tree):
        if id(node) not in apart and isinstance(node, ast.Constant | ast.JoinedStr):
            text = said(node).strip()
            enough = 5 if isinstance(node, ast.JoinedStr) and not re.search("[.?!]$", text) else 4
            if (
                len(WORD.findall(text)) >= enough
                and (enough == 5 or re.search("[.?!]$", text))
                and text not in PRESETS
                and not CSS.search(text)
            ):
                found.append(text)
    return found


def glued(source: str) -> list[str]:
    """Where a script puts a sentence together with `+`, so that nobody could read or translate it as one."""
    sums = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Add)]
    pieces = [said(side) for each in sums for side in (each.left, each.right)]
    return [piece for piece in pieces if WORD.search(piece) and " " in piece]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_sentence_is_glued_together(file):
    assert glued(file.read_text()) == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_sentences_stand_in_data_files(file):
    assert sentences_of(file.read_text()) == []


def test_a_sentence_in_a_script_is_found():
    assert sentences_of('a = "One word or two."\nb = f"the numbers of every {x} there"\nc = "no sentence"') == [
        "One word or two.",
        "the numbers of every  there",
    ]
    assert sentences_of('"""What this is for here."""\nraise ValueError(f"it must be one of {names}.")') == []


def test_a_glued_sentence_is_found():
    assert sorted(glued('says = "{row}: " + ("{column}" if names else "number {column}") + " is {value}"')) == [
        " is {value}",
        "{row}: ",
    ]
    assert glued('note = f"Cut after {n}, " + why') == ["Cut after , "]
    assert glued('style = "<b class=x>" + word') == []


def test_a_word_that_is_a_line_break_is_read_aloud_by_its_name() -> None:
    """In sentences and labels; other words have no second name."""
    name = ' role="img" aria-label="line break"'
    assert (
        markup.query("⏎") == f'<span class="hl-q"{name}>⏎</span>'
        and markup.query("fox") == '<span class="hl-q">fox</span>'
    )
    assert markup.key("⏎") == f'<span class="hl-k"{name}>⏎</span>'
    assert markup.tok("⏎", "k") == f'<span class="hl-tok hl-k"{name}>⏎</span>'
    said = markup.say([("To update ", ""), ("⏎", "query"), (", head 0.3 looks at ", ""), ("<b>", "key"), (".", "")])
    assert (
        said == f'To update <span class="hl-q"{name}>⏎</span>, head 0.3 looks at <span class="hl-k">&lt;b&gt;</span>.'
    )


def test_a_line_break_has_its_name_in_tables_and_in_lists_that_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell and no entry has a name of its own, so the name stands beside the sign; numbers and other words stay."""
    shown: list[Any] = []
    monkeypatch.setattr(st, "dataframe", lambda frame, **how: shown.append((frame, how)))
    monkeypatch.setattr(
        st, "selectbox", lambda _, offered, format_func, **how: shown.append([*map(format_func, offered)])
    )
    rows = [["⏎", 1, "fox  ran", None], ["␠a (3)", 2, "⇥", 0.5]]
    frame = pd.DataFrame(rows, columns=["word", "⏎", "to", "n"], index=["0 ⏎", "1 fox"])
    widgets.table(frame, hide_index=True)
    controls.word_picker("word", ["⏎⏎ (3)", "fox (4)"], 0, print)
    (said, how), entries = shown
    assert how == {"hide_index": True} and entries == ["⏎ line break ⏎ line break (3)", "fox (4)"]
    assert said.columns.tolist() == ["word", "⏎ line break", "to", "n"]
    assert said.index.tolist() == ["0 ⏎ line break", "1 fox"]
    assert said.iloc[:, :3].to_numpy().tolist() == [["⏎ line break", 1, "fox  ran"], ["␠ space a (3)", 2, "⇥ tab"]]
    assert frame.to_numpy().tolist()[1] == rows[1] and said["n"].tolist()[1] == 0.5  # what was given is as it was
    assert '<th scope="row">⏎ line break</th>' in bars(["⏎"], [Column("weight", [0.5], ["50 %"])])


def test_every_table_of_the_app_names_its_signs() -> None:
    files = [*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    assert [file.name for file in files if re.search(r"\.dataframe\b", file.read_text())] == ["widgets.py"]
