"""The cards of a study: the map of means, the sentences at both ends, the list, the scatter, two groups compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attn_core.figures.charts.scatter import scatter
from attn_core.heads.measures import Measure
from attn_core.settings import settings
from attn_core.text.decoding import visible
from ui import words
from ui.drawing import canvas, controls, gallery, markup, widgets
from ui.drawing.events import chosen_row
from ui.shell import save_files
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.stream_links import open_head
from ui.study import kept, reading
from ui.study.params import ACROSS, BETWEEN, MEASURE, UP

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

    from attn_core.study.result import StudyResult
    from ui.page import Page

WORDS = words.beside(__file__)
SHOWN, LONGEST = 5, 110  # sentences at either end that are links, and characters of one


@dataclass(frozen=True)
class StudyView:
    """What the cards look at: a result's table, one stream and measure of it, and the opened head."""

    page: Page
    result: StudyResult
    frame: pd.DataFrame
    stream: str
    measures: tuple[str, ...]
    measure: Measure
    layer: int
    head: int
    groups: tuple[str, str] | None
    compared: pd.DataFrame | None

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.head}"

    @property
    def rows(self) -> pd.DataFrame:
        return reading.of_measure(self.frame, self.stream, self.measure.name)


def overview(shown: StudyView) -> None:
    """The map of means of one measure, and the sentences behind the opened head."""
    with widgets.card("map", WORDS.html("map.title"), WORDS.html("map.hint")):
        controls.pick(MEASURE, shown.measures, _title_in(shown), width=230, labelled=True)
        _map(shown)
    says = WORDS.html("ends.hint", title=shown.measure.title, meaning=shown.measure.meaning)
    with widgets.card("ends", WORDS.html("ends.title", head=shown.name), says):
        _ends(shown)


def below(shown: StudyView) -> None:
    """All cards below the sentences and the map."""
    if shown.groups is not None and shown.compared is not None:
        first, second = shown.groups
        title = WORDS.html("groups.title", first=first, second=second)
        with widgets.card("groups", title, WORDS.html("groups.hint", first=first, second=second)):
            _groups(shown, shown.groups, shown.compared)
    left, right = st.columns([44, 56], gap="medium")
    with left, widgets.card("list", WORDS.html("list.title"), WORDS.html("list.hint")):
        _list(shown)
    with right, widgets.card("scatter", WORDS.html("scatter.title"), WORDS.html("scatter.hint")):
        _scatter(shown)
    canvas.follow_theme()


def _title_in(shown: StudyView) -> Callable[[str], str]:
    titles = {name: reading.measure(name, shown.result).title for name in shown.measures}
    return titles.__getitem__


def _map(shown: StudyView) -> None:
    """Layers × heads by the mean of a measure; a click opens a head."""
    name = reading.in_unit(shown.measure)
    canvas.overview(
        reading.map_packet(reading.in_map(shown.rows, "mean"), shown.measure, name),
        key="study_map",
        picture=WORDS.text("map.picture"),
        says=WORDS.text("map.says", name=name, n=shown.result.n),
        selected=(shown.layer, shown.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def _ends(shown: StudyView) -> None:
    """The sentences where the opened head does it most and least: links into All heads, and all in numbers."""
    found = shown.result.values(shown.layer, shown.head, shown.measure.name, shown.stream)
    if found.empty:
        widgets.note(WORDS.text("ends.none"))
        return
    most = found.head(min(SHOWN, -(-len(found) // 2)))
    least = found.iloc[::-1].head(min(SHOWN, len(found) // 2))
    widgets.heading("", WORDS.html("ends.most"))
    _sentences(shown, most, "most")
    if len(least):
        widgets.heading("", WORDS.html("ends.least"))
        _sentences(shown, least, "least")
    texts = [_said(text) for text in found.text]
    table = pd.DataFrame({"value": shown.measure.factor * found.value, "sentence": texts})
    column = widgets.measure_column(shown.measure)
    fold(
        WORDS.text("ends.fold"),
        "study_ends",
        partial(
            widgets.table,
            table,
            hide_index=True,
            height=282,
            column_config={"value": column},
            alt=WORDS.text("ends.alt"),
        ),
    )


def _texts(text: str | tuple[str, str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _said(text: str | tuple[str, str]) -> str:
    """A sentence or pair on one line, with whatever nobody could see in it made visible."""
    return " ".join(visible(word) for word in f" {BETWEEN} ".join(_texts(text)).split())


def _sentences(shown: StudyView, found: pd.DataFrame, end: str) -> None:
    """Sentences with their values; each opens where its head is looked at, if it fits into a link."""
    with st.container(key=f"page_links_{end}", gap=None):
        for row in found.itertuples():
            texts = _texts(row.text)
            said = _said(row.text)
            said = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
            line = WORDS.text("ends.line", value=reading.value(shown.measure, row.value), text=said)
            fits = all(len(text) <= settings().link_characters for text in texts)
            if fits and shown.stream == "self":
                pair = {"second_text": texts[1]} if len(texts) > 1 else {}
                go("all_heads", markup.in_label(line), text=texts[0], **pair, layer=shown.layer, head=shown.head)
            elif fits:
                target = {"target": texts[1]} if len(texts) > 1 else {}
                at = {"layer": shown.layer, "head": shown.head, "stream": shown.stream}
                go("cross_attention", markup.in_label(line), text=texts[0], **target, **at)
            else:
                widgets.note(line)


def _list(shown: StudyView) -> None:
    """The heads as rows, the highest mean first; choosing one opens it. And all measures as files."""
    table = reading.ranked(shown.rows, shown.measure)

    def opened() -> None:
        row = chosen_row(st.session_state["study_list"], len(table))
        if row is not None:
            open_head(*map(int, table["head"][row].split(".")))

    widgets.table(
        table,
        key="study_list",
        hide_index=True,
        height=min(420, 38 + 35 * len(table)),
        column_config={name: _column(name, shown.measure) for name in ("mean", "low", "high")},
        on_select=opened,
        selection_mode="single-row",
        alt=WORDS.text("list.alt"),
    )
    with st.container(horizontal=True, gap="small"):
        csv, parquet = WORDS.text("list.csv"), WORDS.text("list.parquet")
        save_files.button("csv", partial(_csv, shown.frame), "headlight-study.csv", key="study_csv", label=csv)
        name = "headlight-study.parquet"
        save_files.button("parquet", partial(_parquet, shown.frame), name, key="study_parquet", label=parquet)
        whole, why, label = partial(kept.content, shown.result), WORDS.text("list.study_why"), WORDS.text("list.study")
        save_files.button("parquet", whole, "headlight-study-file.parquet", key="study_whole", label=label, why=why)


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


def _parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


def _column(title: str, measure: Measure) -> ColumnConfig:
    return st.column_config.NumberColumn(title, format=measure.column_format)


def _scatter(shown: StudyView) -> None:
    """All heads by the means of two measures."""
    with st.container(horizontal=True, gap="small"):
        chosen = [
            controls.pick(axis, shown.measures, _title_in(shown), width=200, labelled=True) for axis in (ACROSS, UP)
        ]
    x, y = (reading.measure(name, shown.result) for name in chosen)
    across, up = (reading.of_measure(shown.frame, shown.stream, each.name) for each in (x, y))
    figure = partial(
        scatter,
        across["mean"].to_numpy(),
        up["mean"].to_numpy(),
        across.layer.tolist(),
        reading.names(across),
        axes=(x.axis, y.axis),
        height=390,
    )
    gallery.plot(
        WORDS.text("scatter.title"),
        figure,
        key="study_scatter",
        says=WORDS.text("scatter.says", n=shown.result.n, x=x.axis, y=y.axis),
        alt=WORDS.text("scatter.alt", x=x.axis, y=y.axis),
    )


def _groups(shown: StudyView, groups: tuple[str, str], compared: pd.DataFrame) -> None:
    """How far every head differs between two groups, as a map and as a list."""
    first, second = groups
    rows = reading.of_measure(compared, shown.stream, shown.measure.name)
    if rows.difference.isna().all():
        widgets.note(WORDS.text("lead.unknown", first=first, second=second, title=shown.measure.title))
        return
    name = WORDS.text("groups.name", title=reading.in_unit(shown.measure), first=first, second=second)
    left, right = st.columns([46, 54], gap="medium")
    with left:
        canvas.overview(
            reading.map_packet(reading.in_map(rows, "difference"), shown.measure, name, is_difference=True),
            key="study_groups",
            picture=WORDS.text("groups.picture"),
            says=WORDS.text("groups.says", name=reading.in_unit(shown.measure), first=first, second=second),
            selected=(shown.layer, shown.head),
            on_open=lambda tile: open_head(tile.layer, tile.head),
        )
    with right:
        table = reading.differences(rows, shown.measure, groups)
        plain = {name: st.column_config.NumberColumn(format="%.2g") for name in ("p", "q")}
        own = {name: _column(name, shown.measure) for name in table.columns[1:] if name not in plain}
        widgets.table(table, hide_index=True, height=320, column_config={**own, **plain}, alt=WORDS.text("groups.alt"))
        label = WORDS.text("groups.csv")
        save_files.button(
            "csv", partial(_csv, compared), "headlight-study-groups.csv", key="study_groups_csv", label=label
        )
