"""What is asked about a head, and what paintings find of it: share of weight, chance, a class's counts. No Streamlit.

question = ask(stream, layer, head, query)
question.found((1, 4)), question.chance((1, 4))     # 0.32, 0.15
read_codes(question, "201-557-3\\n12")               # one painting, and "12", which is no code
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from attn_core.figures.canvas.panels import pack_panels
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import words
from ui.drawing import markup
from ui.drawing.head_panel import head_panel
from ui.predict_first import code
from ui.predict_first.code import MOST, Painting

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from attn_core.traces.stream import StreamTrace

WORDS = words.beside(__file__)
MOST_CODES = 40  # of one class
LONGEST = 60  # characters of a line; what is longer is no code
LONGEST_LIST = 10_000  # characters of all lines


@dataclass(frozen=True)
class Question:
    """Where one word looks in one head. `weights` are those of the words that it may look at, and sum to 1."""

    name: str  # the head, "0.3"
    query: str  # the word that asks, as it is read, …
    asks: int | None  # … and its place among those that could answer; None where these are of another sentence
    labels: tuple[str, ...]  # every word that could answer, as it is read
    special: tuple[bool, ...]
    open: tuple[int, ...]  # places of the words that it may look at
    weights: Floats  # [word], 0 where it may not
    identity: str  # of model, sentence, head and word: what a code is of

    def code(self, painting: Painting) -> str:
        """The code of painted words."""
        return code.encode(tuple(self.open.index(at) for at in painting), len(self.open), self.identity)

    def painting(self, said: str) -> Painting | None:
        """The painted words of a code; None where it is none, or of another question."""
        found = code.decode(said, len(self.open), self.identity)
        return None if found is None else tuple(self.open[at] for at in found)

    def allowed(self, painting: Painting) -> Painting:
        """What of a painting this sentence has and the mask leaves, in order; no more than a painting may have."""
        return tuple(sorted(set(painting) & set(self.open)))[:MOST]

    def found(self, painting: Painting) -> float:
        """The share of the word's weight that lies on painted words."""
        return float(self.weights[list(painting)].sum())

    def chance(self, painting: Painting) -> float:
        """The share that as many words find on average when they are drawn by lot: the weights sum to 1."""
        return len(painting) / len(self.open)

    @property
    def on_special(self) -> float:
        """The share that lies on special tokens, with which a head says that it has nothing to add."""
        return float(self.weights[np.array(self.special)].sum())


def ask(stream: StreamTrace, layer: int, head: int, query: int, model: str) -> Question:
    """The question of one row of one head."""
    tokens, keys = stream.tokens, stream.key_tokens
    may_look = stream.may_look(layer)[query]
    weights = np.where(may_look, stream.pattern(layer, head)[query], 0.0)
    return Question(
        name=f"{layer}.{head}",
        query=name_of(stream, query),
        asks=None if stream.name == "cross" else query,
        labels=tuple(visible(label) for label in keys.labels),
        special=tuple(map(bool, keys.special)),
        open=tuple(int(at) for at in np.flatnonzero(may_look)),
        weights=weights,
        identity=f"{model} {stream.name} {layer}.{head} {query} {list(tokens.ids)} {list(keys.ids)}",
    )


def name_of(stream: StreamTrace, query: int) -> str:
    """The word that asks, as it is read."""
    return visible(stream.tokens.labels[query])


def pattern_packet(stream: StreamTrace, layer: int, head: int) -> bytes:
    """The whole head, for when it is uncovered."""
    return pack_panels([head_panel(stream, layer, head)])


@dataclass(frozen=True)
class Class:
    """The paintings of a class, and the lines that are none: (number of the line, what it says)."""

    paintings: tuple[Painting, ...] = ()
    wrong: tuple[tuple[int, str], ...] = ()
    left_out: int = 0  # lines beyond the first `MOST_CODES`

    def counts(self, question: Question) -> np.ndarray:
        """How many painted each word."""
        found = np.zeros(len(question.labels), int)
        for painting in self.paintings:
            found[list(painting)] += 1
        return found


def read_codes(question: Question, typed: str) -> Class:
    """A code a line; lines without anything are skipped."""
    lines = [(i, line.strip()) for i, line in enumerate(typed[:LONGEST_LIST].splitlines(), start=1) if line.strip()]
    read = [(i, line, question.painting(line) if len(line) <= LONGEST else None) for i, line in lines[:MOST_CODES]]
    return Class(
        tuple(painting for _, _, painting in read if painting is not None),
        tuple((i, line) for i, line, painting in read if painting is None),
        max(0, len(lines) - MOST_CODES),
    )


def result(question: Question, painting: Painting) -> Markup:
    """What somebody's painting found, against chance, as HTML."""
    if not painting:
        return WORDS.html("result.nothing")
    n, found, chance = len(painting), question.found(painting), question.chance(painting)
    verdict = "better" if found > chance else "worse"
    said = WORDS.html("result.found", words.how_many(n), n=n, found=percent(found), chance=percent(chance))
    return words.together(said, WORDS.html("result.verdict", verdict), _top(question), _rests(question))


def class_result(question: Question, read: Class) -> Markup:
    """What a class found on average, against chance, as HTML."""
    painted = [painting for painting in read.paintings if painting]
    if not painted:
        return WORDS.html("class.nobody")
    found = float(np.mean([question.found(each) for each in painted]))
    chance = float(np.mean([question.chance(each) for each in painted]))
    together = question.found(tuple(sorted({at for painting in painted for at in painting})))
    said = WORDS.html(
        "class.found", words.how_many(len(painted)), n=len(painted), found=percent(found), chance=percent(chance),
        together=percent(together),
    )  # fmt: skip
    return words.together(said, _top(question), _rests(question))


def class_before(question: Question, read: Class) -> Markup:
    """What a class expects, before the head is uncovered, as HTML."""
    painted = [painting for painting in read.paintings if painting]
    if not painted:
        return WORDS.html("class.nobody")
    counts = read.counts(question)
    most = int(np.argmax(counts))
    return WORDS.html(
        "class.expects", words.how_many(len(painted)), n=len(painted), most=int(counts[most]),
        word=markup.key(markup.token_name(question.labels, most)),
    )  # fmt: skip


def wrong_lines(read: Class) -> list[str]:
    """What is said of lines that are no code of this question, plain text."""
    said = [WORDS.text("class.wrong", line=i, said=visible(line[:30]).replace("␠", " ")) for i, line in read.wrong]
    return said + ([WORDS.text("class.left_out", most=MOST_CODES, n=read.left_out)] if read.left_out else [])


def strongest(question: Question) -> tuple[Markup, str]:
    """The word that gets most of the weight, as HTML, "itself" where it is the one that asks; and its share."""
    most = int(np.argmax(question.weights))
    name = WORDS.text("itself") if most == question.asks else markup.token_name(question.labels, most)
    return markup.key(name), percent(float(question.weights[most]))


def _top(question: Question) -> Markup:
    """The word that gets most of the weight, as HTML."""
    word, share = strongest(question)
    return WORDS.html("result.top", word=word, share=share)


def _rests(question: Question) -> Markup:
    share = question.on_special
    return WORDS.html("result.rests", share=percent(share)) if share > 0.5 else Markup()


def parse_painting(raw: str) -> Painting:
    """ "1_4" → (1, 4): the painted words of a link. ValueError says what is wrong."""
    said = [each for each in raw.split("_") if each]
    if len(said) > MOST or not all(each.isascii() and each.isdigit() and len(each) < 6 for each in said):
        raise ValueError(WORDS.text("bad_painting", most=MOST))
    return tuple(sorted({int(each) for each in said}))


def show_painting(painting: Painting) -> str:
    """(1, 4) → "1_4", as a link says it."""
    return "_".join(map(str, painting))
