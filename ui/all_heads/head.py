"""One head, opened: which head or mean the link names, how it is arranged, and the row that is read aloud.

shown = one_head.of(page, trace)
widgets.lead(shown.lead())
head_pictures.heatmap(shown)
chosen_word.read_aloud(shown)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import streamlit as st

from attn_core.text.decoding import visible
from attn_core.views import headlines as sentences
from attn_core.views.arrangement import MEANS, Arrangement, arrange, mean_name, mean_pattern, most_salient_query
from ui.drawing import widgets
from ui.link import choice, whole
from ui.page import Page

PARAMS = [
    choice("mean", MEANS),
    choice("specials", ("show", "hide")),
    choice("unit", ("pieces", "words")),
    choice("scale", ("sqrt", "linear")),
    choice("queries", ("rows", "columns")),
    choice("face", ("heatmap", "table")),
    whole("key", high=511, optional=True),
]


@dataclass(frozen=True)
class OneHead:
    """One head (or a mean of several) as the link asks for it, and the row that is read aloud."""

    page: Page
    trace: Any
    arrangement: Arrangement

    @cached_property
    def pattern(self) -> Any:
        view = self.page.state
        return self.arrangement.pattern(mean_pattern(self.trace, self.page.layer, self.page.head, view["mean"]))

    @cached_property
    def may_look(self) -> Any:
        return self.arrangement.may_look(self.trace.may_look(self.page.layer))

    @cached_property
    def row(self) -> int:
        """The chosen word's row; without a choice, the word that looks hardest at another."""
        chosen = self.arrangement.row_of(self.page.state["query"])
        return most_salient_query(self.pattern, self.arrangement.special) if chosen is None else chosen

    @property
    def who(self) -> str:
        return mean_name(self.page.layer, self.page.head, self.page.state["mean"])

    @property
    def word(self) -> str:
        """The word that is read aloud, for captions."""
        return f"{visible(self.arrangement.labels[self.row])} (token {self.places[self.row]})"

    @property
    def title(self) -> str:
        layer, head = self.page.layer, self.page.head
        return {
            "one": f"Layer {layer} · head {head}",
            "heads": f"Layer {layer} · mean of its {self.trace.n_heads} heads",
            "layers": f"Head {head} · mean over {self.trace.n_layers} layers",
            "all": f"Mean of all {self.trace.n_layers * self.trace.n_heads} heads",
        }[self.page.state["mean"]]

    @property
    def places(self) -> list[int]:
        """The position that people count, one a row: that of its first token."""
        return [place[0] for place in self.arrangement.places]

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    def lead(self) -> str:
        """The page's headline, as HTML; it turns with the orientation."""
        labels = sentences.disambiguated_labels(self.arrangement.labels, self.places)
        at = (self.pattern[self.row], labels, self.arrangement.special, self.row, self.who)
        if self.page.state["queries"] == "columns":
            return widgets.say(sentences.lesson(*at))
        habit = self.habit()
        said = sentences.lead(*at)
        return widgets.say([(f"{self.who[0].upper()}{self.who[1:]} {habit}. ", ""), *said] if habit else said)

    def habit(self) -> str:
        """What this head does whatever the words are, or ""; judged over pieces, without the sink."""
        if self.page.state["mean"] != "one":
            return ""
        pattern = self.trace.pattern(self.page.layer, self.page.head)
        return sentences.habit(pattern, self.trace.may_look(self.page.layer), self.arrangement.sink)


def choose(places: Sequence[int], row: int | None) -> None:
    """Callback: another row, at one of these token positions, is read aloud."""
    if row is not None:
        st.session_state["query"], st.session_state["key"] = places[row], None


def of(page: Page, trace: Any) -> OneHead:
    """The head that the link names, arranged as the link says."""
    return OneHead(page, trace, arrangement_of(page, trace))


def offer(shown: OneHead) -> None:
    """Let the visitor save exactly this head, or mean, as it is arranged here."""
    view = shown.page.state
    shown.page.offer(
        shown.trace,
        layer=shown.page.layer,
        head=shown.page.head,
        mean=view["mean"],
        words=view["unit"] == "words",
        hide_sink=view["specials"] == "hide",
        scale=view["scale"],
        queries_in=view["queries"],
        query=shown.places[shown.row],
    )


def arrangement_of(page: Page, trace: Any) -> Arrangement:
    hide, words = page.state["specials"] == "hide", page.state["unit"] == "words"
    return arrange(trace.tokens, causal=trace.kind == "decoder", words=words, hide_sink=hide)


def sink_name(arrangement: Arrangement, tokens: Any) -> str:
    """What the sink is called here, as plain text: "[CLS] [SEP]"."""
    labels = [visible(label) for label, rests in zip(tokens.labels, arrangement.sink, strict=True) if rests]
    return " ".join(dict.fromkeys(labels))
