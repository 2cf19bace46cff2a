"""The pocket-size head: its six tables as editors, and the visitor's numbers in the link.

A link carries only the cells that differ from the toy as it was made: "w_q.0.1:3;tokens.2.4:-1.5".
"""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import pandas as pd
import streamlit as st

from attn_core.walkthrough import toy
from attn_core.walkthrough.toy import Toy
from ui.param import Param, whole
from ui.step_by_step.subject import StepSubject

LARGEST = 1000.0
TITLES = {
    "tokens": "What each word means",
    "places": "What each place adds",
    "w_q": "W_Q: what makes a query",
    "w_k": "W_K: what makes a key",
    "w_v": "W_V: what a word can pass on (value down)",
    "w_o": "W_O: back to the six numbers (value up)",
}


def read(raw: str) -> Toy:
    """The toy with the cells that a link names changed; raises ValueError for what cannot be."""
    numbers = toy.toy()
    parts = [part for part in raw.split(";") if part]
    if len(parts) > sum(getattr(numbers, name).numel() for name in Toy.tables()):
        raise ValueError("the pocket-size head has fewer cells")
    for part in parts:
        try:
            place, value = part.split(":")
            name, row, column = place.split(".")
            changed = getattr(numbers, name).clone() if name in Toy.tables() else None
            cell, number = (int(row), int(column)), float(value)
        except (ValueError, AttributeError):
            raise ValueError("its cells are written like w_q.0.1:3") from None
        if changed is None or not (0 <= cell[0] < changed.shape[0] and 0 <= cell[1] < changed.shape[1]):
            raise ValueError(f"the pocket-size head has no cell {place[:20]}")
        if not abs(number) <= LARGEST:
            raise ValueError(f"its numbers go from −{LARGEST:.0f} to {LARGEST:.0f}")
        changed[cell] = number
        numbers = numbers.with_table(name, changed)
    return numbers


def written(numbers: Toy) -> str:
    """The cells that differ from the toy as it was made, as a link says them."""
    original = toy.toy()
    cells = []
    for name in Toy.tables():
        table, made = getattr(numbers, name), getattr(original, name)
        for row, column in (table != made).nonzero().tolist():
            cells.append(f"{name}.{row}.{column}:{float(table[row, column]):g}")
    return ";".join(cells)


# The visitor's numbers, "" for the toy as it was made, and the two words that are walked through.
PARAMS = [
    whole("toy_word", high=4, default=3),
    whole("toy_answer", high=4, optional=True),
    Param("toy", "", lambda raw, earlier: written(read(raw))),
]


def editors(subject: StepSubject, *names: str) -> None:
    """The tables of a step, side by side, every cell open to change."""
    assert subject.toy is not None
    for place, name in zip(st.columns(len(names), gap="medium"), names, strict=True):
        with place:
            st.html(f'<div class="hl-says"><b>{TITLES[name]}</b></div>')
            _editor(subject.toy, name)


def _editor(numbers: Toy, name: str) -> None:
    """One table; it starts from what `_start` keeps, so that Streamlit's own record of edits fits it."""
    start = _start(numbers, name)
    key = f"edit_{name}_{st.session_state['toy_version']}"
    frame = pd.DataFrame(getattr(start, name).numpy(), index=_rows(name), columns=_columns(name))
    st.data_editor(
        frame,
        key=key,
        num_rows="fixed",
        on_change=partial(_edited, name, key),
        column_config={
            column: st.column_config.NumberColumn(min_value=-LARGEST, max_value=LARGEST, required=True, format="%g")
            for column in frame.columns
        },
        row_height=30,
        alt=TITLES[name],
    )


def _start(numbers: Toy, name: str) -> Toy:
    """What the editors were opened with; a link that says something else opens them anew."""
    if st.session_state.get("toy_numbers") != written(numbers):
        st.session_state["toy_numbers"] = written(numbers)
        st.session_state["toy_opened_with"] = written(numbers)
        st.session_state["toy_version"] = st.session_state.get("toy_version", 0) + 1
    return read(st.session_state["toy_opened_with"])


def _edited(name: str, key: str) -> None:
    """Callback: take an editor's changes over into the link's parameter."""
    numbers = read(st.session_state["toy"])
    table = getattr(read(st.session_state["toy_opened_with"]), name).clone()
    for row, changes in st.session_state[key]["edited_rows"].items():
        for column, value in changes.items() if isinstance(changes, dict) else ():
            if row in range(len(table)) and column in _columns(name) and _is_number(value):
                table[row, _columns(name).index(column)] = float(value or 0)
    numbers = numbers.with_table(name, table.clamp(-LARGEST, LARGEST))
    st.session_state["toy"] = st.session_state["toy_numbers"] = written(numbers)


def _is_number(value: object) -> bool:
    """Whether an editor's browser could have sent it: a finite number, or nothing."""
    return value is None or (type(value) in (int, float) and math.isfinite(cast("float", value)))


def reset() -> None:
    """Callback: the toy as it was made."""
    st.session_state["toy"] = ""
    st.session_state["toy_numbers"] = None


def _rows(name: str) -> list[str]:
    if name == "tokens":
        return list(toy.WORDS)
    if name == "places":
        return [f"place {i}" for i in range(len(toy.WORDS))]
    return ["number 0", "number 1"] if name == "w_o" else list(toy.MEANINGS)


def _columns(name: str) -> list[str]:
    return list(toy.MEANINGS) if name in ("tokens", "places", "w_o") else ["number 0", "number 1"]
