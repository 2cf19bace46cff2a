"""What one page may compute and send: a short link must not cost the server a minute.

The work of a sentence grows with the square of its tokens, so a page counts Σ tokens², over all that it reads. Beyond
the budget it computes nothing and says what would fit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from math import isqrt
from typing import TypeVar

from attn_core.errors import HeadlightError
from attn_core.settings import is_public, settings
from ui import words
from ui.server import passes

WORDS = words.beside(__file__)

PUBLIC, LOCAL = 600_000, 16_000_000  # two sentences of 512 tokens; sixty
DRAWN = 2_500_000  # cells of one picture, 2 bytes each

DOWNLOAD = 24_000_000  # bytes of one file that a public server makes; it lies in memory until its visitor leaves
DOWNLOAD_WAIT = 30.0  # seconds in the queue of those who want one
T = TypeVar("T")
_making = threading.BoundedSemaphore(1)


class TooMuch(HeadlightError):
    """A page asks for more than it may."""


def fitting(reads: Iterable[tuple[int, int]]) -> int | None:
    """How many tokens each sentence may have, where (tokens, how many times the work of one pass) of all exceed a
    page's budget; None where they fit.
    """
    reads = list(reads)
    budget = settings().page_tokens2 or (PUBLIC if is_public() else LOCAL)
    fits = sum(n * n * times for n, times in reads) <= budget
    return None if fits else isqrt(budget // sum(times for _, times in reads))


def hold_to(reads: Iterable[tuple[int, int]]) -> None:
    """Raise TooMuch where all sentences together exceed a page's budget, see `fitting`."""
    most = fitting(reads)
    if most is not None:
        raise TooMuch(WORDS.text("budget.too_much", tokens=most))


def hold_drawn(places: tuple[int, int], pictures: int) -> None:
    """Raise TooMuch where so many pictures of rows × columns exceed what one page may send."""
    if places[0] * places[1] * pictures > DRAWN:
        fitting = isqrt(DRAWN // pictures)
        raise TooMuch(WORDS.text("budget.too_many_places", places=max(places), fitting=fitting))


def made_in_turn(make: Callable[[], T]) -> T:
    """Run `make` when nobody else runs such work, which takes 100 to 200 MB: a file, or a recording's trace."""
    with passes.place(_making, DOWNLOAD_WAIT):
        return make()


def too_large(n_bytes: int) -> str | None:
    """Why a file of so many bytes is not offered here, or None where it is."""
    if not is_public() or n_bytes <= DOWNLOAD:
        return None
    return WORDS.text("budget.too_large", megabytes=n_bytes // 1_000_000, most=DOWNLOAD // 1_000_000)
