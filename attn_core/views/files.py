"""Take a view away: its numbers (CSV, JSON, NPZ), its picture (PNG, SVG, PDF), or an offline HTML file that works.

Every file says what it shows: model, head, sentence, switches, version. An offline file remembers its link, so that
`read` can open the same view again.
"""

from __future__ import annotations

import csv as csv_files
import io
import json as json_files
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import starmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, runtime_checkable
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.lib.format import write_array, write_array_header_1_0

from attn_core.blocks import row_slices
from attn_core.errors import HeadlightError
from attn_core.figures.charts.heatmap import heatmap
from attn_core.figures.labels import SANS
from attn_core.text.pairs import SEGMENTS, segment_rows, segment_shares_of_blocks
from attn_core.traces.saved.changes_json import changes_to_json
from attn_core.views.view import View

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from attn_core.traces.reader import TraceReader


@runtime_checkable
class Vectors(Protocol):
    """What a live trace can be asked for besides: every head's vectors, [token, d_head]."""

    def query(self, layer: int, head: int) -> np.ndarray: ...

    def key(self, layer: int, head: int) -> np.ndarray: ...

    def value(self, layer: int, head: int) -> np.ndarray: ...


WIDTH = 760  # of a picture, in units
FORMATS = ("html", "png", "svg", "pdf", "csv", "json", "npz")
PICTURES = ("png", "svg", "pdf")
UNITS_PER_MM = 96 / 25.4
WIDTHS = {"column": 82.5, "page": 171.5}  # mm, of two-column proceedings
NARROWEST, WIDEST = 50, 400  # mm


def csv(view: View) -> str:
    """The shown head, one line a cell; a masked cell has no weight. The caption is the first line's last field. Of a
    pair each line says the segments too, "A" or "B"."""
    out = io.StringIO()
    csv_files.writer(out, lineterminator="\n").writerows(rows(view))
    return out.getvalue()


def rows(view: View) -> Iterator[list[Any]]:
    """The lines of the CSV, the header first, one at a time."""
    pair = view.segments
    of_pair = [] if pair is None else ["query_segment", "key_segment"]
    yield ["query", "query_token", "key", "key_token", *of_pair, "weight", "masked", "caption"]
    asks, answers = view.sides
    for q, k in np.ndindex(*view.pattern.shape):
        has_weight = bool(view.may_look[q, k] and np.isfinite(view.pattern[q, k]))
        where = [asks.places[q][0], asks.labels[q], answers.places[k][0], answers.labels[k]]
        where += [] if pair is None else [SEGMENTS[q >= pair.row], SEGMENTS[k >= pair.column]]
        weight = repr(float(view.pattern[q, k])) if has_weight else ""
        yield [*where, weight, "no" if has_weight else "yes", view.caption() if q == k == 0 else ""]


def json(view: View) -> str:
    """The shown head: labels, positions and `weights[query][key]`, null where masked; of a pair also where its second
    segment begins among the queries and keys, and the shares of attention."""
    asks, answers = view.sides
    has_weight = view.may_look & np.isfinite(view.pattern)
    content = {
        "caption": view.caption(),
        "changes": changes_to_json(view.trace.changes),
        "page": view.opens,
        "link": view.address(),
        "queries": [{"token": word, "positions": at} for word, at in zip(asks.labels, asks.places, strict=True)],
        "keys": [{"token": word, "positions": at} for word, at in zip(answers.labels, answers.places, strict=True)],
        "weights": [
            [float(weight) if may else None for weight, may in zip(row, may_look, strict=True)]
            for row, may_look in zip(view.pattern, has_weight, strict=True)
        ],
        **_pair(view),
    }
    return json_files.dumps(content, ensure_ascii=False, indent=1)


def _pair(view: View) -> dict[str, Any]:
    """What a JSON file says of a pair; nothing where one text was read."""
    if view.segments is None:
        return {}
    at = {"query": view.segments.row, "key": view.segments.column}
    return {"second_segment": at, "segment_shares": view.segments.by_name}


def npz(view: View) -> bytes:
    """Every head's numbers, over tokens and unarranged: `np.load(file)` gives

    `patterns` [layer, head, query, key], `may_look` [layer, query, key], `delta_e_sizes` [layer, head, query] and,
    of a live trace, `query`, `key`, `value` [layer, head, token, d_head]; `queries` and `keys` are the labels,
    `caption` says what it is, and `changes` what was done to the pass, as JSON (see `traces.changes`). Of a pair
    `second` is the token at which its second segment begins, and `segment_shares` [layer, head, query segment, key
    segment] how much attention each segment pays to each.
    """
    out = io.BytesIO()
    write_npz(view, out)
    return out.getvalue()


def write_npz(view: View, out: IO[bytes]) -> None:
    """The same into a file, a block of rows at a time: all together may be larger than memory."""
    reader, layers = view.reader, range(view.n_layers)
    arrays = {
        "delta_e_sizes": np.stack([reader.delta_e_sizes(layer) for layer in layers]),
        "queries": np.array(reader.tokens.labels),
        "keys": np.array(reader.key_tokens.labels),
        "caption": np.array(view.caption()),
        "changes": np.array(json_files.dumps(changes_to_json(view.trace.changes))),
    }
    if reader.tokens.second is not None:
        arrays["second"] = np.array(reader.tokens.second)
        arrays["segment_shares"] = np.stack([_segment_shares(reader, layer) for layer in layers])
    n_query, n_key = len(reader.tokens), len(reader.key_tokens)
    pieces, of_heads = [*row_slices(n_query, n_key)], (view.n_layers, reader.n_heads)
    heads = [(layer, head) for layer in layers for head in range(reader.n_heads)]
    large: dict[str, tuple[tuple[int, ...], str, Iterator[np.ndarray]]] = {
        "patterns": (
            (*of_heads, n_query, n_key),
            "<f4",
            (reader.pattern(*each, rows) for each in heads for rows in pieces),
        ),
        "may_look": (
            (view.n_layers, n_query, n_key),
            "|b1",
            (reader.may_look(layer, rows) for layer in layers for rows in pieces),
        ),
    }
    if isinstance(reader, Vectors):
        for name, read in (("query", reader.query), ("key", reader.key), ("value", reader.value)):
            large[name] = (*of_heads, *read(0, 0).shape), "<f4", starmap(read, heads)
    with ZipFile(out, "w", ZIP_DEFLATED) as file:
        for name, (shape, kind, parts) in large.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array_header_1_0(member, {"descr": kind, "fortran_order": False, "shape": shape})
                for part in parts:
                    member.write(np.ascontiguousarray(part, kind).data)
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asarray(array), allow_pickle=False)


def _segment_shares(reader: TraceReader, layer: int) -> np.ndarray:
    """How much attention each segment of a pair pays to each, [head, query segment, key segment]."""
    n_query, n_key = len(reader.tokens), len(reader.key_tokens)
    sides = segment_rows(reader.tokens.second or 0, n_query), segment_rows(reader.key_tokens.second or 0, n_key)
    blocks = row_slices(n_query, n_key * reader.n_heads)
    return segment_shares_of_blocks(((rows, reader.patterns(layer, rows)) for rows in blocks), *sides)


def npz_size(view: View) -> int:
    """About how many bytes `npz` gives: the patterns, 4 bytes a cell, which outweigh the rest and hardly shrink."""
    reader = view.reader
    return 4 * view.n_layers * reader.n_heads * len(reader.tokens) * len(reader.key_tokens)


def figure(view: View) -> go.Figure:
    """The shown head as a Plotly figure, light; `for_paper` gives it its caption."""
    asks, answers = view.sides
    return heatmap(
        view.pattern,
        asks.labels,
        None if view.same else answers.labels,
        head=f"{view.layer}.{view.head}" if view.mean == "one" else "",
        scale=view.scale,
        masked=~view.may_look,
        queries_in=view.queries_in,
        query_positions=asks.positions,
        key_positions=answers.positions,
        query_special=asks.special,
        key_special=answers.special,
        selected_query=asks.row_of(view.query),
        segments=view.segments,
    )


def picture(view: View, kind: str, width: str | float | None = None) -> bytes:
    """The shown head as "png", "svg" or "pdf", on white with its caption.

    `width` is "column", "page" or millimetres: the picture is laid out anew at that width, so its letters are as large
    as in any other, 7.9 points at least. Raises HeadlightError where kaleido or Chrome is missing.
    """
    return rendered(for_paper(figure(view), view.caption(), units(width)), kind)


def units(width: str | float | None) -> int:
    """A width as units of a picture. Raises ValueError for a word that is no width, and one that is out of bounds.

    >>> units(None), units("column"), units(100)
    (760, 312, 378)
    """
    if width is None:
        return WIDTH
    mm = WIDTHS.get(width) if isinstance(width, str) else width
    if mm is None or not NARROWEST <= mm <= WIDEST:
        raise ValueError(f'width is "column", "page" or {NARROWEST} to {WIDEST} millimetres, not {width!r}')
    return round(mm * UNITS_PER_MM)


def for_paper(made: go.Figure, caption: str, width: int = WIDTH) -> go.Figure:
    """A light figure made ready for a page: on white, one width for all, its caption below, nothing invisible."""
    from attn_core.figures.paper.caption import with_caption

    made = for_slide(made)
    made.update_layout(width=width)
    return with_caption(made, caption, width)


def for_slide(made: go.Figure) -> go.Figure:
    """A light figure on white, in the page's letters, without invisible markers; as wide as it is."""
    made.data = [trace for trace in made.data if not _unseen(trace)]
    made.update_layout(paper_bgcolor="#ffffff", plot_bgcolor="#ffffff", title=None, font_family=SANS)
    return made


def _unseen(trace: Any) -> bool:
    """Whether a part of a figure is an invisible marker, which only takes clicks."""
    opacity = trace.marker.opacity if trace.type == "scatter" else None
    return isinstance(opacity, int | float) and opacity == 0


def rendered(made: go.Figure, kind: str) -> bytes:
    """A figure's file, "png", "svg" or "pdf", the last two with cells as vectors and their faces in them.

    Raises HeadlightError where kaleido or Chrome is missing.
    """
    if find_spec("kaleido") is None:
        raise HeadlightError(
            "A picture file needs the package kaleido: pip install headlight-attention[pictures]. CSV, JSON, NPZ and "
            "HTML files work without."
        )
    from attn_core.figures.paper.faces import drawn_with_faces
    from attn_core.figures.paper.vectors import with_vector_cells

    made = made if kind == "png" else with_vector_cells(made)
    size = {"width": made.layout.width, "height": int(made.layout.height), "scale": 3 if kind == "png" else 1}
    try:
        return drawn_with_faces(made, kind, **size)
    except Exception as error:  # kaleido says in many ways that it has no browser
        raise HeadlightError(
            "A picture file needs Chrome or Chromium on the machine that makes it, and the package kaleido "
            "(pip install headlight-attention[pictures]). CSV, JSON, NPZ and HTML files work without."
        ) from error


def html(view: View) -> str:
    """One offline HTML file: every head at a glance, one opened, hover and keyboard, and nothing is fetched."""
    from attn_core.views.html_page import page

    return page(view)


@dataclass(frozen=True)
class Saved:
    """What an offline file remembers: the page and the link parameters that show the same view in the app."""

    page: str
    link: dict[str, str]
    caption: str


def read(content: str | bytes) -> Saved:
    """The view that an offline file shows. Raises HeadlightError if it is not one of ours."""
    from attn_core.views.html_page import remembered

    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    try:
        saved = json_files.loads(remembered(text))
        page, link, caption = saved["page"], dict(saved["link"]), saved["caption"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HeadlightError("This is not a saved view: choose an HTML file that Headlight has written.") from None
    if not all(isinstance(word, str) for word in (page, caption, *link, *link.values())):
        raise HeadlightError("This saved view is damaged: its link cannot be read.")
    return Saved(page, link, caption)


def save(view: View, path: str | Path, width: str | float | None = None) -> None:
    """Write a view in the format that the file's name ends with; `width` is that of a picture, see `picture`.

    Raises ValueError for a format that is not in `FORMATS`.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind == "npz" and width is None:
        with path.open("wb") as file:
            write_npz(view, file)
    elif kind == "csv" and width is None:
        with path.open("w", encoding="utf-8", newline="") as lines:
            csv_files.writer(lines, lineterminator="\n").writerows(rows(view))
    else:
        path.write_bytes(content(view, kind, width))


def content(view: View, kind: str, width: str | float | None = None) -> bytes:
    """The bytes of a file of this kind, one of `FORMATS`; of a picture, as wide as `picture` says."""
    if width is not None and kind not in PICTURES:
        raise ValueError(f"width= is that of a picture, one of {', '.join(PICTURES)}, not of {kind!r}")
    if kind not in FORMATS:
        raise ValueError(f"{kind!r} is no kind of file that can be written; choose one of {', '.join(FORMATS)}")
    if kind == "npz":
        return npz(view)
    if kind in PICTURES:
        return picture(view, kind, width)
    return {"html": html, "csv": csv, "json": json}[kind](view).encode()
