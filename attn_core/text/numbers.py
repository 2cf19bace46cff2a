"""Numbers as people read them: percent, signs, large counts, bytes. Every number on a picture or a page is said here.

`assets/canvas/numbers.js` says the same for what is drawn while a pointer moves; a test runs both and compares them.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TypeVar

import numpy as np

from attn_core.tolerances import SAME_DIRECTION

MINUS = "\N{MINUS SIGN}"
LEAST_SAID = 5e-5  # smaller numbers of a sentence are "≈ 0"


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


def whole_percent(share: float) -> str:
    """A share of a difference, which may be below 0 or above 1, without digits behind the point; "–" for NaN.

    >>> [whole_percent(s) for s in (0.954, -0.031, -0.001, 1.2, float("nan"))]
    ['95 %', '−3 %', '0 %', '120 %', '–']
    """
    return "–" if math.isnan(share) else f"{round(100 * share) or 0} %".replace("-", MINUS)


def tenths_of_percent(share: float) -> str:
    """A share with one digit behind the point, where shares stand beside each other or one is nearly a third.

    >>> tenths_of_percent(0.33098), tenths_of_percent(0.5)
    ('33.1 %', '50.0 %')
    """
    return f"{100 * share:.1f} %"


def coarse_percent(share: float) -> str:
    """A share of a sum, such as a head's of its layer: never finer than a tenth of a percent; "–" for NaN.

    >>> [coarse_percent(s) for s in (0.113, 0.0534, 0.0004, 0.0, float("nan"))]
    ['11 %', '5.3 %', '< 0.1 %', '0 %', '–']
    """
    if math.isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return whole_percent(share) if share >= 0.0995 or share == 0 else tenths_of_percent(share)


def signed_hundredths(number: float) -> str:
    """A signed number with two digits behind the point; one that rounds to 0 has no sign.

    >>> signed_hundredths(-1.234), signed_hundredths(0.5), signed_hundredths(-0.004)
    ('−1.23', '+0.50', '0.00')
    """
    return f"{number:+.2f}".replace("-", MINUS) if abs(number) >= 0.005 else "0.00"


def hundredths(number: float) -> str:
    """A number with two digits behind the point, and a true minus sign; one that rounds to 0 has none.

    >>> hundredths(-1.234), hundredths(0.5), hundredths(-0.004)
    ('−1.23', '0.50', '0.00')
    """
    return f"{round(number, 2) or 0:.2f}".replace("-", MINUS)


def signed_count(count: int) -> str:
    """A whole number with its sign and commas.

    >>> signed_count(-38_597_376), signed_count(7)
    ('−38,597,376', '+7')
    """
    return f"{count:+,}".replace("-", MINUS)


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


def number(value: float, digits: int = 3) -> str:
    """A number for a sentence: three digits, a true minus sign, nothing smaller than a person would read.

    >>> number(-0.12345), number(12345.6), number(2.0), number(3e-7)
    ('−0.123', '12,346', '2', '≈ 0')
    """
    value = float(value)
    if 0 < abs(value) < LEAST_SAID:
        return "≈ 0"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def percent_or_masked(weight: float) -> str:
    """A weight in percent; NaN is "masked", which is not zero."""
    return "masked" if math.isnan(weight) else percent(float(weight))


def percent_or_number(weight: float) -> str:
    """A weight that need not be a share any more: percent from 0 to 1, a plain number outside."""
    return percent(weight) if 0 <= weight <= 1 else number(weight)


Text = TypeVar("Text", bound=str)


def unbroken(text: Text) -> Text:
    """The same text, or HTML, with every number and its percent sign on one line.

    >>> unbroken("19 % on fluffy")
    '19\xa0% on fluffy'
    """
    return text.replace(" %", "\N{NO-BREAK SPACE}%")  # type: ignore[return-value]  # Markup gives Markup
