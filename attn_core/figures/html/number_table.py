"""Small matrices with every number written out, and their product: one row times one column becomes one cell.

Arrays in, HTML out. The product is laid out as on paper, the right matrix above the result and the left one beside it,
so that a row and a column meet in their cell. The stylesheet (assets/css/steps.css) lights one number after the other,
and nothing moves where a reader has asked for less motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from attn_core.text.numbers import significant
from attn_core.tolerances import SMALLEST

LONGEST_FLAT = 2  # letters of a column's name that stand beside each other; longer names stand upright
SMALLEST_SHOWN = 1 / 20_000  # half of the fourth decimal: what is smaller is 0 to a reader


@dataclass(frozen=True)
class Matrix:
    """A small matrix: its title, numbers [row, column], names, and the role that colours its title and what is lit.

    `row` and `column` say what is lit; −∞ is written out and hatched, since masked is not zero.
    """

    title: str
    numbers: np.ndarray
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    role: str = "embedding"
    row: int | None = None
    column: int | None = None


def number_table(matrix: Matrix) -> Markup:
    """One matrix as a table, [row, column], with its row or column lit."""
    return _table(matrix, "", {})


def product(left: Matrix, right: Matrix, result: Matrix) -> Markup:
    """left [row, n] · right [n, column] = result [row, column], with left's lit row and right's lit column worked out.

    Raises ValueError where the three do not fit, or nothing is lit.
    """
    (m, n), (also_n, k) = left.numbers.shape, right.numbers.shape
    if n != also_n or result.numbers.shape != (m, k) or left.row is None or right.column is None:
        raise ValueError(
            f"[{m}, {n}] · [{also_n}, {k}] = {list(result.numbers.shape)} with a row and a column that meet"
        )
    row, column = left.row, right.column
    turns_left = {(row, i): i for i in range(n)}
    turns_right = {(i, column): i for i in range(n)}
    pairs = list(zip(left.numbers[row], right.numbers[:, column], strict=True))
    terms = Markup(" + ").join(
        Markup('<span style="--i:{}">{} × {}</span>').format(i, _said(x), _said(y)) for i, (x, y) in enumerate(pairs)
    )
    made = _said(result.numbers[row, column])
    return Markup(
        '<div class="hl-product">{}{}{}<p class="worked">{} = <b class="{} made" style="--i:{}">{}</b></p></div>'
    ).format(
        _table(right, "above", turns_right),
        _table(left, "beside", turns_left),
        _table(result, "made", {(row, column): n}),
        terms,
        result.role,
        n,
        made,
    )


def _table(matrix: Matrix, place: str, turns: dict[tuple[int, int], int]) -> Markup:
    """A matrix as a table; `turns` maps each highlighted cell (row, column) to its place in the order."""
    head = Markup("")
    if matrix.columns:
        corner = Markup("<td></td>") if matrix.rows else ""
        names = Markup("").join(
            Markup('<th scope="col" class="{}"><span>{}</span></th>').format("lit" * (i == matrix.column), name)
            for i, name in enumerate(matrix.columns)
        )
        head = Markup("<thead><tr>{}{}</tr></thead>").format(corner, names)
    finite = np.abs(matrix.numbers[np.isfinite(matrix.numbers)])
    most = max(SMALLEST, float(finite.max(initial=0.0)))
    body = Markup("").join(_row(matrix, i, most, turns) for i in range(len(matrix.numbers)))
    kind = f"{place} {matrix.role}" + " long" * any(len(name) > LONGEST_FLAT for name in matrix.columns)
    return Markup('<table class="hl-matrix {}"><caption>{}</caption>{}<tbody>{}</tbody></table>').format(
        kind, matrix.title, head, body
    )


def _row(matrix: Matrix, i: int, most: float, turns: dict[tuple[int, int], int]) -> Markup:
    name = Markup('<th scope="row">{}</th>').format(matrix.rows[i]) if matrix.rows else ""
    cells = Markup("").join(_cell(float(x), most, turns.get((i, j))) for j, x in enumerate(matrix.numbers[i]))
    return Markup('<tr class="{}">{}{}</tr>').format("lit" * (i == matrix.row), name, cells)


def _cell(number: float, most: float, turn: int | None) -> Markup:
    """One number on a tint as strong as its share of the largest; `turn` is when it lights up."""
    kind = "masked" if not np.isfinite(number) else "down" if number < 0 else "up"
    share = 0 if kind == "masked" else round(100 * abs(number) / most)
    lit, at = (" turn", f";--i:{turn}") if turn is not None else ("", "")
    return Markup('<td class="{}{}" style="--s:{}%{}">{}</td>').format(kind, lit, share, at, _said(number))


def _said(number: float) -> str:
    """Three digits; −∞ as it is, and what is nothing but rounding as 0."""
    if not np.isfinite(number):
        return "−∞"
    return significant(float(number), 3) if abs(number) >= SMALLEST_SHOWN else "0"
