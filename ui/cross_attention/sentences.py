"""A translator and its two sentences: what was typed, what was written for it, and the trace of both.

shown = two_sentences.ask(page)        # the inputs, the translation and its trace
widgets.lead(shown.lead(), sub=two_sentences.written(shown))
cross.lines(shown)                     # the pictures are in ui.cross
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any, Literal

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.cards import card_of
from attn_core.models.catalogue import CATALOGUE, entry_of
from attn_core.prediction import translation
from attn_core.settings import is_public
from attn_core.text.decoding import visible
from ui.drawing import widgets
from ui.link import Param, choice, whole, words
from ui.page import Page
from ui.server import shared
from ui.shell import known_words

TRANSLATORS = tuple(name for name, entry in CATALOGUE.items() if entry.architecture == "encoder-decoder")
STARTER = card_of("tiny-translator").examples[0]


def _translator(raw: str, earlier: Any) -> str:
    """A translator of the catalogue or, where anyone may use any model, a folder of one."""
    try:
        two_stacks = entry_of(raw).architecture == "encoder-decoder"
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if not two_stacks:
        raise ValueError("it has one stack, and this page needs an encoder and a decoder")
    return raw


def _last_layer(view: Any) -> int:
    """Of the deeper stack; the other one shows its own last layer beside it."""
    entry = entry_of(view["translator"])
    return max(entry.n_layers, entry.n_decoder_layers) - 1


def _last_head(view: Any) -> int:
    entry = entry_of(view["translator"])
    return max(entry.n_heads, entry.n_decoder_heads) - 1


def _heads(raw: str, view: Any) -> list[str]:
    """Cross heads as a link names them: "1.2,0.3"."""
    named, entry = [name for name in raw.split(",") if name], entry_of(view["translator"])
    here = head_names(entry.n_decoder_layers or entry.n_layers, entry.n_decoder_heads or entry.n_heads)
    if not all(name in here for name in named):
        raise ValueError("it must name heads of this model, as in 1.2,0.3")
    return named


def head_names(n_layers: int, n_heads: int) -> list[str]:
    return [f"{layer}.{head}" for layer in range(n_layers) for head in range(n_heads)]


PARAMS = [
    Param("translator", TRANSLATORS[0], _translator),
    words("source", STARTER),
    words("translation", ""),
    whole("cross_layer", high=_last_layer, default=lambda view: card_of(view["translator"]).best_head[0]),
    whole("cross_head", high=_last_head, default=lambda view: card_of(view["translator"]).best_head[1]),
    whole("row", high=lambda view: entry_of(view["translator"]).limit, optional=True),
    choice("rows", ("produced", "read")),
    Param("align", [], _heads, lambda heads: ",".join(heads)),
]


@dataclass(frozen=True)
class Shown:
    """A source, what was written for it, and one head of each kind of attention."""

    page: Page
    trace: Any
    read: list[str]  # the decoder's rows by the word that is read
    produced: list[str]  # … and by the word that is produced

    @property
    def layer(self) -> int:
        return self.place("cross")[0]

    @property
    def head(self) -> int:
        return self.place("cross")[1]

    def place(self, stream: str) -> tuple[int, int]:
        """The layer and head that were chosen or, in a stack that has fewer, its last."""
        layer, head = int(self.page.state["cross_layer"]), int(self.page.state["cross_head"])
        return min(layer, self.trace.n_layers_of(stream) - 1), min(head, self.trace.n_heads_of(stream) - 1)

    @cached_property
    def tops(self) -> tuple[int, int]:
        """The last layer and head of the stack that has most of them."""
        streams = self.trace.streams
        return max(map(self.trace.n_layers_of, streams)) - 1, max(map(self.trace.n_heads_of, streams)) - 1

    @property
    def who(self) -> str:
        return f"head {self.layer}.{self.head}"

    @property
    def rows(self) -> list[str]:
        return self.produced if self.page.state["rows"] == "produced" else self.read

    @property
    def keys(self) -> Any:
        return self.trace.tokens_of("cross")[1]

    @cached_property
    def pattern(self) -> Any:
        return self.trace.pattern(self.layer, self.head, stream="cross")

    @cached_property
    def aligned(self) -> list[translation.Aligned]:
        return translation.align(self.pattern)

    @property
    def row(self) -> int:
        chosen = self.page.state["row"]
        return chosen if chosen is not None and chosen < len(self.rows) else translation.telling_row(self.aligned[:-1])

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    def both_sentences(self) -> str:
        """What was read and what was written, for captions."""
        source, target = (self.trace.tokens_of(stream)[0].text for stream in ("encoder", "decoder"))
        return f"{source} → {target}"

    def lead(self) -> str:
        """The headline, as HTML: always by the word that is produced, which is what a row is for."""
        return widgets.say(translation.lead(self.aligned, self.row, self.produced, self.keys.labels, self.who))


def choose(row: int | None) -> None:
    """Callback: another produced word is looked at."""
    if row is not None:
        st.session_state["row"] = row


# --- What is translated -----------------------------------------------------------------------------------------------


def ask(page: Page) -> Shown:
    """The two sentences and the model; waits for the translation."""
    with st.container(key="ask"):
        left, right = st.columns([79, 21], gap="small")
        with left:
            st.text_input("Source sentence", key="source", placeholder="Type a sentence in English", on_change=_afresh)
        with right:
            own = st.session_state["translator"]
            offered = [*TRANSLATORS, *([] if own in TRANSLATORS else [own])]
            st.selectbox(
                "Translator", offered, key="translator", format_func=_name, on_change=_afresh,
                accept_new_options=not is_public(),
            )  # fmt: skip
        st.text_input(
            "Target sentence", key="translation", on_change=_afresh,
            placeholder="Leave empty for the model's own translation, or type one to see how it would be read",
        )  # fmt: skip
    if not st.context.is_embedded:
        _offers(page.state["translator"])
    return _translated(replace(page, remarks=st.container(key="said_below")))


def _name(name: str) -> str:
    return CATALOGUE[name].title if name in CATALOGUE else name


def _afresh() -> None:
    """A row of one translation is no row of the next."""
    st.session_state["row"] = None


def _take(example: str) -> None:
    st.session_state["source"], st.session_state["translation"] = example, ""
    _afresh()


def _offers(translator: str) -> None:
    """Sentences that fit the model, and the words that it knows."""
    with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html('<span class="hl-try">Try:</span>', width="content")
        for i, example in enumerate(card_of(translator).examples or card_of("tiny-translator").examples):
            st.button(example, key=f"example_{i}", on_click=_take, args=(example,))
        known_words.popover(translator)


def _translated(page: Page) -> Shown:
    """The trace of the source and of what was written: the model's own words, or the visitor's."""
    name, target = page.state["translator"], page.state["translation"]
    model = page.model(name)
    with page.problems():
        text = translation.as_read(model, page.state["source"])
        source = model.read(text)
        ended = True
        if not target.strip():
            written = shared.memoize(model, ("greedy", text), lambda: translation.greedy(model, source))
            target, ended = written.ids, written.ended
    trace = page.trace(text, name, target=target)
    read = trace.tokens_of("decoder")[0]
    with page.remarks:
        _say_what_was_cut(source=source, target=read)
        known_words.explain_marks(name, [*source.labels, *read.labels])
    end = str(model.tokenizer.eos_token) if ended else None
    return Shown(page, trace, read.labels, translation.produced(read.labels, end))


def _say_what_was_cut(**both: Any) -> None:
    for name, tokens in both.items():
        if tokens.is_cut:
            widgets.note(f"The {name} was cut after {tokens.cut_after}, the limit: {tokens.left_out}")


def written(shown: Shown) -> str:
    """The line under the headline: what was translated into what, as HTML."""
    how = "The model's own translation" if not shown.page.state["translation"].strip() else "Your translation, as read"
    return f"{how}: <i>{escape(visible_line(shown.produced[:-1]))}</i>"


def visible_line(labels: list[str]) -> str:
    return translation.sentence([visible(label) for label in labels])
