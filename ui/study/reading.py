"""What a study says: headline, table and map of a measure, two groups, the sentences at both ends. No Streamlit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_values
from attn_core.heads.measures import Measure
from attn_core.study.bootstrap import FEWEST
from attn_core.study.measures import MEASURES, measure_of
from attn_core.text.numbers import percent, signed
from ui import words
from ui.study.params import RULE

if TYPE_CHECKING:
    from attn_core.study.result import StudyResult
    from ui.study.computing import Read

WORDS = words.beside(__file__)
SURE = 0.05  # q below which a difference is called one


def measure(name: str, result: StudyResult) -> Measure:
    """A measure of the study as people read it; the visitor's own rule has a title of its own."""
    found = MEASURES.get(name) or measure_of(name, result.about.rules)
    if name != RULE:
        return found
    return Measure(RULE, WORDS.text("rule.measure"), found.meaning, found.unit, found.source)


def offered(result: StudyResult, stream: str) -> list[str]:
    """The measures that have a number in this stream."""
    frame = result.frame()
    there = frame[(frame.stream == stream) & (frame.n > 0)].measure
    return [name for name in result.about.layout.measures if (there == name).any()]


def value(of: Measure, number: float) -> str:
    """A number of a measure as it is read: "41 %", "3.04 bits"."""
    if math.isnan(number):
        return "–"
    return percent(number) if of.unit == "share" else of.column_format % number


def of_measure(frame: pd.DataFrame, stream: str, name: str) -> pd.DataFrame:
    """The rows of one measure in one stream, in the order of layers and heads."""
    return frame[(frame.stream == stream) & (frame.measure == name)].reset_index(drop=True)


def names(table: pd.DataFrame) -> list[str]:
    return [f"{row.layer}.{row.head}" for row in table.itertuples()]


def headline(table: pd.DataFrame, of: Measure) -> Markup:
    """The head with the highest mean, and how sure that is; `table` has the rows of one measure."""
    if not (table.n > 0).any():
        return WORDS.html("lead.nothing", title=of.title)
    best = table.loc[table["mean"].idxmax()]
    head, mean = f"{best.layer}.{best['head']}", value(of, best["mean"])
    if math.isnan(best.low):
        return WORDS.html("lead.best", n=int(best.n), head=head, title=of.title, mean=mean)
    low, high = value(of, best.low), value(of, best.high)
    return WORDS.html("lead.sure", n=int(best.n), head=head, title=of.title, mean=mean, low=low, high=high)


def differing(table: pd.DataFrame, of: Measure, groups: tuple[str, str]) -> Markup:
    """How many heads differ between two groups, and which most surely; `table` has the rows of one measure."""
    first, second = groups
    if table.p.isna().all():
        return WORDS.html("lead.unknown", first=first, second=second, title=of.title)
    sure = table[table.q < SURE]
    if sure.empty:
        return WORDS.html("lead.same", first=first, second=second, title=of.title)
    best = sure.loc[sure.p.idxmin()]
    return WORDS.html(
        "lead.differ",
        words.how_many(len(sure)),
        first=first,
        second=second,
        n=len(sure),
        heads=len(table),
        title=of.title,
        head=f"{best.layer}.{best['head']}",
        a=value(of, best.mean_first),
        b=value(of, best.mean_second),
    )


def about(read: Read, model: str, frame: pd.DataFrame, rows: pd.DataFrame) -> Markup:
    """What was read, and what to keep in mind about it; `rows` are those of the chosen measure."""
    result = read.result
    heads = sum(layers * heads for _, layers, heads in result.about.layout.streams)
    parts = [WORDS.html("sub.read", n=result.n, heads=heads, model=model)]
    if result.duplicates:
        parts.append(WORDS.html("sub.duplicates", n=result.duplicates))
    if result.cut:
        parts.append(WORDS.html("sub.cut", n=result.cut))
    if result.unread:
        parts.append(WORDS.html("sub.unread", n=result.unread))
    if (rows.n < FEWEST).all():
        parts.append(WORDS.html("sub.few", few=FEWEST))
    if frame.attrs["empty_replicates"]:
        parts.append(WORDS.html("sub.empty", n=frame.attrs["empty_replicates"]))
    return words.together(*parts)


def in_unit(of: Measure) -> str:
    """ "sink, in %" """
    return WORDS.text("map.unit", of.unit, title=of.title)


def map_packet(values: np.ndarray, of: Measure, name: str, *, is_difference: bool = False) -> bytes:
    """Layers × heads by one number each, [layer, head]."""
    shown = of.factor * values
    texts = [[_in_square(number, is_difference) for number in row] for row in shown]
    return pack_values(values, texts, name=name, signed=is_difference)


def _in_square(number: float, is_difference: bool) -> str:
    if math.isnan(number):
        return "–"
    digits = 0 if abs(number) >= 9.95 else 1 if abs(number) >= 0.995 else 2
    return signed(round(number, digits)) if is_difference else f"{number:.{min(digits, 1)}f}"


def in_map(table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of one measure's rows as [layer, head]."""
    found: np.ndarray = table[column].to_numpy(dtype=float).reshape(table.layer.max() + 1, -1)
    return found


def ranked(table: pd.DataFrame, of: Measure) -> pd.DataFrame:
    """The list of heads, the highest mean first, in the measure's unit; with layer and head for who chooses a row."""
    found = table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    shown = pd.DataFrame({"head": names(found)})
    for column in ("mean", "low", "high"):
        shown[column] = of.factor * found[column]
    return shown.assign(n=found.n).dropna(axis=1, how="all")  # below 20 sentences there is no interval


def differences(table: pd.DataFrame, of: Measure, groups: tuple[str, str]) -> pd.DataFrame:
    """The list of heads by how surely they differ between two groups, in the measure's unit."""
    found = table.sort_values("p", kind="stable", ignore_index=True)
    shown = pd.DataFrame({"head": names(found)})
    titles = {"mean_first": groups[0], "mean_second": groups[1]} if groups[0] != groups[1] else {}
    for column in ("mean_first", "mean_second", "difference", "low", "high"):
        shown[titles.get(column, column)] = of.factor * found[column]
    return shown.assign(p=found.p, q=found.q).dropna(axis=1, how="all")
