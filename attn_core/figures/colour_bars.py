"""What the colours of a picture mean: the bar beside it, with its title, its ends and its words.

The screen and the saved picture draw the same bar: it travels in the header of a canvas packet (`packed`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attn_core.figures.colours import Scale
from attn_core.text.numbers import percent, signed

SCALES: dict[Scale, str] = {"sqrt": "√ scale", "linear": "linear scale"}


@dataclass(frozen=True)
class ColourBar:
    """Colours that run from `low` to `high`; `signed` ones diverge from 0 in their middle.

    `ticks` are numbers and the words that stand at them, the ends first and last; `titles` has a title for each scale.
    """

    titles: dict[Scale, str]
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    signed: bool = False

    def packed(self) -> dict[str, Any]:
        """The bar as a part of a packet's header."""
        return {
            "titles": self.titles,
            "domain": [self.low, self.high],
            "ticks": [list(tick) for tick in self.ticks],
            "signed": self.signed,
        }


def weight_bar(top: float = 1.0) -> ColourBar:
    """Weights in percent, from 0 to `top`."""
    ticks = tuple((top * share, percent(top * share)) for share in (0, 0.25, 0.5, 1))
    return ColourBar({scale: f"weight, {name}" for scale, name in SCALES.items()}, 0.0, top, ticks)


def signed_bar(title: str, top: float, say: Callable[[float], str] = signed) -> ColourBar:
    """Numbers of both signs, from −top through 0 to top; `say` gives the words at the ticks."""
    top = top or 1.0
    ticks = ((-top, say(-top)), (0.0, "0"), (top, say(top)))
    return ColourBar(dict.fromkeys(SCALES, title), -top, top, ticks, signed=True)


def size_bar(title: str, top: float, say: Callable[[float], str]) -> ColourBar:
    """Numbers of one sign, from 0 to `top`; colours may follow their square root."""
    top = top or 1.0
    titles: dict[Scale, str] = {"linear": title, "sqrt": f"{title}, {SCALES['sqrt']}"}
    return ColourBar(titles, 0.0, top, ((0.0, "0"), (top, say(top))))
