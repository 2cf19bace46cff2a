"""What a visitor asks a study: sentences out of lines or a table, in two groups or none, and a rule. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attn_core.errors import HeadlightError
from attn_core.settings import is_public, settings
from attn_core.study.batches import FEWEST, MOST
from attn_core.study.painted_rules import PaintedRule
from attn_core.study.texts import Columns, Sentence, Table, sentences
from attn_core.study.word_sets import WordSet
from ui import words
from ui.study.params import BETWEEN, RULE

WORDS = words.beside(__file__)
PUBLIC = 200  # sentences that a stranger's study reads
OTHER = "other"  # the group of sentences that are in neither of the two that are compared
TYPED = ("A", "B")  # how the groups of the two boxes are called
MOST_GROUPS = 50  # values of a column that may name groups


@dataclass(frozen=True)
class Asked:
    """The sentences of a study; `groups` are the two that are compared, `left_out` how many are beyond the limit.

    `python` is the line that reads them, where they come from a place that it can name. `kept` is the file of a study
    of them that was saved before.
    """

    sentences: tuple[Sentence, ...]
    groups: tuple[str, str] | None = None
    rule: PaintedRule | None = None
    left_out: int = 0
    python: str = ""
    kept: bytes = b""

    @property
    def rules(self) -> tuple[PaintedRule, ...]:
        return () if self.rule is None else (self.rule,)

    def with_rule(self, rule: PaintedRule | None, kept: bytes) -> Asked:
        return replace(self, rule=rule, kept=kept)


def limit() -> int:
    """How many sentences a study of this server reads at most."""
    return settings().study or (PUBLIC if is_public() else MOST)


def typed(lines: str, others: str | None) -> Asked:
    """The sentences of one box, one a line, or of two boxes, which are then two groups."""
    boxes = [lines] if others is None else [lines, others]
    found = [
        Sentence(_pair(line), "" if others is None else name)
        for name, box in zip(TYPED, boxes, strict=False)
        for line in box.splitlines()
        if line.strip()
    ]
    return _checked(found, None if others is None else TYPED)


def _pair(line: str) -> str | tuple[str, str]:
    first, between, second = line.partition(BETWEEN)
    return (first.strip(), second.strip()) if between else line.strip()


def of_table(table: Table, columns: Columns, compared: tuple[str, str] | None, read: str = "") -> Asked:
    """The rows of a table: a column of sentences and, where they are chosen, of second ones, of groups and of labels.

    `read` is how Python says the table, "" where only its visitor has it.
    """
    rows = sentences(table, columns)
    if not columns.target:
        rows = [own._replace(text=_pair(str(own.text))) for own in rows]
    names = ["" if compared is None else own.group if own.group in compared else OTHER for own in rows]
    found = _checked([own._replace(group=name) for own, name in zip(rows, names, strict=True)], compared)
    in_python = read and (columns.target or not any(isinstance(own.text, tuple) for own in rows))
    return replace(found, python=f"sentences({read}, {columns!r})") if in_python else found


def groups_of(table: Table, column: str) -> list[str]:
    """The values of a column that may name groups, in order; HeadlightError where they are too many or too few."""
    found = list(dict.fromkeys(table[column]))
    if not 2 <= len(found) <= MOST_GROUPS:
        raise HeadlightError(WORDS.text("input.groups", n=len(found), most=MOST_GROUPS))
    return found


def _checked(found: Sequence[Sentence], groups: tuple[str, str] | None) -> Asked:
    """Raises HeadlightError where there are too few, of all or of a group."""
    most = limit()
    kept = tuple(found[:most])
    if sum(bool(own.text) for own in kept) < FEWEST:
        raise HeadlightError(WORDS.text("input.few", few=FEWEST))
    empty = [name for name in groups or () if not any(own.group == name for own in kept)]
    if empty:
        raise HeadlightError(WORDS.text("input.empty_group", group=empty[0]))
    return Asked(kept, groups, left_out=len(found) - len(kept))


def rule(asks: str, answers: str, where: str) -> PaintedRule | None:
    """The visitor's own rule, None where nothing is written; HeadlightError says what is wrong with it."""
    if not asks.strip() and not answers.strip():
        return None
    try:
        return PaintedRule(RULE, WordSet.parse(asks), WordSet.parse(answers), where)
    except ValueError as error:
        raise HeadlightError(WORDS.text("rule.wrong", why=error)) from None
