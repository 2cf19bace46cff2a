"""Figures of the guides as files of the site: a vector picture a theme, or a page of its own that can be pointed at."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import ROLES
from attn_core.views import files
from attn_core.views.notebook import Showing

WHITE = b"stroke: rgb(255, 255, 255)"  # between the cells of a picture for paper
GAPS = {"light": WHITE, "dark": b"stroke: " + ROLES["dark"]["card"].encode()}
WIDTH = 640  # pixels: what a guide's column holds
PICTURE = Markup(
    '<div class="figure" tabindex="0" role="group" aria-label="{alt}">{images}</div>\n<p class="caption">{alt}</p>'
)
IMAGE = Markup('<img src="{source}#only-{theme}" alt="{alt}" width="{width}" height="{height}">')
FRAME = Markup(
    '<iframe class="figure" src="{source}" title="{alt}" loading="lazy"></iframe>\n<p class="caption">{alt}</p>'
)


def written(drawn: dict[str, Any], name: str, alt: str) -> tuple[Markup, dict[str, bytes]]:
    """The HTML that shows what a block drew, and the files behind it by their names."""
    if isinstance(drawn["light"], Showing):
        file = f"{name}-figure.html"
        return FRAME.format(source=file, alt=alt), {file: str(files.html(drawn["light"].view)).encode()}
    images, content = Markup(""), {}
    for theme, chart in drawn.items():
        figure = chart.figure() if isinstance(chart, ChartSpec) else chart
        figure.update_layout(width=WIDTH, paper_bgcolor="rgba(0,0,0,0)")
        file, size = f"{name}-{theme}.svg", (WIDTH, int(figure.layout.height or 420))
        content[file] = files.rendered(figure, "svg").replace(WHITE, GAPS[theme])
        images += IMAGE.format(source=file, theme=theme, alt=alt, width=size[0], height=size[1])
    return PICTURE.format(images=images, alt=alt), content
