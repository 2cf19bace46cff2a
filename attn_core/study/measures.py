"""What a study measures: everything that Find heads measures, a head's share of ΔE, and rules of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attn_core.heads.kinds import COLUMNS
from attn_core.heads.measures import Measure, by_name
from attn_core.heads.quantities import quantities
from attn_core.study.painted_rules import PaintedRule

# Each is counted in the sentences themselves: a rule about repeated tokens has a number where a token is repeated.
MEASURES: Mapping[str, Measure] = by_name(
    *COLUMNS.values(),
    Measure(
        "delta_share",
        "share of ΔE",
        "its part of what its layer's heads add to a word, by size",
        "share",
        "Kobayashi et al. 2020",
    ),
)


def named(measures: Iterable[str] | None, rules: Sequence[PaintedRule]) -> tuple[str, ...]:
    """The names of what is measured, in order. ValueError for a name that is unknown or there twice."""
    wanted = list(MEASURES if measures is None else measures)
    unknown = [name for name in wanted if name not in MEASURES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no measure; name some of {', '.join(MEASURES)}")
    quantities(wanted)  # names one that is there twice
    names = [*wanted, *(rule.name for rule in rules)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two measures are called {twice[0]!r}")
    if not names:
        raise ValueError("name at least one measure, or a rule")
    return tuple(names)


def measure_of(name: str, rules: Iterable[str]) -> Measure:
    """A measure as people read it; a rule of one's own is a share of weight. `rules` are as `str(rule)` writes them."""
    if name in MEASURES:
        return MEASURES[name]
    said = next((rule for rule in rules if rule.startswith(f"{name} = ")), name)
    return Measure(
        name,
        name,
        f"the share of its weight that follows the rule {said.removeprefix(f'{name} = ')}",
        "share",
        "a rule of one's own",
    )
