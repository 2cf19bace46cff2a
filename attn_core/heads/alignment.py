"""Several sentences on one axis: which token stands where the other's does, and patterns moved there.

Equal runs meet, a word that was replaced shares its place with its replacement ("are"/"is"), and a word that only one
sentence has leaves a gap in the others. Source: Ratcliff & Metzener 1988, as in `difflib`.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.sink import Bools, Floats
from attn_core.text.tokens import Tokens
from attn_core.text.unknown_words import as_typed
from attn_core.text.whole_words import word_pattern
from attn_core.tolerances import SMALLEST

Cells = TypeVar("Cells", Floats, Bools)
Places = tuple[int | None, ...]  # the position that stands at each place of the axis, None for a gap


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[Places, Places]:
    """Put two token sequences side by side.

    >>> align(["keys", "are", "here"], ["keys", "is", "not", "here"])
    ((0, 1, None, 2), (0, 1, 2, 3))
    """
    left: list[int | None] = []
    right: list[int | None] = []
    for _, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        length = max(a_to - a_from, b_to - b_from)
        left += [*range(a_from, a_to), *[None] * (length - (a_to - a_from))]
        right += [*range(b_from, b_to), *[None] * (length - (b_to - b_from))]
    return tuple(left), tuple(right)


def align_all(sequences: Sequence[Sequence[Hashable]]) -> list[Places]:
    """Put several token sequences side by side, one after the other; all results have the same length.

    >>> align_all(["ac", "abc", "ab"])
    [(0, None, 1), (0, 1, 2), (0, 1, None)]
    """
    places: list[Places] = []
    axis: list[Hashable] = []  # what stands at each place so far, by the first sequence that has it
    for n, sequence in enumerate(sequences):
        if sequence in sequences[:n]:  # the same sentence stands at the same places
            places.append(places[list(sequences).index(sequence)])
            continue
        old, new = align(axis, sequence)
        places = [tuple(None if i is None else own[i] for i in old) for own in places] + [new]
        axis = [sequence[j] if i is None else axis[i] for i, j in zip(old, new, strict=True)]  # type: ignore[index]
    return places


def paired(a: Places, b: Places) -> NDArray[np.int_]:
    """The places at which both have a token, as indices."""
    both = (x is not None and y is not None for x, y in zip(a, b, strict=True))
    return np.flatnonzero(list(both))


def on_axes(cells: Cells, queries: Places, keys: Places) -> Cells:
    """Move a pattern, or a mask, [..., query, key] onto shared axes, [..., place, place]; rows and columns of gaps
    are 0 (False)."""
    rows = np.array([i for i, q in enumerate(queries) if q is not None], dtype=int)
    columns = np.array([i for i, k in enumerate(keys) if k is not None], dtype=int)
    moved = np.zeros((*cells.shape[:-2], len(queries), len(keys)), dtype=cells.dtype)
    source = cells[..., [q for q in queries if q is not None], :][..., [k for k in keys if k is not None]]
    moved[..., rows[:, None], columns] = source
    return moved


def said_words(tokens: Tokens) -> list[str]:
    """A sentence's words, special tokens left out, in small letters: what two tokenizers have in common.

    The mark of a word that a model has not met is left out too: it is the same word.
    """
    names = zip(tokens.word_labels, _special_words(tokens), strict=True)
    return [as_typed(name.lower()) for name, special in names if not special]


def between_said_words(pattern: Floats, queries: Tokens, keys: Tokens) -> Floats:
    """A pattern between pieces, [..., query, key], as one between words without special tokens; rows sum to 1.

    What a word receives is the sum over its pieces, what it asks is their mean (Clark et al. 2019, section 4.1), and
    what rested on special tokens is taken out before the rest is renormalised. A row that had nothing else is 0.
    """
    words = word_pattern(pattern, queries.words, keys.words)
    asks, answers = ~_special_words(queries), ~_special_words(keys)
    said = words[..., asks, :][..., answers]
    total = said.sum(axis=-1, keepdims=True)
    result: Floats = np.divide(said, total, out=np.zeros_like(said), where=total > SMALLEST)
    return result


def _special_words(tokens: Tokens) -> Bools:
    """Which of `tokens.word_labels` is a special token."""
    firsts = [i for i, word in enumerate(tokens.words) if word is None or i == 0 or word != tokens.words[i - 1]]
    return np.array([tokens.words[i] is None for i in firsts], dtype=bool)


def may_look_between_said_words(may_look: Bools, queries: Tokens, keys: Tokens) -> Bools:
    """A mask between pieces as one between words without special tokens: a word may if any of its pieces may."""
    words = word_pattern(may_look.astype(float), queries.words, keys.words) > 0
    return words[~_special_words(queries)][:, ~_special_words(keys)]
