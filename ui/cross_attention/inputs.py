"""What is translated: the translator, the two sentences that are typed, and the trace of both.

found = inputs.ask(page)              # draws the inputs, waits for the translation; gives a Translation
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.cards import card_of
from attn_core.models.catalogue import CATALOGUE, READS_TEXT, entry_of
from attn_core.prediction import translation
from ui import words
from ui.cross_attention.translation import Translation, head_names
from ui.drawing import controls, widgets
from ui.page import Page
from ui.param import Earlier, Param, choice, typed, whole
from ui.server import passes
from ui.shell import known_words

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens

WORDS = words.beside(__file__)
TRANSLATORS = tuple(name for name in READS_TEXT if CATALOGUE[name].architecture == "encoder-decoder")
STARTER = card_of("tiny-translator").examples[0]


def _translator(raw: str, earlier: Earlier) -> str:
    """A translator of the catalogue or, where anyone may use any model, a folder of one."""
    try:
        two_stacks = entry_of(raw).architecture == "encoder-decoder"
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if not two_stacks:
        raise ValueError(WORDS.text("inputs.one_stack"))
    if entry_of(raw).reads != "text":
        raise ValueError(WORDS.text("inputs.listens"))
    return raw


def _last_layer(values: Earlier) -> int:
    """Of the deeper stack; the other one shows its own last layer beside it."""
    entry = entry_of(values["translator"])
    return max(entry.n_layers, entry.n_decoder_layers) - 1


def _last_head(values: Earlier) -> int:
    entry = entry_of(values["translator"])
    return max(entry.n_heads, entry.n_decoder_heads) - 1


def _heads(raw: str, values: Earlier) -> list[str]:
    """Cross heads as a link names them: "1.2,0.3"."""
    named, entry = [name for name in raw.split(",") if name], entry_of(values["translator"])
    here = head_names(entry.n_decoder_layers or entry.n_layers, entry.n_decoder_heads or entry.n_heads)
    if not all(name in here for name in named):
        raise ValueError(WORDS.text("inputs.bad_heads"))
    return named


def heads_named(names: list[str]) -> list[tuple[int, int]]:
    """(layer, head) of "1.2" each."""
    return [(int(layer), int(head)) for layer, head in (name.split(".") for name in names)]


def _best(which: int) -> Callable[[Earlier], int]:
    return lambda values: int(card_of(values["translator"]).best_head[which])


TRANSLATOR = Param("translator", TRANSLATORS[0], _translator, label="Translator", in_caption=False)
SOURCE = typed("source", STARTER, label="Source sentence", in_caption=False)
TRANSLATION = typed("translation", "", label="Target sentence", in_caption=False)
CROSS_LAYER = whole("cross_layer", high=_last_layer, default=_best(0), label="Layer", in_caption=False)
CROSS_HEAD = whole("cross_head", high=_last_head, default=_best(1), label="Head", in_caption=False)
ROWS = choice("rows", WORDS.table("lines.rows"), label="Rows")
ALIGN = Param("align", [], _heads, ",".join, label="Mean of heads")
PARAMS = [
    TRANSLATOR,
    SOURCE,
    TRANSLATION,
    CROSS_LAYER,
    CROSS_HEAD,
    whole("row", high=lambda values: entry_of(values["translator"]).limit, optional=True),
    ROWS,
    ALIGN,
]


def choose_row(row: int | None) -> None:
    """Callback: another produced word is looked at."""
    if row is not None:
        st.session_state["row"] = row


def open_head(layer: int, head: int) -> None:
    """Callback: another cross head is looked at."""
    st.session_state["cross_layer"], st.session_state["cross_head"] = layer, head


def ask(page: Page) -> Translation:
    """The two sentences and the model; waits for the translation."""
    with st.container(key="ask"):
        left, right = st.columns([79, 21], gap="small")
        with left:
            placeholder = WORDS.text("inputs.source")
            controls.sentence(SOURCE, placeholder, on_change=_afresh, labelled=True)
        with right:
            controls.model_picker(TRANSLATOR, TRANSLATORS, _title, on_change=_afresh, labelled=True)
        placeholder = WORDS.text("inputs.target")
        controls.sentence(TRANSLATION, placeholder, on_change=_afresh, labelled=True)
    if not st.context.is_embedded:
        _offers(page.state["translator"])
    return _translated(replace(page, remarks=st.container(key="said_below")))


def _title(name: str) -> str:
    return CATALOGUE[name].title if name in CATALOGUE else name


def _afresh() -> None:
    """A row of one translation is no row of the next."""
    st.session_state["row"] = None


def _take(example: str) -> None:
    st.session_state["source"], st.session_state["translation"] = example, ""
    _afresh()


def _offers(translator: str) -> None:
    """Sentences that fit the model, and the words that it knows."""
    examples = card_of(translator).examples or card_of("tiny-translator").examples
    with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html(f'<span class="hl-try">{WORDS.html("inputs.examples")}</span>', width="content")
        for i, example in enumerate(examples):
            st.button(example, key=f"example_{i}", on_click=_take, args=(example,))
        known_words.popover(translator)


def _translated(page: Page) -> Translation:
    """The trace of the source and of what was written: the model's own words, or the visitor's."""
    name, target = page.state["translator"], page.state["translation"]
    model = page.model(name)
    with page.problems():
        text = translation.as_read(model.value(), page.state["source"])
        source = model.read(text)
        ended = True
        if not target.strip():
            written = passes.translated(model, source)
            target, ended = written.ids, written.ended
    trace = page.trace(text, name, target=target)
    read = trace.stream("decoder").tokens
    with page.remarks:
        _say_what_was_cut(source, read)
        known_words.explain_marks(name, [*source.labels, *read.labels])
    end = str(model.tokenizer.eos_token) if ended else None
    return Translation(
        trace,
        read.labels,
        translation.produced(read.labels, end),
        layer_asked=page.state["cross_layer"],
        head_asked=page.state["cross_head"],
        row_asked=page.state["row"],
        names_rows=page.state["rows"],
    )


def _say_what_was_cut(source: Tokens, target: Tokens) -> None:
    if source.is_cut:
        widgets.note(WORDS.text("inputs.cut.source", tokens=source.cut_after, left_out=source.left_out))
    if target.is_cut:
        widgets.note(WORDS.text("inputs.cut.target", tokens=target.cut_after, left_out=target.left_out))
