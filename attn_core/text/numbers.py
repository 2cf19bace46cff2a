"""Numbers as people read them: percent, signs, large counts, bytes. Every number on a picture or a page is said here.

`assets/canvas/numbers.js` says the same for what is drawn while a pointer moves; a test runs both and compares them.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from attn_core.tolerances import SAME_DIRECTION

MINUS = "\N{MINUS SIGN}"


def percent(weight: float) -> str:
    """A weight as people say it: two digits, more only where 100 % would be untrue.

    >>> [percent(w) for w in (0.1934, 0.0534, 0.00421, 0.9995, 1.0, 0.00001, 0.0)]
    ['19 %', '5.3 %', '0.42 %', '99.95 %', '100 %', '< 0.01 %', '0 %']
    """
    if weight <= 0:
        return "0 %"
    if weight < 0.0001:
        return "< 0.01 %"
    if weight < 0.0995:
        return f"{100 * weight:.2g} %"
    return f"{100 * weight:.{2 if 0.995 <= weight < 0.99995 else 0}f} %"


def percents(weights: np.ndarray) -> np.ndarray:
    """`percent` of every cell of [query, key]; a masked cell (NaN) counts as 0. Gives str [query, key].

    Cells are first rounded as far as they will be read: few different numbers remain, and only those become words.
    """
    w = np.nan_to_num(weights.astype(np.float64), nan=0.0)
    top = (w >= 0.995) & (w < 0.99995)
    ranges = [w <= 0, w < 0.0001, w < 0.000995, w < 0.00995, w < 0.0995, top]
    read = np.select(ranges, [0 * w, 0 * w + 1e-9, w.round(5), w.round(4), w.round(3), w.round(4)], w.round(2))
    different, which = np.unique(read, return_inverse=True)
    words = np.array([percent(float(number)) for number in different], dtype=object)
    return words[which].reshape(w.shape)


def signed(number: float) -> str:
    """A signed number with a true minus sign and three digits.

    >>> signed(-0.12345), signed(2.0)
    ('−0.123', '+2')
    """
    return f"{number:+.3g}".replace("-", MINUS) if number else "0"


def two_digits(number: float) -> str:
    """A cosine or correlation as people read it: two digits, and 1.00 only where it is 1; none where it is undefined.

    >>> [two_digits(r) for r in (0.5, -0.126, 0.9955, -0.99951, 0.9999999, -0.001, float("nan"))]
    ['0.50', '−0.13', '0.996', '−0.9995', '1.00', '0.00', '–']
    """
    if math.isnan(number):
        return "–"
    nearly = abs(number) < 1 - SAME_DIRECTION  # what rounding alone may lack to 1 is none of it
    digits = next((n for n in range(2, 7) if round(abs(number), n) < 1), 2) if nearly else 2
    return f"{round(number, digits) or 0:.{digits}f}".replace("-", MINUS)


def signed_percent(share: float) -> str:
    """A share that may be negative, in percent.

    >>> signed_percent(-0.25), signed_percent(0.5)
    ('−25 %', '50 %')
    """
    return percent(share) if share >= 0 else MINUS + percent(-share)


def short(count: float) -> str:
    """A large number as people say it, three digits: thousand, million, billion, trillion by their letters.

    >>> [short(n) for n in (384, 6_291_456, 57_982_058_496, 999_999)]
    ['384', '6.29 M', '58.0 B', '1.00 M']
    """
    for letter in ("", " k", " M", " B", " T"):
        if abs(count) < 999.5 or letter == " T":
            return f"{count:,.0f}" if not letter else f"{count:#.3g}".rstrip(".") + letter
        count /= 1000
    raise AssertionError


def byte_size(count: float) -> str:
    """Bytes as people say them, in powers of 1,000.

    >>> byte_size(349_208_518_656), byte_size(12_288), byte_size(96)
    ('349 GB', '12.3 kB', '96 bytes')
    """
    said = short(count)
    return f"{said} bytes" if said.isdigit() else f"{said.replace(' B', ' G')}B"


def significant(number: float, digits: int = 4) -> str:
    """A number with so many digits, without zeros that say nothing, and with a true minus sign.

    >>> significant(-0.123456), significant(12345.678), significant(2.0), significant(1.5e-9)
    ('−0.1235', '12350', '2', '1.5e−9')
    """
    if not number:
        return "0"
    mantissa, _, power = f"{number:.{digits - 1}e}".partition("e")
    plain = -6 <= int(power) < 21  # where JavaScript writes no power of ten
    text = f"{Decimal(f'{number:.{digits}g}'):f}" if plain else f"{float(mantissa):g}e{int(power):+d}"
    return text.replace("-", MINUS)


def in_cell(number: float) -> str:
    """A number for a small cell: whole ones as they are, others with two decimals, fewer where they are large.

    >>> [in_cell(n) for n in (3.0, -0.126, 12.34, 123.4)]
    ['3', '−0.13', '12.3', '123']
    """
    digits = 0 if number == int(number) else 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2
    return f"{number or 0:.{digits}f}".replace("-", MINUS)


def points(difference: float) -> str:
    """A difference of two shares, in points of a percent, with its sign.

    >>> points(0.123), points(-0.0042), points(0.0)
    ('+12 points', '−0.42 points', '+0 points')
    """
    return f"{MINUS if difference < 0 else '+'}{significant(abs(100 * difference), 2)} points"


def scientific(number: float) -> str:
    """A very small number, by its power of ten.

    >>> scientific(3.2e-08), scientific(0.0), scientific(float("nan"))
    ('3 × 10⁻⁸', '0', 'not a number')
    """
    if not math.isfinite(number):
        return "not a number"
    digits, power = f"{number:.0e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{raised}" if number else "0"
