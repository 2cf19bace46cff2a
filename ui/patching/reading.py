"""From the link of the page Patching to two sentences that are read, what they answer, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.circuits.patching.pairing import Pairs
from attn_core.errors import HeadlightError
from attn_core.prediction.next_token import predicts
from attn_core.text.decoding import visible
from attn_core.text.numbers import signed
from ui import stream, words
from ui.drawing import controls, widgets
from ui.link import forget
from ui.patching.asked import Answers, Asked, Pair, answers, parse_more, seconds_of_a_row
from ui.patching.params import DIRECTION, JOHN, MORE, SECOND, TOM, WORD_A, WORD_B
from ui.server import passes, shared
from ui.stream import StreamView
from ui.stream_links import choose_word

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from ui.page import Page

WORDS = words.beside(__file__)


@dataclass(frozen=True)
class Read:
    """Both sentences as they were read; `a` and `b` are the same stream of each."""

    page: Page = field(compare=False)
    a: StreamView
    b: StreamView
    asked: Asked
    answers: Answers

    @property
    def base(self) -> StreamView:
        """The sentence that is changed."""
        return self.b if self.asked.direction == "denoising" else self.a

    @property
    def tokens(self) -> Tokens:
        """What the rows of most places are: the words of the sentence that is changed."""
        return self.base.queries

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest pass, those of further pairs among them; both sentences of a translator together."""
        own = len(self.base.queries) + (len(self.base.keys) if self.base.stream == "cross" else 0)
        read = self.a.model.read
        more = (len(read(text)) + len(target or ()) for *texts, _, target in self.asked.more for text in texts)
        return max([own, *more])

    @cached_property
    def words_meet(self) -> bool:
        """Whether all pairs have their words at the positions of the first, so that there is a mean word by word."""
        own: Pair = (self.asked.first, self.asked.second, None, self.asked.target)
        return len({self._positions(pair) for pair in (own, *self.asked.more)}) == 1

    def _positions(self, pair: Pair) -> tuple[int, ...]:
        """The positions of what is changed that have a partner."""
        of_keys = self.a.stream == "cross" and self.page.state["part"] in ("key", "value")
        of_source = of_keys or self.a.stream == "encoder"
        if pair[3] is not None and not of_source:
            return tuple(range(len(pair[3])))  # both read the same translation
        a, b = (self.a.model.read(text) for text in pair[:2])
        pairs = Pairs.of(a, b) if self.asked.direction == "denoising" else Pairs.of(b, a)
        return tuple(at for _, at in pairs.positions)

    def seconds_a_row(self, kind: str) -> float:
        """How long each of the patched passes takes, which share batches; tried once for everybody."""
        with self.page.problems():
            return shared.memoize(self.base.trace, seconds_of_a_row, self.base.model, kind, self.base.stream)

    @property
    def kind(self) -> str:
        """What d is made of: "words", "vector" or "target"."""
        if self.answers.words is not None:
            return "words"
        return "target" if self.asked.target is not None else "vector"


def of(page: Page) -> Read:
    """Read both sentences; where one is missing, or they cannot be compared, the page ends with one sentence."""
    a = stream.of(page)
    with widgets.card("pair", WORDS.html("pair.title"), WORDS.html("pair.hint")):
        controls.sentence(SECOND, WORDS.text("pair.placeholder"), labelled=True)
        writes = predicts(a.trace.stream("decoder" if a.stream != "self" else "self"))
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            if writes:
                auto = WORDS.text("pair.auto")
                controls.text(WORD_A, auto, width=170, labelled=True)
                controls.text(WORD_B, auto, width=170, labelled=True)
            else:
                names = [f"{visible(label)} ({i})" for i, label in enumerate(a.queries.labels)]
                controls.word_picker(
                    "compared_word", names, a.query, choose_word, label=WORDS.text("labels.position"), labelled=True
                )
            controls.switch(DIRECTION)
        stream.switches(a)
        said = st.container(gap="small")
    if not page.state["second"].strip():
        widgets.note(WORDS.text("pair.missing"))
        st.button(WORDS.text("pair.take"), key="take_pair", on_click=_take_pair)
        st.stop()
    return _read(page, a, said)


def _take_pair() -> None:
    """Callback: the page's own pair, in the letters that the model reads."""
    st.session_state["text"] = JOHN if st.session_state["model"] not in ("tiny-decoder", "minilm") else TOM
    forget(SECOND.name)
    forget("query")


def _read(page: Page, a: StreamView, said: st.delta_generator.DeltaGenerator) -> Read:
    second, given = page.state["second"], {}
    if a.stream != "self":
        given["target"] = a.trace.tokens_of("decoder")[0].ids
    with page.problems():
        b = StreamView(page, a.model, passes.trace(a.model, second, **given), a.stream)
        asked = _asked(page, a, b, given.get("target"))
        found = shared.memoize(a.model, answers, a.model, asked)
    read = Read(page, a, b, asked, found)
    with said:
        d_is = WORDS.text("pair.d", read.kind)
        widgets.number_row([(signed(found.d_a), f"A: {d_is}"), (signed(found.d_b), f"B: {d_is}")])
        if found.words is not None:
            first, other = (visible(word) for word in found.words)
            widgets.reading(WORDS.html("pair.words", first=first, other=other))
    return read


def _asked(page: Page, a: StreamView, b: StreamView, target: list[int] | None) -> Asked:
    state, answer, position = page.state, None, None
    if predicts(b.trace.stream("decoder" if target is not None else "self")):
        typed = state["word_a"].strip(), state["word_b"].strip()
        answer = typed if all(typed) else None
    else:
        position = Pairs.of(b.queries, a.queries).partner(a.query)
    return Asked(
        page.text,
        state["second"],
        answer,
        position,
        None if target is None else tuple(target),
        a.stream,
        state["direction"],
        _more(a, state[MORE.name], position, target is not None),
    )


def _more(a: StreamView, raw: str, position: int | None, translates: bool) -> tuple[Pair, ...]:
    """Further pairs; each pair of a translator is measured by its own translation of its A."""
    pairs = parse_more(raw, worded=position is None and not translates)
    if translates:
        return tuple((*pair[:3], tuple(passes.translated(a.model, a.model.read(pair[0])).ids)) for pair in pairs)
    for number, (first, second, *_) in enumerate(pairs, start=1):
        shorter = min(len(a.model.read(text)) for text in (first, second))
        if position is not None and position >= shorter:
            raise HeadlightError(WORDS.text("more.no_position", pair=number, tokens=shorter, position=position))
    return pairs
