"""A model's hyper-parameters in our own words, whatever its family calls them; reading, changing and doubting them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attn_core.errors import HeadlightError
from attn_core.parameters.architectures.families import FAMILIES, Family
from attn_core.parameters.architectures.layout import Config

BOUNDS = {
    "d_model": (1, 65_536),
    "n_layers": (1, 512),
    "n_decoder_layers": (1, 512),
    "n_heads": (1, 512),
    "n_groups": (1, 512),
    "d_head": (1, 16_384),
    "d_ff": (1, 524_288),
    "vocabulary": (1, 10_000_000),
    "context": (1, 10_000_000),
}

_TWINS = {"n_heads": "n_decoder_heads", "d_ff": "decoder_d_ff"}
_DERIVED = ("d_head", "n_groups")  # every family knows what they are where nothing is said


class ImpossibleModel(HeadlightError):
    """The numbers of a configuration cannot be a model; the message says which and what would do."""


@dataclass(frozen=True)
class Shape:
    """The numbers that decide everything else. `n_groups` are the heads of keys and values; `n_decoder_layers` is 0
    where there is one stack; `context` is how many tokens the model can read; `gated` MLPs have a third matrix;
    `decoder_d_ff` is the width of the decoder's MLPs, 0 where there is no decoder of its own."""

    kind: str
    d_model: int
    n_layers: int
    n_heads: int
    d_head: int
    n_groups: int
    d_ff: int
    vocabulary: int
    context: int
    tied: bool
    n_decoder_layers: int = 0
    gated: bool = False
    decoder_d_ff: int = 0

    @property
    def n_blocks(self) -> int:
        """Blocks of all stacks."""
        return self.n_layers + self.n_decoder_layers

    @property
    def width(self) -> int:
        """heads × d_head, which most models make equal to d_model."""
        return self.n_heads * self.d_head


def shape_of(config: Config) -> Shape:
    """The shape that a complete configuration describes."""
    family = FAMILIES[config["model_type"]]
    numbers: dict[str, Any] = {name: config.get(theirs) for name, theirs in family.words.items()}
    d_model, n_heads, n_layers = numbers["d_model"], numbers["n_heads"], numbers["n_layers"]
    decoder_layers = (numbers.get("n_decoder_layers") or n_layers) if family.kind == "encoder-decoder" else 0
    d_ff = numbers["d_ff"] or 4 * d_model
    return Shape(
        kind=family.kind,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        d_head=numbers.get("d_head") or d_model // n_heads,
        n_groups=numbers.get("n_groups") or n_heads,
        d_ff=d_ff,
        vocabulary=numbers["vocabulary"],
        context=numbers["context"],
        tied=bool(numbers["tied"]),
        n_decoder_layers=decoder_layers,
        gated=family.gated or str(config.get("feed_forward_proj")).startswith("gated-"),
        decoder_d_ff=(numbers.get("decoder_d_ff") or d_ff) if decoder_layers else 0,
    )


def editable(config: Config) -> tuple[str, ...]:
    """Which of our words this family can be told, in the order in which papers print them."""
    family = FAMILIES[config["model_type"]]
    can_untie = family.words["tied"] not in family.assumes
    return tuple(name for name in (*BOUNDS, "tied") if name in family.words and (name != "tied" or can_untie))


def with_numbers(config: Config, **ours: Any) -> dict[str, Any]:
    """The configuration with some numbers changed, named in our words; what the family lacks is passed over.

    Where encoder and decoder have heads and MLPs of their own, both are changed together.
    """
    words = FAMILIES[config["model_type"]].words
    ours |= {twin: ours[name] for name, twin in _TWINS.items() if name in ours}
    return {**config, **{words[name]: value for name, value in ours.items() if name in words}}


def problems(config: Config) -> list[str]:
    """What makes these numbers impossible, each in one sentence that says what to do; empty when nothing does.

    >>> problems({"model_type": "gpt2", "n_embd": 770, "n_head": 12})
    ['d_model 770 does not divide into 12 heads; take 768 or 780, or another number of heads.']
    """
    family = FAMILIES[config["model_type"]]
    numbers = {name: {**family.defaults, **config}.get(theirs) for name, theirs in family.words.items()}
    found = [_out_of_bounds(name, numbers[name]) for name in BOUNDS if _is_said(name, numbers, family)]
    found = [sentence for sentence in (*found, *_of_another_kind(config, family)) if sentence]
    if not found:
        found = [s for s in (_indivisible(numbers, "d_head" in family.words), _groups(numbers)) if s]
    return found


def _out_of_bounds(name: str, value: Any) -> str:
    low, high = BOUNDS[name]
    ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return "" if ok else f"{name} must be a whole number from {low:,} to {high:,}, not {value}."


def _is_said(name: str, numbers: dict[str, Any], family: Family) -> bool:
    """Whether a number is there to be judged: left open, some are derived, and the others are missed."""
    may_be_open = name in _DERIVED or family.sizes.get(name) is None
    return name in family.words and not (numbers[name] is None and may_be_open)


def _of_another_kind(config: Config, family: Family) -> list[str]:
    """What the family's further options say that no such option can: words for numbers, numbers for words."""
    bounded = {family.words[name] for name in BOUNDS if name in family.words}
    found = []
    for name, usual in family.defaults.items():
        value = config.get(name, usual)
        if name in bounded or isinstance(usual, bool):
            continue
        if isinstance(usual, str) and not isinstance(value, str):
            found.append(f"{name} must be a word such as {usual!r}, not {value}.")
        low = 1 if name in family.words.values() else 0
        whole = type(value) is int and value >= low
        if not (isinstance(usual, str) or whole or (usual is None and value is None)):
            found.append(f"{name} must be a whole number from {low}, not {value}.")
    return found


def _indivisible(numbers: dict[str, Any], can_set: bool) -> str:
    d_model = numbers["d_model"]
    for n_heads in (numbers["n_heads"], numbers.get("n_decoder_heads") or numbers["n_heads"]):
        if not numbers.get("d_head") and d_model % n_heads:
            below = d_model // n_heads * n_heads
            near = f"{below:,} or {below + n_heads:,}" if below else f"{n_heads:,}"
            other = "set d_head" if can_set else "another number of heads"
            return f"d_model {d_model:,} does not divide into {n_heads:,} heads; take {near}, or {other}."
    return ""


def _groups(numbers: dict[str, Any]) -> str:
    n_heads, n_groups = numbers["n_heads"], numbers.get("n_groups") or numbers["n_heads"]
    if n_heads % n_groups == 0:
        return ""
    return f"{n_heads:,} heads cannot share {n_groups:,} keys and values evenly; the number of groups must divide it."
