"""Panels side by side and words near a vector, each computed once more by a way of its own; see `derived_checks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.tolerances import SMALLEST
from attn_core.traces.parity import TOLERANCE, worst_of
from attn_core.views.derived_checks import DerivedCheck, few_words

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.heads.alignment import Places
    from attn_core.heads.compare import Difference
    from attn_core.heads.sink import Bools, Floats
    from attn_core.residual.nearest_tokens import NearestTokens
    from attn_core.text.tokens import Tokens
    from attn_core.views.derived_checks import Exact

ROWS = 4_096  # of a vocabulary, that are held in float64 at a time


class ShownPanel(NamedTuple):
    """A pattern on shared axes, `cells` [place, place], and what it is made of: `pattern` [query, key], its tokens, and
    which of them, or of their words, stands at each place."""

    cells: Floats
    pattern: Floats
    queries: Tokens
    keys: Tokens
    axes: tuple[Places, Places]


def compared_check(
    panels: Sequence[ShownPanel], apart: Floats, found: Difference | None, rows: Sequence[int], look: Bools, words: bool
) -> DerivedCheck:
    """Panels on their shared axes, and what is told of two of them, the first and the second.

    `apart` [place, place] is their difference as it is drawn, `found` what it is in numbers over the `rows` that both
    have, `look` [row, place] where both may look; `words`: the axes are of whole words, special tokens left out.
    """
    exact = [_on_axes(panel, words) for panel in panels]
    shown = [*((panel.cells, ours) for panel, ours in zip(panels, exact, strict=True)), (apart, exact[0] - exact[1])]
    errors = [float(np.abs(drawn - ours).max(initial=0.0)) for drawn, ours in shown]
    if found is not None:
        first, second = (ours[list(rows)] for ours in exact[:2])
        errors += _errors_of_difference(found, first, second, look)
    return DerivedCheck("compared", worst_of(errors), TOLERANCE)


def _on_axes(panel: ShownPanel, words: bool) -> Exact:
    """The same cells: a word asks with the mean of its pieces, answers with their sum, and rows are then of words."""
    queries, keys = (
        _members(tokens, places, words) for tokens, places in zip((panel.queries, panel.keys), panel.axes, strict=True)
    )
    asking = queries / np.maximum(queries.sum(axis=1, keepdims=True), 1)
    cells: Exact = asking @ panel.pattern.astype(np.float64) @ keys.T  # [place, query] · [query, key] · [key, place]
    total = cells.sum(axis=1, keepdims=True)
    return np.divide(cells, total, out=np.zeros_like(cells), where=total > SMALLEST) if words else cells


def _members(tokens: Tokens, places: Places, words: bool) -> Exact:
    """Which tokens stand at which place, 1 or 0, [place, token]."""
    of_word = [word for word in dict.fromkeys(tokens.words) if word is not None]
    names: Sequence[int | None] = tokens.words if words else range(len(tokens))
    at = [None if place is None else of_word[place] if words else place for place in places]
    return np.array([[place is not None and name == place for name in names] for place in at], dtype=np.float64)


def _errors_of_difference(found: Difference, a: Exact, b: Exact, look: Bools) -> list[float]:
    """Distances by relative entropies of scipy, and Pearson's r by numpy; rows of nothing have no distance."""
    from scipy.special import rel_entr

    real = (a.sum(axis=1) > SMALLEST) & (b.sum(axis=1) > SMALLEST)
    middle = (a[real] + b[real]) / 2
    nats = (rel_entr(a[real], middle) + rel_entr(b[real], middle)).sum(axis=1) / 2
    rows = np.sqrt(np.maximum(nats / np.log(2), 0))  # rounding may leave less than nothing of equal rows
    errors = [*np.abs(found.rows[real] - rows), abs(found.overall - float(found.rows.mean()))]
    errors.append(float(found.rows.max(initial=0.0) - found.rows[found.most_changed]))
    if np.isfinite(found.correlation):
        errors.append(abs(found.correlation - float(np.corrcoef(a[look], b[look])[0, 1])))
    return [float(error) for error in errors]


def near_words_check(model: Model) -> DerivedCheck:
    """The words nearest to three differences of word vectors, and furthest from them, by cosine and by product, against
    the whole vocabulary in float64, put in order."""
    from attn_core.capture.run import trace
    from attn_core.residual.nearest_tokens import both_ends

    given = few_words(model)
    if "input_ids" not in given:
        return DerivedCheck("near", None, TOLERANCE)
    try:
        matrix = trace(model, inputs=given).vocabulary.matrix
    except HeadlightError:  # its words are no vectors of the stream, so nothing is looked up among them
        return DerivedCheck("near", None, TOLERANCE)
    some = matrix[given["input_ids"][0]].float().cpu()
    vectors = (some[1:4] - some[:3]).numpy()
    exact, errors = vectors.astype(np.float64), []
    for measure in ("cosine", "dot"):
        pieces = (matrix[start : start + ROWS].detach().double().cpu().numpy() for start in range(0, len(matrix), ROWS))
        scores = np.concatenate([_scores(rows, exact, measure) for rows in pieces], axis=1)  # [vector, word]
        for sign, ours in zip((-1, 1), both_ends(matrix, vectors, 5, measure=measure), strict=True):
            errors += _errors_of_search(ours, scores, sign)
    return DerivedCheck("near", worst_of(errors), TOLERANCE)


def _scores(rows: Exact, vectors: Exact, measure: str) -> Exact:
    scores: Exact = np.einsum("vm,wm->vw", vectors, rows)
    lengths = np.outer(np.sqrt((vectors**2).sum(axis=1)), np.sqrt((rows**2).sum(axis=1)))
    return np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0) if measure == "cosine" else scores


def _errors_of_search(ours: NearestTokens, scores: Exact, sign: int) -> list[float]:
    """How far scores, those of the words that were found, mean and spread are off, relative to the largest score."""
    best = sign * np.sort(sign * scores, axis=1)[:, : ours.ids.shape[1]]  # [vector, rank]
    own = np.take_along_axis(scores, ours.ids, axis=1)
    pairs = ((ours.scores, best), (own, best), (ours.mean, scores.mean(axis=1)), (ours.spread, scores.std(axis=1)))
    size = max(float(np.abs(scores).max()), SMALLEST)
    return [float(np.abs(found - exact).max()) / size for found, exact in pairs]
