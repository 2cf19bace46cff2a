"""A trace in a notebook: the app's own pictures in one frame that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from attn_core.figures.charts.heatmap import QueriesIn
from attn_core.figures.colours import Scale
from attn_core.traces.reader import Readable
from attn_core.views import files
from attn_core.views.given import given_attention
from attn_core.views.view import View

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Showing:
    """What `show` gives: Jupyter draws it; `view` is what it shows and can be saved with `files.save`."""

    view: View
    height: int = 860
    remark: str = ""  # what is said above the picture

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
    return files.figure(View(trace, layer, head, stream=stream).with_followed_word())
