"""The palette, light and dark, as plain data: the same colours for Plotly, for the canvas and for an offline file.

Roles keep their colour on every page: query gold, key teal, value red, ΔE violet, E the text colour, masked a quiet
hatch. Weights run from light to deep in steps that look equal (equal distances in OKLab); signed data run blue –
neutral – orange, and neutral is the card behind them. All are told apart by lightness too, never by hue alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

Theme = Literal["light", "dark"]
Scale = Literal["sqrt", "linear"]
ColourScale = list[tuple[float, str]]  # Plotly's form: position in [0, 1], colour

ROLES: dict[Theme, dict[str, str]] = {
    "light": {
        "background": "#fbfaf7",
        "card": "#ffffff",
        "ink": "#23211d",
        "soft": "#6f6a60",
        "line": "#e6e1d6",
        "accent": "#b45309",
        "accent_back": "#fef3d6",
        "query": "#976900",
        "key": "#0f766e",
        "value": "#b4232f",
        "delta": "#6d3fc0",
        "embedding": "#23211d",
        "masked": "#d3ccbd",
    },
    "dark": {
        "background": "#14130f",
        "card": "#1c1a16",
        "ink": "#ece8df",
        "soft": "#a39c8d",
        "line": "#322e27",
        "accent": "#fbbf4d",
        "accent_back": "#3a2c10",
        "query": "#e3b341",
        "key": "#4fd1c5",
        "value": "#ff8087",
        "delta": "#b79bff",
        "embedding": "#ece8df",
        "masked": "#4a443a",
    },
}

# Weights, from nothing to everything.
SEQUENTIAL: dict[Theme, list[str]] = {
    "light": [
        "#f5f2ea",
        "#dedbe2",
        "#c7c5d8",
        "#b0aecd",
        "#9a98c0",
        "#8583b2",
        "#706ea3",
        "#5c5a93",
        "#494681",
        "#37336f",
        "#26205c",
    ],
    "dark": [
        "#1e1c18",
        "#332b1c",
        "#483a21",
        "#5f4b26",
        "#765c2c",
        "#8d6e35",
        "#a4813f",
        "#bb954d",
        "#d2aa5c",
        "#e9c06e",
        "#ffd682",
    ],
}

# Signed data, from the most negative through nothing to the most positive.
DIVERGING: dict[Theme, list[str]] = {
    "light": [
        "#17488f",
        "#406cae",
        "#6a91ca",
        "#98b6e1",
        "#cadbf3",
        "#ffffff",
        "#f7d7c8",
        "#e8af94",
        "#d38865",
        "#b86339",
        "#9a3f06",
    ],
    "dark": [
        "#86b8ff",
        "#6994d1",
        "#5073a2",
        "#3c5372",
        "#2b3543",
        "#1c1a16",
        "#47311d",
        "#744a25",
        "#a36731",
        "#d18743",
        "#ffab5c",
    ],
}

# Things that have no order: heads beside each other, kinds of head, models. At most eight; never alone, always named.
CATEGORIES: dict[Theme, list[str]] = {
    "light": [
        "#0b62a4",
        "#c2530a",
        "#0a7d62",
        "#a83a82",
        "#7a6200",
        "#2f8fbd",
        "#5b3fb0",
        "#5d5d5d",
    ],
    "dark": [
        "#6fb1f2",
        "#ff9e4a",
        "#4fd1a5",
        "#f29ad1",
        "#e3c341",
        "#9fdcff",
        "#b79bff",
        "#b8b2a6",
    ],
}


# Words on a coloured cell: the first on light cells, the second on dark ones (see `ink_on`).
INKS = ("#16140f", "#ffffff")


def roles(theme: Theme) -> dict[str, str]:
    """The colours of the roles in one theme, by name."""
    return ROLES[theme]


def sequential(theme: Theme, scale: Scale = "linear") -> ColourScale:
    """The scale of weights for Plotly, on [0, 1].

    With `scale="sqrt"` the colours, not the numbers, follow the square root: small weights become visible and every
    cell keeps its true value.
    """
    steps = SEQUENTIAL[theme]
    positions = [i / (len(steps) - 1) for i in range(len(steps))]
    return [(p * p if scale == "sqrt" else p, colour) for p, colour in zip(positions, steps, strict=True)]


def diverging(theme: Theme) -> ColourScale:
    """The scale of signed numbers for Plotly; use it with a range that is centred on 0."""
    steps = DIVERGING[theme]
    return [(i / (len(steps) - 1), colour) for i, colour in enumerate(steps)]


def palette() -> dict[str, dict[str, object]]:
    """Everything of both themes, as the canvas components receive it."""
    return {
        theme: {
            "roles": ROLES[theme],
            "sequential": SEQUENTIAL[theme],
            "diverging": DIVERGING[theme],
            "categories": CATEGORIES[theme],
            "inks": INKS,
        }
        for theme in ROLES
    }


def shade(steps: Sequence[str], share: float) -> str:
    """The colour at `share` in [0, 1] of evenly spaced colours; what lies beyond has the first or the last."""
    at = max(0.0, min(1.0, share)) * (len(steps) - 1)
    low = min(int(at), len(steps) - 2)
    return _hex(a + (b - a) * (at - low) for a, b in zip(channels(steps[low]), channels(steps[low + 1]), strict=True))


def channels(colour: str) -> list[int]:
    """Red, green and blue of "#rrggbb", 0 … 255."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def ink_on(colour: str) -> str:
    """The ink that can be read on a colour, by its relative luminance (WCAG 2)."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return INKS[0] if luminance > 0.2 else INKS[1]


def _hex(parts: Iterable[float]) -> str:
    return "#" + "".join(f"{int(part + 0.5):02x}" for part in parts)


def mixed(colour: str, back: str, share: float) -> str:
    """`share` of one colour in another, both "#rrggbb"."""
    pairs = zip(channels(colour), channels(back), strict=True)
    return _hex(share * a + (1 - share) * b for a, b in pairs)


def role_colours(theme: Theme) -> dict[str, str]:
    """A fill for each role: query gold, key teal, value red, value up in ΔE's violet, the MLP grey, E the text's."""
    role = roles(theme)
    fills = {name: mixed(role[name], role["card"], 0.86) for name in ("query", "key", "value")}
    fills["output"] = mixed(role["delta"], role["card"], 0.86)
    fills["fused"] = mixed(role["accent"], role["card"], 0.7)
    fills |= {name: mixed(role["ink"], role["card"], 0.8) for name in ("embedding", "unembedding")}
    greys = {"up": 0.66, "mlp": 0.66, "gate": 0.54, "down": 0.42, "position": 0.3, "norm": 0.22, "bias": 0.16}
    fills |= {name: mixed(role["soft"], role["card"], share) for name, share in greys.items()}
    return {**fills, "other": mixed(role["soft"], role["card"], 0.1)}
