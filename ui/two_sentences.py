"""A translator's page: two sentences, the maps of its three kinds of attention, and the lines between the two.

shown = two_sentences.ask(room)        # the inputs, the translation and its trace
two_sentences.lines(shown)
two_sentences.cross_map(shown)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Literal

import numpy as np
import streamlit as st

from attn_core import delta_ledger, geometry, translation
from attn_core.catalogue import CATALOGUE, entry_of
from attn_core.errors import HeadlightError
from attn_core.figures import tiles
from attn_core.figures.delta_e import head_map, source_bars
from attn_core.figures.heatmap import clicked
from attn_core.figures.heatmap import heatmap as heatmap_figure
from attn_core.figures.labels import percent
from attn_core.settings import is_public
from attn_core.spelling import visible
from attn_core.tiny.shipped import best_head, examples
from ui import caches, components, known_words, widgets
from ui.frame import Room
from ui.state import Param, choice, whole, words

TRANSLATORS = tuple(name for name, entry in CATALOGUE.items() if entry.architecture == "encoder-decoder")
STARTER = examples("tiny-translator")[0]


def _translator(raw: str, earlier: Any) -> str:
    """A translator of the catalogue or, where anyone may use any model, a folder of one."""
    try:
        two_stacks = entry_of(raw).architecture == "encoder-decoder"
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if not two_stacks:
        raise ValueError("it has one stack, and this page needs an encoder and a decoder")
    return raw


def _layers(view: Any) -> int:
    entry = entry_of(view["translator"])
    return (entry.n_decoder_layers or entry.n_layers) - 1


def _heads(raw: str, view: Any) -> list[str]:
    """Cross heads as a link names them: "1.2,0.3"."""
    named = [name for name in raw.split(",") if name]
    if not all(name in _head_names(_layers(view) + 1, entry_of(view["translator"]).n_heads) for name in named):
        raise ValueError("it must name heads of this model, as in 1.2,0.3")
    return named


def _head_names(n_layers: int, n_heads: int) -> list[str]:
    return [f"{layer}.{head}" for layer in range(n_layers) for head in range(n_heads)]


PARAMS = [
    Param("translator", TRANSLATORS[0], _translator),
    words("source", STARTER),
    words("target", ""),
    whole("cross_layer", high=_layers, default=lambda view: min(best_head(view["translator"])[0], _layers(view))),
    whole(
        "cross_head",
        high=lambda view: entry_of(view["translator"]).n_heads - 1,
        default=lambda view: best_head(view["translator"])[1],
    ),
    whole("row", high=lambda view: entry_of(view["translator"]).limit, optional=True),
    choice("rows", ("produced", "read")),
    Param("align", [], _heads, lambda heads: ",".join(heads)),
]


@dataclass(frozen=True)
class Shown:
    """A source, what was written for it, and one head of each kind of attention."""

    room: Room
    trace: Any
    read: list[str]  # the decoder's rows by the word that is read
    produced: list[str]  # … and by the word that is produced

    @property
    def layer(self) -> int:
        return int(self.room.view["cross_layer"])

    @property
    def head(self) -> int:
        return int(self.room.view["cross_head"])

    @property
    def who(self) -> str:
        return f"head {self.layer}.{self.head}"

    @property
    def rows(self) -> list[str]:
        return self.produced if self.room.view["rows"] == "produced" else self.read

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
        chosen = self.room.view["row"]
        return chosen if chosen is not None and chosen < len(self.rows) else translation.telling_row(self.aligned)

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    def lead(self) -> str:
        """The headline, as HTML: always by the word that is produced, which is what a row is for."""
        return widgets.say(translation.lead(self.aligned, self.row, self.produced, self.keys.labels, self.who))

    def choose(self, row: int | None) -> None:
        """Callback: another produced word is looked at."""
        if row is not None:
            st.session_state["row"] = row


# --- What is translated -----------------------------------------------------------------------------------------------


def ask(room: Room) -> Shown:
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
            "Target sentence", key="target", on_change=_afresh,
            placeholder="Leave empty for the model's own translation, or type one to see how it would be read",
        )  # fmt: skip
    _offers(room.view["translator"])
    return _translated(room)


def _name(name: str) -> str:
    return CATALOGUE[name].title if name in CATALOGUE else name


def _afresh() -> None:
    """A row of one translation is no row of the next."""
    st.session_state["row"] = None


def _take(example: str) -> None:
    st.session_state["source"], st.session_state["target"] = example, ""
    _afresh()


def _offers(translator: str) -> None:
    """Sentences that fit the model, and the words that it knows."""
    with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html('<span class="hl-try">Try:</span>', width="content")
        for i, example in enumerate(examples(translator) or examples("tiny-translator")):
            st.button(example, key=f"example_{i}", on_click=_take, args=(example,))
        known_words.popover(translator)


def _translated(room: Room) -> Shown:
    """The trace of the source and of what was written: the model's own words, or the visitor's."""
    name, target = room.view["translator"], room.view["target"]
    model = room.model(name)
    with room.problems():
        text = translation.as_read(model, room.view["source"])
        source = model.read(text)
        ended = True
        if not target.strip():
            written = caches.beside(model, ("greedy", text), lambda: translation.greedy(model, source))
            target, ended = written.ids, written.ended
    trace = room.trace(text, name, target=target)
    read = translation.names(model, trace.tokens_of("decoder")[0], source)
    known_words.explain_marks(name, source.labels)
    end = str(model.tokenizer.eos_token) if ended else None
    return Shown(room, trace, read, translation.produced(read, end))


# --- Cross-attention, large -------------------------------------------------------------------------------------------


def written(shown: Shown) -> str:
    """The line under the headline: what was translated into what, as HTML."""
    how = "The model's own translation" if not shown.room.view["target"].strip() else "Your translation, as read"
    return f"{how}: <i>{escape(visible_line(shown.produced[:-1]))}</i>"


def visible_line(labels: list[str]) -> str:
    return translation.sentence([visible(label) for label in labels])


def lines(shown: Shown) -> None:
    """The two sentences as two columns with lines between them: where they cross, words changed places."""
    widgets.heading(
        f"{shown.who.capitalize()} between the two sentences",
        'Left, the words being written ask (<b class="hl-q">query</b>). Right, the words that were read answer '
        '(<b class="hl-k">key</b>). Hover a word to see only its lines.',
    )

    def pinned(pin: components.Pin) -> None:
        if pin.side == "query":
            shown.choose(pin.position)

    packet = tiles.pack_links(
        shown.pattern[None],
        shown.rows,
        shown.keys.labels,
        heads=[shown.who.removeprefix("head ")],
        key_special=shown.keys.special,
        key_words=shown.keys.words,
        captions=("writes (asks)", "was read (answers)"),
    )
    components.links(packet, key="cross_links", pinned=("query", shown.row), on_pin=pinned)
    widgets.switch("Rows", {"produced": "the word being produced", "read": "the word being read"}, "rows")
    if shown.room.view["rows"] == "produced":
        why = "A row is named by the word that it produces. Its query was made of the word before."
    else:
        why = "A row is named by the word that the decoder has just read, which is one word behind the one it produces."
    st.html(f'<div class="hl-hint">{why}</div>')


def cross_map(shown: Shown) -> None:
    """The same numbers as a heatmap, with layer and head to step through."""
    widgets.heading(
        f"Cross-attention · layer {shown.layer} · head {shown.head}",
        'Rows ask (<b class="hl-q">query</b>), columns answer (<b class="hl-k">key</b>). Every row sums to 1.',
    )
    with st.container(horizontal=True, gap="small"):
        widgets.stepper("Layer", "cross_layer", shown.trace.n_layers_of("cross") - 1)
        widgets.stepper("Head", "cross_head", shown.trace.n_heads - 1)

    def picked() -> None:
        cell = clicked(st.session_state["cross_heatmap"])
        shown.choose(None if cell is None else cell[0])

    figure = heatmap_figure(
        shown.pattern,
        shown.rows,
        shown.keys.labels,
        head=shown.who.removeprefix("head "),
        selected_query=shown.row,
        marked_keys=[shown.aligned[shown.row].key],
        key_special=shown.keys.special,
        clickable=True,
        theme=shown.theme,
    )
    alt = f"Cross-attention of {shown.who}: {len(shown.rows)} words written, {len(shown.keys)} words read."
    st.plotly_chart(figure, key="cross_heatmap", on_select=picked, selection_mode="points", theme=None, alt=alt)


# --- The three kinds beside each other --------------------------------------------------------------------------------

KINDS = {
    "encoder": ("Encoder: source to source", "Every word may look at every word of its own sentence."),
    "decoder": ("Decoder: target to target", "A word may look back at what is written so far, never ahead (hatched)."),
    "cross": (
        "Cross: target to source",
        "The words being written look at those that were read; nothing is hidden.",
    ),
}


def three_maps(shown: Shown) -> None:
    """The same layer and head of all three kinds of attention."""
    for column, (stream, (title, hint)) in zip(st.columns(3, gap="medium"), KINDS.items(), strict=True):
        with column:
            _map(shown, stream, title, hint)


def _map(shown: Shown, stream: str, title: str, hint: str) -> None:
    trace = shown.trace
    layer = min(shown.layer, trace.n_layers_of(stream) - 1)
    _, keys = trace.tokens_of(stream)
    widgets.heading(title, f"{hint} Layer {layer}, head {shown.head}.")
    figure = heatmap_figure(
        trace.pattern(layer, shown.head, stream=stream),
        keys.labels if stream == "encoder" else shown.rows,
        shown.read if stream == "decoder" else keys.labels,
        head=f"{layer}.{shown.head}",
        masked=~trace.may_look(layer, stream=stream),
        legend=False,
        theme=shown.theme,
    )
    st.plotly_chart(figure, key=f"map_{stream}", theme=None, alt=f"{title}, layer {layer}, head {shown.head}.")


def what_differs() -> None:
    """What self- and cross-attention have in common, and the one thing that differs."""
    st.html(
        '<div class="hl-hint">The mathematics is the same in all three: scores = query · key ÷ √d, softmax, a weighted '
        'sum of values. What differs is where they come from. In self-attention <b class="hl-q">queries</b>, '
        '<b class="hl-k">keys</b> and <b class="hl-v">values</b> are made of one sentence; in cross-attention the '
        '<b class="hl-q">queries</b> are made of the sentence being written, and <b class="hl-k">keys</b> and '
        '<b class="hl-v">values</b> of the one that was read. The two need not be of one kind: a model that '
        "transcribes speech looks from words into a recording.</div>"
    )


# --- Alignment and ΔE -------------------------------------------------------------------------------------------------


def alignment(shown: Shown) -> None:
    """Which source word each word came from: the largest weight of its row, in one head or a mean of several."""
    import pandas as pd

    n_layers, n_heads = shown.trace.n_layers_of("cross"), shown.trace.n_heads
    chosen = st.multiselect(
        "Mean of heads", _head_names(n_layers, n_heads), key="align", placeholder=f"only {shown.who}, the one above"
    )
    heads = [tuple(map(int, name.split("."))) for name in chosen] or [(shown.layer, shown.head)]
    found = translation.align(translation.mean_pattern(shown.trace, heads))
    table = pd.DataFrame(
        {
            "written": [visible(shown.produced[entry.query]) for entry in found],
            "came from": [visible(shown.keys.labels[entry.key]) for entry in found],
            "weight": [100 * entry.weight for entry in found],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(table) < 14 else 480,
        column_config={
            "weight": st.column_config.ProgressColumn("weight", format="%.1f %%", min_value=0, max_value=100)
        },
        alt="Each written word, the word that its row looks at most, and the weight.",
    )
    crossed = len(translation.crossings(found))
    st.html(f'<div class="hl-hint">{_crossed(crossed)} An end sign may look anywhere: nothing is left to say.</div>')


def _crossed(count: int) -> str:
    if count == 0:
        return "No lines cross: the words kept their order."
    return f"{count} pair{'s' if count > 1 else ''} of neighbouring lines cross{'' if count > 1 else 'es'}."


def clearest(shown: Shown) -> None:
    """A way to the cross head that lines the sentences up best, where another one is open."""
    layer, head = translation.sharpest(shown.trace)

    def opened() -> None:
        st.session_state["cross_layer"], st.session_state["cross_head"] = layer, head

    if (layer, head) != (shown.layer, shown.head):
        st.button(f"Open head {layer}.{head}, whose lines are clearest", key="clearest", on_click=opened)


def delta_e(shown: Shown) -> None:
    """What the cross heads add to the row of the chosen word, and which source words that came from."""
    trace, row = shown.trace, shown.row
    left, right = st.columns([2, 3], gap="medium")
    layers = range(trace.n_layers_of("cross"))
    sizes = np.stack([geometry.norm(trace.heads_delta_e(layer, row, stream="cross")) for layer in layers])
    with left:
        figure = head_map(sizes, name="size of ΔE", theme=shown.theme, chosen=(shown.layer, shown.head))
        st.plotly_chart(figure, key="cross_sizes", theme=None, alt="Size of ΔE of every cross head.")
    with right:
        parts = delta_ledger.sources(trace, shown.layer, shown.head, row, stream="cross")
        figure = source_bars(
            shown.keys.labels, parts.weights, parts.lengths, parts.along, theme=shown.theme,
            chosen=shown.aligned[row].key,
        )  # fmt: skip
        st.plotly_chart(figure, key="cross_sources", theme=None, alt="Where this head's ΔE came from, word by word.")


def read_aloud(shown: Shown) -> None:
    """The chosen row as a sentence."""
    row, labels = shown.pattern[shown.row], shown.keys.labels
    strongest = sorted(range(len(labels)), key=lambda key: -row[key])[:4]
    said = [("To write ", ""), (visible(shown.produced[shown.row]), "query"), (": ", "")]
    for n, key in enumerate(key for key in strongest if row[key] >= 0.005):
        said += [(", " if n else "", ""), (visible(labels[key]), "key"), (f" {percent(float(row[key]))}", "")]
    widgets.reading(widgets.say([*said, (".", "")]))
