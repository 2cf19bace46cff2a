"""Measures of a head: numbers that describe an attention pattern, each with its name, words, unit and source.

The functions take patterns as arrays, [..., query, key], whose rows sum to 1 and whose masked cells are 0; leading
axes, such as `head`, are batched. `MEASURES` holds one record a measure: the table of `kinds.classify_heads`, the axes
and columns of the pages, their help, the CSV and the command line follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.sink import Bools, Floats, without_sink


def share_on(pattern: Floats, keys: Bools) -> Floats:
    """How much of every query's weight goes to some keys: [..., query, key] → [..., query], between 0 and 1."""
    result: Floats = pattern[..., keys].sum(axis=-1)
    return result


def entropy(pattern: Floats) -> Floats:
    """How widely every query looks, in bits: 0 is a single key, 3 is as wide as eight even ones. [..., query].

    Source: Shannon 1948; for attention, Clark et al. 2019, section 3.3. NaN rows stay NaN.

    >>> entropy(np.array([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    weights = np.asarray(pattern, dtype=float)
    bits = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)
    bits *= weights  # in place: a block of a long text is large
    result: Floats = 0.0 - bits.sum(axis=-1)  # not −0
    return result


def mean_distance(pattern: Floats, queries: Sequence[int] | NDArray[np.int_] | None = None) -> Floats:
    """How far every query looks, in tokens: Σ weight · |query − key|. [..., query]. Source: Vig & Belinkov 2019.

    `queries` gives the rows' own positions where they are not 0, 1, 2, …

    >>> mean_distance(np.array([[0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).tolist()
    [1.0, 1.0, 0.0]
    """
    n_query, n_key = pattern.shape[-2:]
    places = np.arange(n_query) if queries is None else np.asarray(queries)
    distance = np.abs(np.arange(n_key)[None, :] - places[:, None])  # [query, key]
    result: Floats = (pattern * distance).sum(axis=-1)
    return result


# --- The records ------------------------------------------------------------------------------------------------------


class Named(Protocol):
    """A record with a name for code and links, and a title for people."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...


Record = TypeVar("Record", bound=Named)


def by_name(*records: Record) -> dict[str, Record]:
    """Records by name, in their order. Raises ValueError where two share a name or a title: a table
    would lose one."""
    for field in ("name", "title"):
        said = [getattr(record, field) for record in records]
        twice = [text for text in said if said.count(text) > 1]
        if twice:
            raise ValueError(f"two records have the {field} {twice[0]!r}")
    return {record.name: record for record in records}


@dataclass(frozen=True)
class Reading:
    """What a measure reads: one layer of one stream of one sentence.

    `pattern` [head, query, key] holds the rows of ordinary queries only. `sink` and `special` are bool [key].
    `positions` [query] are the places of those queries among the keys, or None between two sentences.
    """

    pattern: Floats
    sink: Bools
    special: Bools
    positions: NDArray[np.int_] | None


UNITS = {"bits": "%.2f bits", "tokens": "%.1f tokens", "share": "%.1f %%"}  # how a table writes a number of each unit


@dataclass(frozen=True)
class Measure:
    """A number about a head: its name in code and links, its words on screen, and how it is computed.

    `meaning` completes "the head …" or stands alone as help. `unit` is one of `UNITS`; a "share" lies between 0 and 1,
    and tables show it in per cent. `of` gives [head, query] for one reading, or None where the measure means nothing
    there; a table holds the mean over queries and sentences. Without `of` it is a share that `rules` count.
    """

    name: str
    title: str
    meaning: str
    unit: str
    source: str
    of: Callable[[Reading], Floats | None] | None = None

    @property
    def axis(self) -> str:
        """The title of an axis: "entropy (bits)"."""
        return f"{self.title} ({self.unit})"

    @property
    def column_format(self) -> str:
        """How a table writes the number, as a printf format: "%.2f bits"."""
        return UNITS[self.unit]

    @property
    def factor(self) -> int:
        """What the number is multiplied by in a table: 100 for a share, which is shown in per cent."""
        return 100 if self.unit == "share" else 1


def _separators(special: Bools) -> Bools:
    """Special tokens that are not the first token: [SEP] and its like, bool [key]."""
    return special & (np.arange(len(special)) > 0)


MEASURES: Mapping[str, Measure] = by_name(
    Measure(
        "entropy",
        "entropy",
        "how widely it looks, the sink left out: 0 bits is one token, 3 bits as wide as eight even ones",
        "bits",
        "Clark et al. 2019, section 3.3",
        lambda read: entropy(without_sink(read.pattern, read.sink)),
    ),
    Measure(
        "distance",
        "distance",
        "how many tokens away it looks on average, the sink left out",
        "tokens",
        "Vig & Belinkov 2019",
        lambda read: (
            None if read.positions is None else mean_distance(without_sink(read.pattern, read.sink), read.positions)
        ),
    ),
    Measure(
        "sink",
        "on the sink",
        "the share of its weight that rests on special tokens or, in a causal model, on the first token",
        "share",
        "Clark et al. 2019, section 3.2; Xiao et al. 2024",
        lambda read: share_on(read.pattern, read.sink),
    ),
    Measure(
        "separator",
        "on separators",
        "the share of its weight that rests on special tokens after the first, such as [SEP]",
        "share",
        "Clark et al. 2019, section 3.2",
        lambda read: share_on(read.pattern, _separators(read.special)),
    ),
)
