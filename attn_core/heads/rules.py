"""Kinds of heads: the rules that a head may follow, and how far above chance it follows each.

A rule ("look at the token before") is a set of cells, bool [query, key], see `cells`. How well a head follows it is the
share of its weight on those cells, beside the share that even attention over the same keys would put there.

The *sink* is left out before a rule is judged. Heads rest on [CLS], [SEP], BOS or the first token when they have
nothing to do (Clark et al. 2019, section 3.2; Xiao et al. 2024), and with it in, nearly every head would be called
"looks at the first token".

A kind of head is one record of `KINDS`: its name, words, source, cells and threshold. Table, map, definitions and CSV
follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from attn_core.heads.cells import (
    duplicate_cells,
    first_mention_cells,
    induction_cells,
    offset_cells,
    punctuation_cells,
    window_cells,
)
from attn_core.heads.measures import by_name
from attn_core.heads.sink import Bools, Floats
from attn_core.tolerances import NO_WEIGHT


@dataclass(frozen=True)
class RuleScore:
    """Weight counted over queries, per head; scores of several sentences add up.

    `on`: weight that lay on the rule's cells. `expected`: what even attention would have put there. `total`: all weight
    outside the sink, of queries to which the rule applies.
    """

    on: Floats
    expected: Floats
    total: Floats

    def __add__(self, other: RuleScore) -> RuleScore:
        return RuleScore(self.on + other.on, self.expected + other.expected, self.total + other.total)

    @property
    def share(self) -> Floats:
        """The share of the weight that follows the rule, 0 to 1; NaN where nothing was counted."""
        return _ratio(self.on, self.total)

    @property
    def chance(self) -> Floats:
        """The share that even attention over the same keys would have."""
        return _ratio(self.expected, self.total)

    @property
    def lift(self) -> Floats:
        """How far above chance, on a scale where 0 is even attention and 1 is all weight on the rule; may be negative.

        The correction that Cohen's kappa (Cohen 1960) makes for agreement by chance.
        """
        return _ratio(self.on - self.expected, self.total - self.expected)


def _ratio(part: Floats, whole: Floats) -> Floats:
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    result: Floats = np.divide(
        part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=np.abs(whole) > NO_WEIGHT
    )
    return result


def score_rule(pattern: Floats, cells: Bools, may_look: Bools, sink: Bools) -> RuleScore:
    """Count how much weight lies on a rule's cells: pattern [head, query, key], the rest bool [query, key] or [key].

    Queries count by the weight that they put outside the sink, so that a query which rests on it says nothing. Only
    queries with a cell of the rule and at least two keys to choose from are counted.
    """
    keys = may_look & ~sink
    n_keys = keys.sum(axis=1)  # [query]
    queries = (cells & keys).any(axis=1) & (n_keys > 1)
    free = np.where(keys, pattern, 0.0)[..., queries, :]  # [head, query that counts, key]
    mass = free.sum(axis=-1, dtype=float)  # [head, query]
    even = (cells & keys).sum(axis=1)[queries] / n_keys[queries]
    return RuleScore(
        (free * cells[queries]).sum(axis=(-2, -1), dtype=float), (mass * even).sum(axis=-1), mass.sum(axis=-1)
    )


# --- Kinds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleContext:
    """What a rule's cells depend on in one stream of one sentence.

    `ids` and `labels` are those of the keys; `shape` is (number of queries, number of keys). `same_sequence` is False
    between two sentences, where "the token before" means nothing.
    """

    ids: Sequence[int]
    labels: Sequence[str]
    shape: tuple[int, int]
    same_sequence: bool


@dataclass(frozen=True)
class Kind:
    """A kind of head: its name, what it does in plain words, who described it, and from which lift it is named.

    `cells` gives the cells of its rule in some rows of one sentence, bool [row, key]. `judged_on` is "sentences", or
    "repeats": random tokens said three times, for rules that follow a repetition. `distinct_keys` is how many
    different tokens the rule must have pointed to before it is judged; where it is above 1, each sentence counts the
    same in the lift, so that a head which likes one token is not taken for one that follows the rule.
    `between_sentences` says whether the rule means something in cross-attention.
    """

    name: str
    title: str
    meaning: str
    source: str
    cells: Callable[[RuleContext, slice], Bools]
    judged_on: str = "sentences"
    threshold: float = 0.4
    distinct_keys: int = 1
    between_sentences: bool = False

    def cells_in(self, context: RuleContext) -> Callable[[slice], Bools] | None:
        """What gives some rows of the rule's cells in a sentence; None where the rule means nothing there."""
        return partial(self.cells, context) if context.same_sequence or self.between_sentences else None


def _at_offset(offset: int, context: RuleContext, rows: slice) -> Bools:
    return offset_cells(*context.shape, offset, rows)


def _by_ids(cells: Callable[[Sequence[int], slice], Bools], context: RuleContext, rows: slice) -> Bools:
    return cells(context.ids, rows)  # there may be more keys than queries: those of no word ask nothing


KINDS: Mapping[str, Kind] = by_name(
    Kind(
        "previous",
        "previous token",
        "looks at the token just before",
        "Voita et al. 2019; Clark et al. 2019",
        partial(_at_offset, -1),
    ),
    Kind(
        "next",
        "next token",
        "looks at the token just after",
        "Voita et al. 2019; Clark et al. 2019",
        partial(_at_offset, 1),
    ),
    Kind("same", "same position", "looks at the token itself", "Clark et al. 2019", partial(_at_offset, 0)),
    Kind(
        "induction",
        "induction",
        "looks at what came after the same token elsewhere",
        "Olsson et al. 2022",
        partial(_by_ids, induction_cells),
        judged_on="repeats",
    ),
    Kind(
        "first_mention",
        "first mention",
        "looks at the first place of a repeated token",
        "Wang et al. 2023",
        partial(_by_ids, first_mention_cells),
        judged_on="repeats",
        threshold=0.6,
    ),
    Kind(
        "duplicate",
        "duplicate token",
        "looks at other places with the same token",
        "Wang et al. 2023",
        partial(_by_ids, duplicate_cells),
        judged_on="repeats",
    ),
    Kind(
        "punctuation",
        "punctuation",
        "looks at full stops, commas and other marks",
        "Clark et al. 2019",
        lambda context, rows: punctuation_cells(context.labels, context.shape[0], rows),
        threshold=0.5,
        distinct_keys=3,
        between_sentences=True,
    ),
    Kind(
        "local",
        "local window",
        "looks at most two tokens away",
        "Voita et al. 2019",
        lambda context, rows: window_cells(*context.shape, rows=rows),
        threshold=0.5,
    ),
)  # in the order of preference: a narrow rule comes before the wide one that contains it
NO_PATTERN = "no simple pattern"


def kind_of(lifts: Mapping[str, float]) -> str:
    """The kind of a head, given how far above chance it follows each rule; `NO_PATTERN` where none passes.

    The threshold is 0.4: two fifths of the way from even attention to looking nowhere else. Of 1,728 heads of BERT- and
    GPT-2-shaped models with random weights (standard deviation 0.02 to 1), none passed 0.17 for the position rules and
    0.08 for the token rules. Random weights do reach 0.5 for punctuation (a favourite token that happens to be a mark)
    and 0.4 for the window, so those two ask for 0.5. First mention asks for 0.6, because a head that looks evenly at
    both earlier copies of a token reaches 0.5. Of several that pass, the first of `KINDS` wins: narrow before wide.
    """
    return next((n for n, kind in KINDS.items() if lifts.get(n, float("nan")) >= kind.threshold), NO_PATTERN)


def kind_title(name: str) -> str:
    """What a person reads for the name of a kind, or for `NO_PATTERN`."""
    return KINDS[name].title if name in KINDS else name
