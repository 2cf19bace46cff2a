"""A trace in a notebook: the app's own pictures in one frame that fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from attn_core.figures.charts.heatmap import QueriesIn
from attn_core.figures.colours import Scale
from attn_core.traces.reader import Readable
from attn_core.views import files
from attn_core.views.view import View


@dataclass(frozen=True)
class Showing:
    """What `show` gives: Jupyter draws it; `view` is what it shows and can be saved with `files.save`."""

    view: View
    height: int = 860

    def _repr_html_(self) -> Markup:
        """The offline page inside a frame of its own, so that notebook and picture cannot disturb each other."""
        frame = Markup(
            '<iframe title="{}" style="width:100%;height:{}px;border:0" sandbox="allow-scripts" srcdoc="{}"></iframe>'
        )
        return frame.format(self.view.caption(), self.height, str(files.html(self.view)))


def show(
    trace: Readable,
    layer: int = 0,
    head: int = 0,
    *,
    stream: str | None = None,
    query: int | None = None,
    scale: Scale = "sqrt",
    queries_in: QueriesIn = "rows",
    height: int = 860,
) -> Showing:
    """Every head of a trace at a glance, and one of them opened, in a notebook's output.

    `query` is the position of the word whose lines are kept, by default the most salient one's; `stream` is needed for
    an encoder-decoder ("encoder", "decoder" or "cross"). Raises IndexError for a head that is not there.
    """
    shown = trace.stream(stream)
    shown.pattern(layer, head)
    view = View(trace, layer, head, stream=shown.name, query=query, scale=scale, queries_in=queries_in)
    return Showing(view.with_followed_word(), height)
