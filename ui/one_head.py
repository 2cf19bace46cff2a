"""One head, opened: heatmap, links, the sentence that reads a row aloud, the numbers, and does it matter.

shown = one_head.of(room, trace)           # what the link says about it: which head or mean, words, specials
widgets.lead(shown.lead(), ...)
one_head.heatmap(shown)
one_head.links(shown)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Literal

import streamlit as st

from attn_core import effects, recorded, sentences
from attn_core.figures import tiles
from attn_core.figures.heatmap import clicked
from attn_core.figures.heatmap import heatmap as heatmap_figure
from attn_core.figures.labels import percent
from attn_core.heads import entropy
from attn_core.shown import MEANS, Arrangement, arrange, mean_name, mean_pattern, striking_row
from attn_core.spelling import visible
from ui import components, frame, widgets
from ui.frame import Room
from ui.state import choice, whole

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

    room: Room
    trace: Any
    arrangement: Arrangement

    @cached_property
    def pattern(self) -> Any:
        view = self.room.view
        return self.arrangement.pattern(mean_pattern(self.trace, self.room.layer, self.room.head, view["mean"]))

    @cached_property
    def may_look(self) -> Any:
        return self.arrangement.may_look(self.trace.may_look(self.room.layer))

    @cached_property
    def row(self) -> int:
        """The chosen word's row; without a choice, the word that looks hardest at another."""
        chosen = self.arrangement.row_of(self.room.view["query"])
        return striking_row(self.pattern, self.arrangement.special) if chosen is None else chosen

    @property
    def who(self) -> str:
        return mean_name(self.room.layer, self.room.head, self.room.view["mean"])

    @property
    def title(self) -> str:
        layer, head = self.room.layer, self.room.head
        return {
            "one": f"Layer {layer} · head {head}",
            "heads": f"Layer {layer} · mean of its {self.trace.n_heads} heads",
            "layers": f"Head {head} · mean over {self.trace.n_layers} layers",
            "all": f"Mean of all {self.trace.n_layers * self.trace.n_heads} heads",
        }[self.room.view["mean"]]

    @property
    def places(self) -> list[int]:
        """The position that people count, one a row: that of its first token."""
        return [place[0] for place in self.arrangement.places]

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    def lead(self) -> str:
        """The page's headline, as HTML; it turns with the orientation."""
        at = (self.pattern[self.row], self.arrangement.labels, self.arrangement.special, self.row, self.who)
        if self.room.view["queries"] == "columns":
            return widgets.say(sentences.lesson(*at))
        habit = self.habit()
        said = sentences.lead(*at)
        return widgets.say([(f"{self.who[0].upper()}{self.who[1:]} {habit}. ", ""), *said] if habit else said)

    def habit(self) -> str:
        """What this head does whatever the words are, or ""; judged over pieces, without the sink."""
        if self.room.view["mean"] != "one":
            return ""
        pattern = self.trace.pattern(self.room.layer, self.room.head)
        return sentences.habit(pattern, self.trace.may_look(self.room.layer), self.arrangement.sink)

    def choose(self, row: int | None) -> None:
        """Callback: another word is read aloud."""
        if row is not None:
            st.session_state["query"], st.session_state["key"] = self.places[row], None


def of(room: Room, trace: Any) -> OneHead:
    """The head that the link names, arranged as the link says."""
    return OneHead(room, trace, arrangement_of(room, trace))


def offer(shown: OneHead) -> None:
    """Let the visitor save exactly this head, or mean, as it is arranged here."""
    view = shown.room.view
    shown.room.offer(
        shown.trace,
        layer=shown.room.layer,
        head=shown.room.head,
        mean=view["mean"],
        words=view["unit"] == "words",
        hide_sink=view["specials"] == "hide",
        scale=view["scale"],
        queries_in=view["queries"],
        query=shown.places[shown.row],
    )


def arrangement_of(room: Room, trace: Any) -> Arrangement:
    hide, words = room.view["specials"] == "hide", room.view["unit"] == "words"
    return arrange(trace.tokens, causal=trace.kind == "decoder", words=words, hide_sink=hide)


def sink_name(arrangement: Arrangement, tokens: Any) -> str:
    """What the sink is called here, as plain text: "[CLS] [SEP]"."""
    labels = [visible(label) for label, rests in zip(tokens.labels, arrangement.sink, strict=True) if rests]
    return " ".join(dict.fromkeys(labels))


def titled(shown: OneHead) -> None:
    """What the picture shows and how to read it; the orientation turns the words too."""
    ask, answer = '<b class="hl-q">query</b>', '<b class="hl-k">key</b>'
    if shown.room.view["queries"] == "columns":
        hint = (
            f"Columns ask ({ask}), rows answer ({answer}), as in the lesson: “fluffy attends to creature”. Papers "
            "turn it and say “creature attends to fluffy”. The numbers are the same; every column sums to 1."
        )
    else:
        hint = f"Rows ask ({ask}), columns answer ({answer}). Every row sums to 1."
    if shown.arrangement.hides_sink:
        name = escape(sink_name(shown.arrangement, shown.trace.tokens))
        hint += f" {name} hidden, the rest renormalised."
    widgets.heading(shown.title, hint)


def steppers(shown: OneHead) -> None:
    """Layer and head, by buttons, by menu, or by the keys K J H L."""
    with st.container(horizontal=True, gap="small"):
        widgets.stepper("Layer", "layer", shown.trace.n_layers - 1, ("K", "J"))
        widgets.stepper("Head", "head", shown.trace.n_heads - 1, ("H", "L"))


def heatmap(shown: OneHead) -> None:
    """The pattern, every number exact; a click on a cell chooses its word."""
    view, arrangement = shown.room.view, shown.arrangement

    def picked() -> None:
        cell = clicked(st.session_state["heatmap"])
        shown.choose(None if cell is None else cell[0])

    figure = heatmap_figure(
        shown.pattern,
        arrangement.labels,
        head=f"{shown.room.layer}.{shown.room.head}" if view["mean"] == "one" else "",
        scale=view["scale"],
        masked=~shown.may_look,
        queries_in=view["queries"],
        selected_query=shown.row,
        query_positions=shown.places,
        query_special=arrangement.special,
        clickable=True,
        theme=shown.theme,
    )
    alt = f"Attention pattern, {shown.title}: {len(arrangement.labels)} queries and keys. The numbers are in the table."
    st.plotly_chart(figure, key="heatmap", on_select=picked, selection_mode="points", theme=None, alt=alt)


def links_titled(shown: OneHead) -> None:
    name = {"one": f"Head {shown.room.layer}.{shown.room.head}"}.get(shown.room.view["mean"], shown.title)
    widgets.heading(
        f"{name} as links", "Left asks, right answers. Hover a word to see only its lines; click to keep it."
    )


def links(shown: OneHead) -> None:
    """The same numbers as lines between words; a click on a word keeps its lines."""
    view, arrangement = shown.room.view, shown.arrangement

    def pinned(pin: components.Pin) -> None:
        at = pin.position
        st.session_state["key"] = shown.places[at] if pin.side == "key" and at is not None else None
        if pin.side == "query":
            shown.choose(at)

    packet = tiles.pack_links(
        shown.pattern[None],
        arrangement.labels,
        heads=[f"{shown.room.layer}.{shown.room.head}" if view["mean"] == "one" else shown.who],
        may_look=shown.may_look,
        query_positions=shown.places,
        query_special=arrangement.special,
        query_words=arrangement.words,
    )
    answer = arrangement.row_of(view["key"])
    pin: tuple[components.Side, int] = ("query", shown.row) if answer is None else ("key", answer)
    with widgets.kept_place("links", f"{min(560, 22 * len(shown.places)) + 76}px"):
        components.links(packet, key="links", pinned=pin, on_pin=pinned)


def word_picker(shown: OneHead) -> None:
    """Choose the word that is read aloud; its label is shown as text, whatever was typed."""

    def picked() -> None:
        shown.choose(st.session_state["word"])

    st.session_state["word"] = shown.row
    st.selectbox(
        "Word",
        range(len(shown.places)),
        format_func=lambda row: f"{visible(shown.arrangement.labels[row])} ({shown.places[row]})",
        key="word",
        on_change=picked,
        label_visibility="collapsed",
        width=190,
    )


def switches(shown: OneHead) -> None:
    """What can be adjusted about one head."""
    with st.container(horizontal=True, gap="small"):
        word_picker(shown)
        widgets.switch("Show as", {"heatmap": "heatmap", "table": "table"}, "face")
        widgets.switch("Queries", {"rows": "queries in rows", "columns": "in columns"}, "queries")
        widgets.switch(
            "Mean", {"one": "this head", "heads": "mean of heads", "layers": "of layers", "all": "of all"}, "mean"
        )


def strip(shown: OneHead) -> None:
    """Does this head matter to the chosen word? One of the numbers costs another forward pass, so it comes last."""
    layer, head, query = shown.room.layer, shown.room.head, shown.places[shown.row]
    if shown.room.view["mean"] != "one":
        row = mean_pattern(shown.trace, layer, head, shown.room.view["mean"])[query]
        name = sink_name(shown.arrangement, shown.trace.tokens)
        resting = [(percent(float(row[shown.arrangement.sink].sum())), f"on {name}")] if name else []
        widgets.strip([*resting, (f"{float(entropy(row)):.1f} bits", "entropy")])
    elif isinstance(shown.trace, recorded.Recorded):
        widgets.strip(recorded.strip(shown.trace, layer, head, query).parts())
    else:
        widgets.strip(effects.strip(shown.trace, shown.room.again(shown.trace), layer, head, query).parts())


def doors(shown: OneHead) -> None:
    """Where this very head can be followed further."""
    with st.container(horizontal=True, gap="small", key="doors"):
        frame.go("step_by_step", "Walk it step by step")
        frame.go("delta_e", "What it adds: ΔE")
        frame.go("compare_heads", "Put another beside it")


def read_aloud(shown: OneHead) -> None:
    """The chosen row as a sentence."""
    labels = shown.arrangement.labels
    row = shown.pattern[shown.row]
    widgets.reading(widgets.say(sentences.reading(row, labels, shown.places, shown.row, shown.who)))


def table(shown: OneHead) -> None:
    """The chosen row as numbers that can be sorted; a masked key says so."""
    import pandas as pd

    row, seen = shown.pattern[shown.row], shown.may_look[shown.row]
    frame = pd.DataFrame(
        {
            "position": shown.places,
            "key": [visible(label) for label in shown.arrangement.labels],
            "weight": [float(weight) if may else None for weight, may in zip(row, seen, strict=True)],
            "share": [100 * float(weight) if may else None for weight, may in zip(row, seen, strict=True)],
        }
    )
    asks = visible(shown.arrangement.labels[shown.row])
    st.dataframe(
        frame.sort_values("weight", ascending=False, kind="stable"),
        hide_index=True,
        height="content" if len(frame) < 12 else 400,
        column_config={
            "weight": st.column_config.NumberColumn("weight", format="%.6f"),
            "share": st.column_config.ProgressColumn("share", format="%.2f %%", min_value=0, max_value=100),
        },
        alt=f"Weights of {asks} on every key.",
    )
