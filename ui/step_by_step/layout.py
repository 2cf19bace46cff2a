"""What every step is made of: a numbered title, plain words, a formula with sizes, the numbers, and the source.

All HTML here is built of our own words; tokens go through `widgets.query` and its family, which escape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from ui import words
from ui.drawing import widgets
from ui.shell.folds import folded
from ui.step_by_step.sentences_scores import Term
from ui.step_by_step.subject import StepSubject, Words

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

WORDS = words.beside(__file__)
TITLES = tuple(WORDS.table("titles").values())


def step_header(
    step: int,
    *paragraphs: str,
    aside: str = "",
    formulas: Sequence[Sequence[Term]] = (),
    name: str = "",
    mark: str = "",
) -> None:
    """The step's number and name and what happens in it, and beside it the formula with its sizes; text is HTML."""
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    text += f'<p class="aside">{aside}</p>' if aside else ""
    html = f'<div class="hl-step" id="step-{step}"><i>{mark or step}</i><h2>{name or TITLES[step - 1]}</h2>{text}</div>'
    if not formulas:
        st.html(html)
        return
    left, right = st.columns([0.62, 0.38], gap="medium")
    left.html(html)
    right.html("".join(_formula(terms) for terms in formulas))


def paragraph(html: str, soft: bool = False) -> None:
    """A paragraph beside a picture; HTML."""
    st.html(f'<div class="hl-says{" soft" if soft else ""}">{html}</div>')


def _formula(terms: Sequence[Term]) -> str:
    """A formula whose symbols carry their sizes: "=" or ("W<sub>Q</sub>", "384 × 32", "q")."""
    spans = []
    for term in terms:
        symbol, size, role = (term, "", "") if isinstance(term, str) else (*term, "")[:3]
        spans.append(f'<span class="{role}"><em>{symbol}</em><small>{size or "&nbsp;"}</small></span>')
    return f'<div class="hl-formula">{"".join(spans)}</div>'


def worked(terms: Sequence[tuple[str, str]], result: str, role: str) -> None:
    """One number worked out: (what it is, "1.2 × 0.3 = +0.36") for each part, and the sum."""
    parts = "".join(f"<span><small>{escape(what)}</small> {escape(sum_)}</span>" for what, sum_ in terms)
    st.html(f'<div class="hl-sum">{parts}<span class="sum {role}">{escape(result)}</span></div>')


@contextmanager
def all_words(step: int, what: str) -> Iterator[bool]:
    """The place for pictures of all words, folded until asked for; says whether it is open."""
    place = folded(WORDS.text("layout.all_words", what=what), f"all_words_{step}", ":material/unfold_more:")
    with place:
        yield bool(place.open)


def numbers_and_code(
    subject: StepSubject,
    step: int,
    frame: Callable[[], pd.DataFrame],
    *stages: str,
    made_by: Sequence[Callable[..., object]] = (),
) -> None:
    """The numbers as a table, and the source of the very functions that made them; both folded until asked for.

    The functions are those that computed these `stages`, or `made_by` for what came before them.
    """
    left, right = st.columns(2)
    with left:
        said = WORDS.text("layout.numbers", step=step)
        table = folded(said, f"numbers_{step}", ":material/table:")
        if table.open:
            with table:
                widgets.table(frame(), alt=said)
    with right:
        code = folded(WORDS.text("layout.code", step=step), f"code_{step}", ":material/code:")
        if code.open:
            _sources(code, [made_by, *(subject.stages.ran.get(stage, ()) for stage in stages)])


def _sources(place: DeltaGenerator, called: Sequence[Sequence[Callable[..., object]]]) -> None:
    functions = list(dict.fromkeys(function for group in called for function in group))
    if not functions:
        place.html(f'<div class="hl-says soft">{WORDS.html("nothing_ran")}</div>')
    for function in functions:
        place.caption(f"{function.__module__.replace('.', '/')}.py")
        place.code(inspect.getsource(function), language="python")


def by_dimension(numbers: np.ndarray, words: Words, names: Sequence[str] = ()) -> pd.DataFrame:
    """Vectors as a table: one row a word, one column a number."""
    columns = list(names) if names else [str(i) for i in range(numbers.shape[1])]
    return pd.DataFrame(numbers, index=_places(words), columns=columns)


def by_pair(numbers: np.ndarray, queries: Words, keys: Words) -> pd.DataFrame:
    """A grid as a table: query rows, key columns; −∞ is written out, because a table has no colour for it."""
    frame = pd.DataFrame(numbers, index=_places(queries, "query "), columns=_places(keys, "key "))
    return frame if np.isfinite(numbers).all() else frame.map(lambda x: "−∞" if x == -np.inf else f"{x:.6g}")


def _places(words: Words, role: str = "") -> list[str]:
    return [f"{role}{i} {label}" for i, label in enumerate(words.labels)]
