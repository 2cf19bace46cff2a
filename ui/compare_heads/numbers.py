"""The numbers of a comparison, drawn: what differs between two panels, what each is like, and what can be saved."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.heads import measures
from attn_core.heads.measures import Measure
from attn_core.heads.summary import summarise_head
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, two_digits
from attn_core.views.snippets import compare as snippets
from ui import words
from ui.compare_heads import differences
from ui.compare_heads.panels import Panel, PanelSet
from ui.compare_heads.specs import SHUFFLES
from ui.drawing import markup, widgets
from ui.page import Page
from ui.server import derived
from ui.shell import save_files
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.stream_links import card_link, score_link

if TYPE_CHECKING:
    from attn_core.views.derived_checks import DerivedCheck

WORDS = words.beside(__file__)


def head_links(panels: PanelSet) -> None:
    """From every panel that shows a head to why it looks there in that sentence, and to its card."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="page_links"):
        for panel in panels.panels:
            if panel.spec.shows == "head":
                name = f"{panel.layer}.{panel.spec.head}"
                there = panel.spec.in_link
                label = WORDS.text("numbers.why", panel=panel.letter, head=name)
                score_link(panel.viewed, panel.layer, panel.spec.head, label, **there)
                card_link(panel.viewed, panel.layer, panel.spec.head, WORDS.text("numbers.card", head=name), **there)


def patching_link(panels: PanelSet) -> None:
    """From a pair of sentences in one model to Patching: what of the first moves the second one's answer?"""
    first, second = (panel.spec for panel in panels.paired)
    if first.model == second.model and first.text != second.text and first.second == second.second:
        there = {**first.in_link, "layer": first.layer, "head": first.head}
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="page_links_patching"):
            st.html(f'<span class="hl-try">{WORDS.html("numbers.minimal_pair")}</span>', width="content")
            go("patching", WORDS.text("numbers.patch"), ("second", second.text), **there)


def pair_numbers(panels: PanelSet) -> None:
    """What differs between the pair: overall, and by query."""
    found = panels.difference
    if found is None:
        widgets.note(WORDS.text("numbers.no_common_word"))
        return
    first, second = (panel.letter for panel in panels.paired)
    most = differences.word_at(panels, int(panels.rows[found.most_changed]))
    widgets.number_row(
        [
            (f"{found.overall:.2f}", WORDS.text("numbers.distance", first=first, second=second)),
            (two_digits(found.correlation), WORDS.text("numbers.correlation")),
            (most, WORDS.text("numbers.most")),
        ]
    )
    queries = [differences.word_at(panels, int(place)) for place in panels.rows]
    table = pd.DataFrame({"query": queries, "distance": found.rows})
    bar = st.column_config.ProgressColumn("Jensen–Shannon distance", format="%.3f", min_value=0, max_value=1)
    widgets.table(
        table,
        hide_index=True,
        height=min(300, 38 + 35 * len(table)),
        column_config={"distance": bar},
        alt=WORDS.text("numbers.rows_alt"),
    )


# Of the whole pattern: a panel may show a mean of heads, or a model's sentence without a sink.
PANEL_MEASURES = (
    Measure(
        "entropy",
        "entropy",
        "how widely it looks, the sink included: 0 bits is one token, 3 bits as wide as eight even ones",
        "bits",
        "Clark et al. 2019, section 3.3",
        lambda read: measures.entropy(read.pattern),
    ),
    measures.MEASURES["sink"],
)


def panel_measures(panels: PanelSet) -> None:
    """Each panel in numbers: how widely it looks and how much rests on the sink, over the whole sentence."""
    rows = [(panel.letter, *_measured(panel), panel.viewed.sink_name or "none") for panel in panels.panels]
    widgets.table(
        pd.DataFrame(rows, columns=["panel", *(measure.title for measure in PANEL_MEASURES), "sink"]),
        hide_index=True,
        column_config={measure.title: widgets.measure_column(measure) for measure in PANEL_MEASURES},
        alt=WORDS.text("numbers.panels_alt"),
    )


def _measured(panel: Panel) -> list[float]:
    """The number of every measure as a table shows it: the mean over the queries that are words."""
    asks = ~np.array(panel.viewed.queries.special)  # [query]
    if not asks.any():
        return [float("nan")] * len(PANEL_MEASURES)
    special = np.array(panel.viewed.keys.special, dtype=bool)
    reading = measures.Reading(panel.pattern[None, asks], panel.viewed.sink, special, None)
    values = [measure.of(reading) for measure in PANEL_MEASURES if measure.of is not None]
    return [
        measure.factor * float("nan" if value is None else value.mean())
        for measure, value in zip(PANEL_MEASURES, values, strict=True)
    ]


def matters_card() -> AbstractContextManager[object]:
    """The card about the chosen word in each panel."""
    return widgets.card("matters", WORDS.html("matters.card"), WORDS.html("matters.hint"))


def summaries(panels: PanelSet) -> None:
    """Does this head matter to the chosen word? For every panel that shows one head of a model."""
    columns = st.columns(len(panels.panels), gap="medium")
    for i, (column, panel) in enumerate(zip(columns, panels.panels, strict=True)):
        query = panels.position(i, panels.place)
        with column:
            if query is None:
                widgets.heading(WORDS.html("matters.nothing", panel=panel.letter))
            else:
                word = markup.query(visible(panel.viewed.queries.labels[query]))
                widgets.heading(WORDS.html("matters.title", panel=panel.letter, who=panel.spec.says, word=word))
                _summary(panel, query)


def derived_checks(panels: PanelSet) -> list[DerivedCheck]:
    """The panels side by side, and passes with a head switched off in the models that have one here."""
    return [panels.check(), *derived.switched_off(*(p.viewed.model for p in panels.panels if _can_be_off(p)))]


def _can_be_off(panel: Panel) -> bool:
    """A mean, or a head over shuffled words, cannot be switched off."""
    return panel.spec.shows in ("head", "random")


def _summary(panel: Panel, query: int) -> None:
    """One panel's head in numbers."""
    viewed = panel.viewed
    if _can_be_off(panel):
        found = summarise_head(viewed.reader, viewed.run, panel.layer, panel.spec.head, query)
        widgets.number_row(found.parts(), found.effect.says)
        return
    row, name = panel.pattern[query], viewed.sink_name
    on_sink = [(percent(float(row[viewed.sink].sum())), WORDS.text("matters.on_sink", sink=name))] if name else []
    widgets.number_row([*on_sink, (f"{float(measures.entropy(row)):.1f} bits", "entropy")])


def row_table(panels: PanelSet) -> None:
    """The chosen query's row of every panel as numbers."""
    table = differences.row_table(panels)

    def draw() -> None:
        form = {column: st.column_config.NumberColumn(format="%.2f %%") for column in table.columns[1:]}
        height, alt = min(320, 38 + 35 * len(table)), WORDS.text("numbers.row_alt")
        widgets.table(table, hide_index=True, height=height, column_config=form, alt=alt)

    fold(WORDS.text("matters.row"), "numbers_row", draw)


def offer(page: Page, panels: PanelSet) -> None:
    """Let the visitor save each panel that is a head, or a mean, of one pass; and the numbers of all panels."""
    views = {}
    for i, panel in enumerate(panels.panels):
        mean = panel.spec.shows == "mean" and panel.viewed.reader.name == "self"
        if mean or panel.spec.shows == "head":
            views[panel.letter] = page.save_menu.view(
                panel.viewed.trace,
                layer=panel.layer,
                head=panel.spec.head,
                stream=panel.viewed.stream,
                mean="heads" if mean else "one",
                scale=page.state["scale"],
                query=panels.position(i, panels.place),
            )
    page.save_menu.add_views(views, save_files.Numbers(WORDS.text("numbers.csv"), lambda: differences.as_csv(panels)))


def offer_pictures(page: Page, panels: PanelSet) -> None:
    """The page's end: its pictures, each panel told in the caption."""
    texts = dict.fromkeys(text for panel in panels.panels for text in (panel.spec.text, panel.spec.second) if text)
    page.offer_pictures(*map(differences.in_words, panels.panels), sentences=list(texts), lines=_lines(panels))


def _lines(panels: PanelSet) -> str:
    """The lines of Python that give the pattern of every panel."""
    return snippets.compared(
        [
            snippets.ComparedPanel(
                panel.letter.lower(),
                panel.viewed.trace,
                panel.spec.model,
                panel.viewed.reader.name,
                panel.layer,
                panel.spec.head,
                panel.spec.shows,
                SHUFFLES,
            )
            for panel in panels.panels
        ]
    )
