"""The logit lens as a table: what each layer would say if it were the last. No Streamlit.

lens.table(rows)                      # rows of `attn_core.prediction.next_token.logit_lens`, as HTML
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from attn_core.prediction.next_token import LensRow, TokenPrediction
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui.drawing import markup

_TABLE = Markup(
    '<div style="overflow:auto;max-height:430px"><table style="width:100%;border-collapse:collapse;font-size:13px;'
    'text-align:left;line-height:1.9"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
)
_CELL = Markup(
    '<td style="background:color-mix(in srgb, var(--hl-amber) {shade:.0f}%, transparent);padding:0 6px;'
    'overflow-wrap:anywhere">{word}<span style="white-space:nowrap"> {probability}</span></td>'
)
_ROW = Markup('<tr style="border-top:1px solid var(--hl-line);{bold}"><td>{name}</td>{cells}<td>{rank}</td></tr>')


def table(rows: Sequence[LensRow]) -> Markup:
    """One row a layer: its three best predictions, the background as strong as each is likely, and the rank."""
    titles = Markup("").join(Markup("<th>{}</th>").format(name) for name in _TITLES)
    return _TABLE.format(head=titles, body=Markup("").join(_row(row, len(rows) - 1) for row in rows))


_TITLES = ("after", "best guess", "second", "third", "rank")


def _row(row: LensRow, last: int) -> Markup:
    cells = Markup("").join(
        _cell(prediction) for prediction in [*row.predictions, *[None] * (3 - len(row.predictions))]
    )
    return _ROW.format(
        bold="font-weight:600" if row.after == last else "",
        name="embedding" if row.after == 0 else f"layer {row.after - 1}",
        cells=cells,
        rank=f"{row.rank:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
    )


def _cell(prediction: TokenPrediction | None) -> Markup:
    if prediction is None:
        return Markup("<td></td>")
    word, chance = markup.tok(visible(prediction.word)), prediction.probability
    return _CELL.format(shade=45 * chance, word=word, probability=percent(chance))
