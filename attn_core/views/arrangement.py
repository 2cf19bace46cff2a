"""A pattern as it is shown: the sink in or out, words whole or in pieces, spans of them, one head or a mean of several.

Nothing is changed silently. Hiding the sink renormalises what is left, a word's pieces (and a span's words) are summed
over keys and averaged over queries, and rows still sum to 1; `Arrangement` knows which tokens each row and column
stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_core.blocks import row_slices
from attn_core.heads.sink import sink_keys, without_sink
from attn_core.text.decoding import Name
from attn_core.text.pairs import Segments, second_of
from attn_core.text.tokens import Tokens
from attn_core.text.whole_words import units

if TYPE_CHECKING:
    from attn_core.traces.reader import TraceReader

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Numbers = TypeVar("Numbers", Floats, Bools)
Span = tuple[int, int]  # positions of its first and its last token

MEANS = ("one", "heads", "layers", "all")


@dataclass(frozen=True)
class Arrangement:
    """What the rows and columns of a picture stand for; queries and keys are the same sentence.

    `places[i]` are the token positions of row and column i; `labels`, `special` and `words` describe them. `sink` is
    bool [key] over tokens, and `hides_sink` says whether those keys were taken out. `columns` is set where there are
    more keys than words: "no word". Of a pair `second` is the row and column where the second segment begins.
    """

    places: list[list[int]]
    labels: list[str]
    special: list[bool]
    words: list[int | None]
    sink: Bools
    hides_sink: bool
    columns: Arrangement | None = None
    second: int | None = None
    spans: tuple[int, ...] = ()  # rows (and columns) that are spans

    @property
    def keys(self) -> Arrangement:
        """What the columns stand for: the rows' own words, or these and what comes after them."""
        return self if self.columns is None else self.columns

    @property
    def positions(self) -> list[int | str]:
        """Where each row stands as people count: 3, the position of its first token; of a span "3–5"."""
        return [f"{place[0]}–{place[-1]}" if row in self.spans else place[0] for row, place in enumerate(self.places)]

    @cached_property
    def _tokens(self) -> NDArray[np.intp] | None:
        """The one token of each row, in their order; None where some row stands for several."""
        alone = all(len(place) == 1 for place in self.places)
        return np.array([place[0] for place in self.places], np.intp) if alone else None

    def row_of(self, position: int | None) -> int | None:
        """The row that a token is part of; None where it is hidden."""
        return next((i for i, place in enumerate(self.places) if position in place), None)

    def pattern(self, pattern: Floats) -> Floats:
        """[..., query, key] over tokens → [..., row, column]; rows sum to 1, or are NaN if they had only the sink."""
        if self.hides_sink:
            pattern = without_sink(pattern, self.keys.sink)
        rows, keys = self._tokens, self.keys._tokens
        if rows is not None and keys is not None:
            return _taken(_taken(pattern, rows, -2), keys, -1)
        columns = np.stack([pattern[..., place].sum(axis=-1) for place in self.keys.places], axis=-1)
        return np.stack([columns[..., place, :].mean(axis=-2) for place in self.places], axis=-2)

    def blocks(self, n_cells: int) -> Iterator[tuple[slice, slice, Arrangement]]:
        """The rows in blocks, for sentences too long for a square: (rows, the tokens that they are made of, how).

        `n_cells` weights are made of each token; the arrangement of a block takes the rows of its tokens alone.
        """
        for rows in row_slices(len(self.places), n_cells):
            places = self.places[rows]
            first, last = min(map(min, places)), max(map(max, places))
            part = replace(
                self,
                places=[[token - first for token in place] for place in places],
                labels=self.labels[rows],
                special=self.special[rows],
                words=self.words[rows],
                columns=self.keys,
                spans=(),
            )
            yield rows, slice(first, last + 1), part

    def segments(self, shown: Floats) -> Segments | None:
        """Of a pair: the two segments in an arranged pattern [row, column], with the shares of attention from one to
        the other; None where one text was read."""
        at = second_of(self, self.keys)
        return None if at is None else Segments.of(shown, *at)

    def may_look(self, may_look: Bools) -> Bools:
        """[query, key] → [row, column]: a word may look at another if any of its pieces may."""
        rows, keys = self._tokens, self.keys._tokens
        if rows is not None and keys is not None:
            return _taken(_taken(may_look, rows, 0), keys, 1)
        columns = np.stack([may_look[:, place].any(axis=1) for place in self.keys.places], axis=-1)
        return np.stack([columns[place].any(axis=0) for place in self.places])


def _taken(cells: Numbers, tokens: NDArray[np.intp], axis: int) -> Numbers:
    """Some tokens of an axis, in their order: itself where that is all of them."""
    return cells if len(tokens) == cells.shape[axis] else cells.take(tokens, axis=axis)


def arrange(
    tokens: Tokens,
    keys: Tokens | None = None,
    *,
    causal: bool,
    words: bool = False,
    hide_sink: bool = False,
    spans: Sequence[Span] = (),
) -> Arrangement:
    """Rows and columns for a sentence: pieces or `words`, with or without the sink (see `sink.sink_keys`).

    Each of `spans` is put together as the pieces of a word are: positions (first, last), both included; with `words`
    it takes in every word that it touches. Raises ValueError for spans that are none (see `check_spans`).

    Where the sink is all there is, it stays. `keys` are the same tokens and what stands for no word after them.
    """
    more = keys is not None and len(keys) > len(tokens)
    check_spans(spans, tokens)
    options: dict[str, Any] = {"causal": causal, "words": words, "hide_sink": hide_sink, "spans": spans}
    columns = arrange(keys, **options) if keys is not None and more else None
    sink = sink_keys(tokens.special, causal=causal)
    hide_sink = hide_sink and bool((~sink).any())
    groups = units(tokens.words) if words else [[i] for i in range(len(tokens))]
    names = tokens.word_labels if words else tokens.labels
    groups, names, joined = _with_spans(groups, names, spans)
    rows = zip(groups, names, joined, strict=True)
    kept = [(group, name, is_span) for group, name, is_span in rows if not (hide_sink and sink[group].all())]
    places = [[i for i in group if not (hide_sink and sink[i])] for group, *_ in kept]
    at = tokens.second
    return Arrangement(
        places=places,
        labels=[name for _, name, _ in kept],
        special=[all(tokens.special[i] for i in place) for place in places],
        words=[tokens.words[place[0]] for place in places],
        sink=sink,
        hides_sink=hide_sink,
        columns=columns,
        second=None if at is None else sum(place[0] < at for place in places),
        spans=tuple(row for row, (*_, is_span) in enumerate(kept) if is_span),
    )


def check_spans(spans: Sequence[Span], tokens: Tokens) -> None:
    """Raise ValueError, with a sentence, for spans that a sentence does not have, that overlap, or that begin in one
    segment of a pair and end in the other."""
    whole = isinstance(spans, Sequence) and all(
        isinstance(span, Sequence) and len(span) == 2 and all(type(end) is int for end in span) for span in spans
    )
    if not whole:
        raise TypeError(f"spans are pairs of positions, as in [(1, 3)]; got {spans!r}")
    last = -1
    for first, end in sorted(spans):
        if not 0 <= first <= end < len(tokens):
            raise ValueError(
                f"({first}, {end}) is no span: positions go from 0 to {len(tokens) - 1}, the first one first"
            )
        if first <= last:
            raise ValueError(f"two spans share position {first}: a token is part of one")
        if tokens.second is not None and first < tokens.second <= end:
            raise ValueError(f"({first}, {end}) goes from one segment of the pair into the other")
        last = end


def spans_within(spans: Sequence[Span], tokens: Tokens) -> tuple[Span, ...]:
    """Those of some spans that a sentence has, see `check_spans`."""
    found: list[Span] = []
    for span in sorted(spans):
        with suppress(ValueError):
            check_spans([*found, span], tokens)
            found.append(span)
    return tuple(found)


def spans_in_link(spans: Sequence[Span]) -> str:
    """
    >>> spans_in_link([(2, 4), (8, 9)])
    '2-4_8-9'
    """
    return "_".join(f"{first}-{last}" for first, last in sorted(spans))


def _with_spans(
    groups: list[list[int]], names: Sequence[str], spans: Sequence[Span]
) -> tuple[list[list[int]], list[str], list[bool]]:
    """Groups of positions and their names, of which those that a span touches are one; and which groups are spans."""
    within = {at: n for n, (first, end) in enumerate(spans) for at in range(first, end + 1)}
    touched = [next((within[at] for at in group if at in within), None) for group in groups]
    keys = [("group", i) if span is None else ("span", span) for i, span in enumerate(touched)]
    runs = [[i for i, _ in run] for _, run in groupby(enumerate(keys), key=lambda item: item[1])]
    return (
        [[at for i in run for at in groups[i]] for run in runs],
        [names[run[0]] if len(run) == 1 else Name(" ".join(names[i] for i in run)) for run in runs],
        [touched[run[0]] is not None and len(run) > 1 for run in runs],
    )


def mean_pattern(reader: TraceReader, layer: int, head: int, over: str) -> Floats:
    """One head's pattern, or a mean: over the "heads" of its layer, over the "layers" at its place, or over "all"."""
    if over == "one":
        return reader.pattern(layer, head)
    each = range(reader.n_layers)
    if over == "heads":
        patterns = [*reader.patterns(layer)]
    elif over == "layers":
        patterns = [reader.pattern(n, head) for n in each]
    else:
        patterns = [reader.patterns(n).mean(axis=0) for n in each]
    mean: Floats = np.stack(patterns).mean(axis=0)  # [pattern, query, key] → [query, key]
    return mean


def mean_may_look(reader: TraceReader, layer: int, over: str) -> Bools:
    """Which cells of `mean_pattern` any of its heads may look at, bool [query, key]: layers may differ in their masks.

    A window on every other layer (Gemma 2 and 3, ModernBERT) hides nothing of a mean over layers.
    """
    if over in ("one", "heads"):
        return reader.may_look(layer)
    any_layer: Bools = np.logical_or.reduce([reader.may_look(n) for n in range(reader.n_layers)])
    return any_layer


def mean_name(layer: int, head: int, over: str) -> str:
    """What a sentence calls it: "head 0.3", "the mean of layer 0's heads", …"""
    return {
        "one": f"head {layer}.{head}",
        "heads": f"the mean of layer {layer}'s heads",
        "layers": f"the mean of head {head} over all layers",
        "all": "the mean of all heads",
    }[over]
