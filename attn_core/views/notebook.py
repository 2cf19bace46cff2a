"""A trace in a notebook: the app's own pictures in one frame that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from attn_core.errors import HeadlightError, NoModel
from attn_core.figures.canvas.heads import pack_patterns
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.charts.heatmap import QueriesIn
from attn_core.figures.colours import Scale
from attn_core.options import check_whole
from attn_core.text.pairs import second_of
from attn_core.traces.reader import Readable
from attn_core.views import files
from attn_core.views.given import given_attention
from attn_core.views.view import View

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr


@dataclass(frozen=True)
class Showing:
    """What `show` gives: Jupyter draws it; `view` is what it shows and can be saved with `files.save`."""

    view: View
    height: int = 860
    remark: str = ""  # what is said above the picture

    def __repr__(self) -> str:
        return f"<Showing of {self.view.caption()}>"

    def _repr_html_(self) -> Markup:
        """The offline page inside a frame of its own, so that notebook and picture cannot disturb each other."""
        frame = Markup(
            '<iframe title="{}" style="width:100%;height:{}px;border:0" sandbox="allow-scripts" srcdoc="{}"></iframe>'
        )
        said = Markup("<p>{}</p>").format(self.remark) if self.remark else Markup("")
        return said + frame.format(self.view.caption(), self.height, str(files.html(self.view)))


def show(
    trace: Readable | None = None,
    layer: int = 0,
    head: int = 0,
    *,
    stream: str | None = None,
    query: int | None = None,
    scale: Scale = "sqrt",
    queries_in: QueriesIn = "rows",
    height: int = 860,
    attention: Any = None,
    tokens: Sequence[str] = (),
    key_tokens: Sequence[str] | None = None,
) -> Showing:
    """Every head of a trace at a glance, and one of them opened, in a notebook's output.

    `query` is the position of the word whose lines are kept, by default the most salient one's; `stream` is needed for
    an encoder-decoder ("encoder", "decoder" or "cross"). Raises IndexError for a head that is not there.

    In place of a trace, anybody's `attention` is shown, [query, key], [head, query, key] or [layer, head, query, key],
    between `tokens` (and other `key_tokens`); rows that do not sum to 1 are named above it, and shown as they are.
    """
    if (trace is None) == (attention is None):
        raise ValueError("show takes a trace, or attention= and tokens=")
    if trace is not None and not hasattr(trace, "stream"):
        raise TypeError(f"show takes a trace, got {trace!r}")
    if trace is not None and (len(tokens) or key_tokens is not None):
        raise ValueError("tokens= and key_tokens= go with attention=: a trace has its own")
    check_whole("height", height, least=1, unit=" pixel")
    remark = ""
    if trace is None:
        trace = given = given_attention(attention, tokens, key_tokens)
        remark = given.uneven
    shown = trace.stream(stream)
    shown.pattern(layer, head)
    view = View(trace, layer, head, stream=shown.name, query=query, scale=scale, queries_in=queries_in)
    return Showing(view.with_followed_word(), height, remark)


def heatmap(trace: Readable, stream: str, layer: int, head: int) -> go.Figure:
    """One head's pattern as a Plotly figure, light, which a notebook draws and `write_html` or `to_json` keeps."""
    view = View(trace, layer, head, stream=stream).with_followed_word()
    return _says_changes(files.figure(view), trace)


def _says_changes(made: go.Figure, trace: Readable) -> go.Figure:
    """A figure of a changed pass, with what was changed in words below it."""
    from attn_core.figures.paper.caption import with_caption

    return with_caption(made, f"changed: {trace.changes}", made.layout.width or files.WIDTH) if trace.changes else made


def links(trace: Readable, stream: str, layer: int, head: int) -> go.Figure:
    """One head as lines between two columns of words, as a Plotly figure, light; thicker lines carry more weight."""
    from attn_core.figures.paper.draw import drawn

    own = trace.stream(stream)
    asks, answers = own.tokens, own.key_tokens
    packed = pack_links(
        own.pattern(layer, head)[None],
        asks.labels,
        None if answers is asks else answers.labels,
        heads=[f"{layer}.{head}"],
        may_look=own.may_look(layer),
        query_special=asks.special,
        key_special=answers.special,
        query_words=asks.words,
        key_words=answers.words,
    )
    return _says_changes(drawn(packed), trace)


def overview(trace: Readable, stream: str) -> go.Figure:
    """Every head's pattern at a glance, a tile each, layers down and heads across, as a Plotly figure, light."""
    from attn_core.figures.paper.draw import drawn

    own = trace.stream(stream)
    same = own.key_tokens is own.tokens
    packed = pack_patterns(
        map(View(trace, stream=stream).blocks, range(own.n_layers)),
        own.n_layers,
        own.tokens.labels,
        None if same else own.key_tokens.labels,
        second=second_of(own.tokens, own.key_tokens),
    )
    return _says_changes(drawn(packed), trace)


def dataset(trace: Readable, stream: str) -> xr.Dataset:
    """The numbers of every head with names on their axes; what `Trace.to_xarray` gives."""
    try:
        import xarray as xr
    except ImportError:
        raise HeadlightError("This needs the package xarray: pip install headlight-attention[tables].") from None
    own = trace.stream(stream)
    layers, axes = range(own.n_layers), ("layer", "head", "query")
    sizes = {"layer": own.n_layers, "head": own.n_heads, "query": len(own.tokens), "key": len(own.key_tokens)}
    patterns = np.empty((*sizes.values(),), np.float32)
    for layer in layers:  # in blocks of rows: nothing as large as a layer is made beside the answer
        for rows, block in View(trace, stream=stream).blocks(layer):
            patterns[layer, :, rows] = block
    arrays: dict[str, Any] = {"pattern": ((*axes, "key"), patterns)}
    with suppress(NoModel):  # of a file that has no output matrices
        arrays["delta_e_size"] = axes, np.stack([own.delta_e_sizes(layer) for layer in layers])
    coordinates: dict[str, Any] = {axis: np.arange(size) for axis, size in sizes.items()}
    coordinates["query_token"] = "query", np.array(own.tokens.labels)
    coordinates["key_token"] = "key", np.array(own.key_tokens.labels)
    about = {"model": own.model_name, "stream": own.name, "text": own.tokens.text, "changes": str(own.changes)}
    return xr.Dataset(arrays, coordinates, about)
