"""What the card of a head says on screen: its headline, its numbers, its rows of pairs and arcs. No Streamlit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from attn_core.circuits.head_card import head_card
from attn_core.figures.circuits.head_card import Arc
from attn_core.text.numbers import percent, signed
from ui import words
from ui.server.passes import run_uncached

if TYPE_CHECKING:
    from attn_core import Model
    from attn_core.circuits.head_card import HeadCard, NearHead, TokenPair
    from attn_core.traces.trace import Trace
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__, "card.toml")
COPIES, MATCHES = 0.3, 0.3  # from when the headline says that a head copies, or follows a repetition
MOST_ARCS = 9


def card_of(
    model: Model, handle: ModelHandle, stream: str, layer: int, head: int, progress: Callable[[float], None]
) -> HeadCard:
    """`head_card`, each pass in its turn among those of other visitors."""

    def run(_: Model, text: str | list[int], **options: Any) -> Trace:
        return run_uncached(handle, text, **options)

    return head_card(model, layer, head, stream=stream, run=run, progress=progress)


def headline(card: HeadCard) -> Markup:
    """What the head does, in two sentences."""
    if card.copying != card.copying:
        moves = WORDS.html("lead.moves.unknown", head=card.name)
    else:
        kind = "copies" if card.copying >= COPIES else "suppresses" if card.copying <= -COPIES else "neither"
        moves = WORDS.html("lead.moves", kind, head=card.name, score=signed(card.copying))
    follows = "cross" if card.prefix_matching != card.prefix_matching else "no"
    if card.prefix_matching >= MATCHES:
        follows = "yes"
    looks = WORDS.html("lead.looks", follows, share=percent(card.prefix_matching if follows != "cross" else 0.0))
    return words.together(moves, looks)


def numbers(card: HeadCard) -> list[tuple[str, str]]:
    """The three scores with what each is; those that mean nothing here are left out."""
    chance = percent(card.prefix_chance) if card.prefix_chance == card.prefix_chance else ""
    said = (
        (card.copying, signed(card.copying), WORDS.text("numbers.copying", words=card.words_are)),
        (card.prefix_matching, percent(card.prefix_matching), WORDS.text("numbers.prefix", chance=chance)),
        (card.copying_on_repeats, percent(card.copying_on_repeats), WORDS.text("numbers.repeats")),
    )
    return [(number, what) for value, number, what in said if value == value]


def pair_names(pairs: tuple[TokenPair, ...]) -> list[str]:
    return [f"{pair.first} → {pair.second}" for pair in pairs]


def arcs(card: HeadCard) -> list[Arc]:
    """The earlier heads that it reads most above chance, at most so many that a picture holds."""
    found = card.composition[card.composition.above > 0].sort_values("above", ascending=False).head(MOST_ARCS)
    own = lambda stream: "" if stream == "self" else f"{stream} "  # noqa: E731
    return [
        Arc(f"{own(row.stream)}head {row.layer}.{row.head}", int(row.layer), row.through, float(row.above))
        for row in found.itertuples()
    ]


def near(card: HeadCard) -> list[tuple[str, list[str]]]:
    """The nearest heads by each of three measures: its title, and "1.2 (0.35)" of each."""
    found: list[tuple[str, tuple[NearHead, ...]]] = [
        (WORDS.text("near.behaviour"), card.near_by_behaviour),
        (WORDS.text("near.qk"), card.near_by_qk),
        (WORDS.text("near.ov"), card.near_by_ov),
    ]
    return [(title, [f"{each.layer}.{each.head} ({each.value:.2f})" for each in heads]) for title, heads in found]


def columns(card: HeadCard) -> list[tuple[str, list[str]]]:
    """The card in words, for its one picture."""
    return [
        (WORDS.text("whole.scores"), [f"{number}  {what}" for number, what in numbers(card)]),
        (WORDS.text("reads.title"), pair_names(card.reads)[:8]),
        (WORDS.text("writes.title"), pair_names(card.writes)[:8]),
        (WORDS.text("near.title"), [f"{title}: {', '.join(heads[:3])}" for title, heads in near(card)]),
    ]
