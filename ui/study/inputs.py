"""What a study reads: boxes to type in, or a file and its columns; and a rule of the visitor's own."""

from __future__ import annotations

from typing import cast

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.settings import is_public, settings
from attn_core.study.data_sets import data_set
from attn_core.study.painted_rules import PaintedRule
from attn_core.study.texts import KINDS, USUAL, Columns, Table, kind_of, table, table_at
from ui import words
from ui.drawing import controls, widgets
from ui.server import shared
from ui.shell.folds import folded
from ui.study import asked as asking
from ui.study.asked import Asked
from ui.study.params import (
    DATA_SET,
    FOLDER,
    FROM,
    OTHERS,
    RULE_FROM,
    RULE_TO,
    RULE_WHERE,
    SENTENCES,
    SPLIT,
    SUBSET,
    TWO,
    ways,
)

WORDS = words.beside(__file__)
WHOLE, HALF = 300, 160  # pixels of one box, and of each of two
UPLOADS = [kind for kind in KINDS if kind not in ("parquet", "arrow")]  # what can be read without unpacking


def ask() -> Asked | None:
    """The card of the sentences; None, with a reason, where there are none to read."""
    with widgets.card("sentences", WORDS.html("input.title"), WORDS.html("input.hint")):
        try:
            found = _FROM[controls.switch(FROM, ways())]()
            rule, kept = _rule(), _kept()
        except HeadlightError as reason:
            widgets.note(str(reason))
            return None
        if found is not None and found.left_out:
            widgets.note(WORDS.text("input.left_out", most=asking.limit(), n=found.left_out))
    return None if found is None else found.with_rule(rule, kept)


def _from_boxes() -> Asked:
    two = bool(st.session_state[TWO.name])
    first = controls.lines(SENTENCES, WORDS.text("input.placeholder"), height=HALF if two else WHOLE)
    others = controls.lines(OTHERS, WORDS.text("input.placeholder"), height=HALF) if two else None
    controls.toggle(TWO)
    return asking.typed(first, others)


def _from_file() -> Asked | None:
    largest = settings().upload_mb
    st.html(f'<div class="hl-hint">{WORDS.html("input.file_hint")}</div>')
    file = st.file_uploader(WORDS.text("labels.file"), type=UPLOADS, key="study_file", max_upload_size=largest)
    if file is None:
        widgets.note(WORDS.text("input.no_file"))
        return None
    if file.size > largest * 2**20:  # a browser keeps to it; who sends files otherwise need not
        raise HeadlightError(WORDS.text("input.too_large", most=largest))
    kind = kind_of(file.name)
    if kind not in UPLOADS:
        kind = "txt"
    found = table(file.getvalue(), kind, most=asking.limit() + 1)
    return _of_columns(found)


def _from_folder() -> Asked | None:
    path = controls.text(FOLDER, WORDS.text("input.folder_example"), labelled=True).strip()
    if not path:
        widgets.note(WORDS.text("input.folder_hint"))
        return None
    return _of_columns(table_at(path, most=asking.limit() + 1), f"table_at({path!r}, most={asking.limit()})")


def _from_data_set() -> Asked | None:
    """A data set of the hub: fetched at a click, since a link alone should fetch nothing, and then kept."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        name = controls.text(DATA_SET, WORDS.text("input.data_set_example"), width=200, labelled=True).strip()
        subset = controls.text(SUBSET, WORDS.text("input.subset_example"), width=120, labelled=True).strip()
        split = controls.text(SPLIT, WORDS.text("input.split_example"), width=120, labelled=True).strip()
    key = ("data set", name, subset, split, asking.limit())
    found = cast("Table | None", shared.STATE.traces.get(key))
    if found is None:
        label = WORDS.text("input.fetch", n=asking.limit())
        if not st.button(label, key="fetch_data_set", type="primary", disabled=not name):
            widgets.note(WORDS.text("input.data_set_hint"))
            return None
        with st.spinner(WORDS.text("input.fetching", name=name)):
            found = data_set(name, subset, split, most=asking.limit() + 1)
        shared.STATE.traces.put(key, found, sum(len(value) for column in found.values() for value in column))
        st.rerun()
    return _of_columns(found, f"data_set({name!r}, {subset!r}, {split!r}, most={asking.limit()})")


_FROM = {"typed": _from_boxes, "file": _from_file, "folder": _from_folder, "data_set": _from_data_set}


def _of_columns(found: Table, read: str = "") -> Asked:
    """Which columns hold sentences, second ones, groups and labels, and which two groups are compared.

    `read` is how Python says the table, where it can.
    """
    names = list(found)
    if not names:
        raise HeadlightError(WORDS.text("input.no_file"))
    usual = next((names.index(name) for name in USUAL if name in names), 0)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        column = st.selectbox(WORDS.text("labels.column"), names, index=usual, key="study_column", width=190)
        second = _optional_column(WORDS.text("labels.second_texts"), names, "study_second_column")
        group = _optional_column(WORDS.text("labels.group"), names, "study_group")
        labels = _optional_column(WORDS.text("labels.labels"), names, "study_labels")
        compared = None
        if group:
            values = asking.groups_of(found, group)
            first = st.selectbox(WORDS.text("labels.first"), values, index=0, key="study_first", width=150)
            rest = [value for value in values if value != first]
            compared = first, st.selectbox(WORDS.text("labels.second"), rest, index=0, key="study_second", width=150)
    return asking.of_table(found, Columns(column, second, group, labels), compared, read)


def _optional_column(label: str, names: list[str], key: str) -> str:
    none = WORDS.text("labels.none")
    chosen = st.selectbox(
        label, range(-1, len(names)), format_func=lambda i: none if i < 0 else names[i], key=key, width=150
    )
    return "" if chosen is None or chosen < 0 else names[chosen]


def _rule() -> PaintedRule | None:
    """The visitor's own rule, folded away until it is wanted."""
    place = folded(WORDS.text("rule.title"), "own_rule")
    if place.open:
        with place:
            st.html(f'<div class="hl-hint">{WORDS.html("rule.hint")}</div>')
            with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
                controls.text(RULE_FROM, WORDS.text("rule.from_placeholder"), width=190, labelled=True)
                controls.text(RULE_TO, WORDS.text("rule.to_placeholder"), width=190, labelled=True)
                controls.pick(RULE_WHERE, width=200, labelled=True)
    said = (str(st.session_state[each.name]) for each in (RULE_FROM, RULE_TO, RULE_WHERE))
    return asking.rule(*said)


def _kept() -> bytes:
    """The file of a study that was saved before; a stranger's is not taken, since it would have to be unpacked."""
    if is_public():
        return b""
    place = folded(WORDS.text("kept.title"), "kept_study")
    if not place.open:
        return b""
    largest = settings().upload_mb  # a study of 72 heads has 4 MB, one of 270 heads 13
    with place:
        st.html(f'<div class="hl-hint">{WORDS.html("kept.hint")}</div>')
        file = st.file_uploader(
            WORDS.text("kept.label"), type=["parquet"], key="kept_study_file", max_upload_size=largest
        )
    return b"" if file is None else file.getvalue()
