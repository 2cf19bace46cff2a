"""Pairs of texts: two segments that a model reads as one line of tokens, and the attention from one to the other.

A tokenizer puts its frame around both, `[CLS] A [SEP] B [SEP]` in BERT, `<s> A </s></s> B </s>` in RoBERTa; what stands
between them belongs to the segment that it closes or opens. `Tokens.second` says where the second segment begins.

    tokens = encode_pair(tokenizer, "Who roamed?", "a fluffy blue creature roamed", limit=512)
    segment_shares(pattern, *segment_rows(tokens.second, len(tokens)))    # [query segment, key segment]

Source: Devlin et al. 2019, section 3 (sentence pairs and segment embeddings).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import EmptyText, HeadlightError
from attn_core.text.description import Description, describe
from attn_core.text.numbers import percent
from attn_core.text.tokens import CHARACTERS_PER_TOKEN, Tokens, tokenize, whole_characters

SEGMENTS = ("A", "B")
QUADRANTS = (("A→A", "A→B"), ("B→A", "B→B"))  # [query segment][key segment]


# --- From texts to tokens ------------------------------------------------------------------------------------------


def is_pair(given: Any) -> bool:
    """Whether somebody gave two texts, or the ids of two: a tuple of two that are no numbers."""
    return isinstance(given, tuple) and len(given) == 2 and all(hasattr(part, "__len__") for part in given)


def takes_pairs(tokenizer: Any) -> bool:
    """Whether a tokenizer tells two texts apart: around a pair it puts more special tokens than around one text."""
    count = getattr(tokenizer, "num_special_tokens_to_add", None)
    return count is not None and count(pair=True) > count(pair=False)


def encode_pair(tokenizer: Any, first: str, second: str, limit: int) -> Tokens:
    """Cut two texts into tokens in the tokenizer's own frame for pairs, at most `limit` of them together.

    Where they are too long the longer one is cut first, and neither to less than half of the room: see `shared_room`.
    Raises EmptyText where one of them has no word.
    """
    texts, unread = _cut([first, second], CHARACTERS_PER_TOKEN * limit)
    for name, text in zip(("first", "second"), texts, strict=True):
        if not text.strip():
            raise EmptyText(f"There is no word in the {name} sentence of the pair yet.")
    encoded = tokenize(tokenizer, texts[0], pair=texts[1])
    ids, added = encoded["input_ids"], encoded["special_tokens_mask"]
    starts = [i for i, frame in enumerate(added) if not frame and (i == 0 or added[i - 1])]
    if len(starts) != 2:
        raise HeadlightError("This model's tokenizer cannot tell where the second sentence of this pair begins.")
    ends = [next((i for i in range(start, len(ids)) if added[i]), len(ids)) for start in starts]
    sizes = [end - start for start, end in zip(starts, ends, strict=True)]
    room = limit - (len(ids) - sum(sizes))
    if room < 2:
        raise ValueError(f"a limit of {limit} leaves no room beside {limit - room} special tokens")
    left = shared_room(sizes[0], sizes[1], room)
    gone = {i for start, end, n in zip(starts, ends, left, strict=True) for i in range(start + n, end)}
    kept = [i for i in range(len(ids)) if i not in gone]
    types = [encoded["token_type_ids"][i] for i in kept] if any(encoded.get("token_type_ids", [])) else None
    opens = ends[0] + -(-(starts[1] - ends[0]) // 2)  # what stands between them: one half closes, the other opens
    at = kept.index(opens)
    own = [ids[i] for i in kept]
    later = partial(_described, tokenizer, own, texts, _places(encoded, texts, opens, kept), at)
    known = {"dropped": len(gone), "unread": unread, "second": at, "second_text": texts[1], "types": types}
    return Tokens.described_later(own, later, doubled=_doubled(tokenizer, ids, starts, ends), **known)


def _cut(texts: Sequence[str], most: int) -> tuple[list[str], int]:
    """Both texts with `most` characters together, and how many were left out."""
    left = shared_room(len(texts[0]), len(texts[1]), most)
    unread = sum(map(len, texts)) - sum(left)
    return [whole_characters(text[:n]) for text, n in zip(texts, left, strict=True)], unread


def shared_room(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts is kept in so much room: the longer gives way, and neither below half of it.

    >>> shared_room(3, 4, 9), shared_room(10, 3, 8), shared_room(10, 10, 9)
    ((3, 4), (5, 3), (5, 4))
    """
    of_first = min(first, max(room - second, -(-room // 2)))
    return of_first, min(second, room - of_first)


def _places(encoded: Any, texts: Sequence[str], opens: int, kept: Sequence[int]) -> list[tuple[int, int]] | None:
    """Where each token lies in both texts, one a line; None where the tokenizer does not say."""
    if "offset_mapping" not in encoded:
        return None
    shift = len(texts[0]) + 1
    spans = encoded["offset_mapping"]
    return [(a + shift, b + shift) if i >= opens else (a, b) for i, (a, b) in ((i, spans[i]) for i in kept)]


def _described(
    tokenizer: Any, ids: list[int], texts: Sequence[str], spans: list[tuple[int, int]] | None, second: int
) -> Description:
    made = describe(tokenizer, ids, target=False, text="\n".join(texts), spans=spans, second=second)
    return made._replace(text=texts[0])


def _doubled(tokenizer: Any, ids: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> tuple[str, ...]:
    """Special tokens that were typed where the frame has them already: at either end, and between the two."""
    between = ids[ends[0] : starts[1]]
    typed = [(ids[starts[0]], ids[: starts[0]]), (ids[ends[0] - 1], between), (ids[starts[1]], between)]
    typed.append((ids[ends[1] - 1], ids[ends[1] :]))
    return tuple(tokenizer.convert_ids_to_tokens([i for i, frame in typed if i in frame]))


def pair_of_ids(tokenizer: Any, first: Sequence[int], second: Sequence[int], limit: int) -> Tokens:
    """Describe a pair that is already ids, its frame among them; nothing is added, and beyond the limit it is cut."""
    if not len(first) or not len(second):
        raise EmptyText("There are no token ids in one of the two sentences of the pair.")
    if limit < 2:
        raise ValueError(f"a limit of {limit} leaves no room for two sentences")
    left = shared_room(len(first), len(second), limit)
    own, at = [*first[: left[0]], *second[: left[1]]], left[0]
    later = partial(describe, tokenizer, own, target=False, second=at)
    told = "token_type_ids" in getattr(tokenizer, "model_input_names", ())
    types = [int(i >= at) for i in range(len(own))] if told else None
    dropped = len(first) + len(second) - len(own)
    return Tokens.described_later(own, later, dropped=dropped, from_ids=True, second=at, types=types)


# --- From one segment to the other ----------------------------------------------------------------------------------


def segment_rows(second: int, n: int) -> NDArray[np.bool_]:
    """Which of n rows are of which segment, bool [segment, row].

    >>> segment_rows(2, 3).astype(int).tolist()
    [[1, 1, 0], [0, 0, 1]]
    """
    of_second = np.arange(n) >= second
    return np.stack([~of_second, of_second])


def segment_shares(
    pattern: NDArray[np.floating], queries: NDArray[np.bool_], keys: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """How much of its attention each segment pays to each: [..., query, key] → [..., query segment, key segment].

    share[s, t] = the mean over the rows of segment s of Σ pattern[row, key] over the keys of segment t. Special tokens
    belong to their segment, as rows and as keys. Masked cells may be NaN and count as 0; rows without any number (that
    had only the hidden sink) are left out of the mean, and where none is left the share is NaN. Where every key belongs
    to a segment, the two shares of a segment sum to 1. `queries` and `keys` are bool [segment, row] and [segment, key],
    see `segment_rows`.

    >>> pattern = np.array([[0.5, 0.5, 0.0], [0.0, 0.75, 0.25], [0.25, 0.0, 0.75]])
    >>> segment_shares(pattern, segment_rows(2, 3)).tolist()
    [[0.875, 0.125], [0.25, 0.75]]
    """
    return segment_shares_of_blocks([(slice(None), pattern)], queries, queries if keys is None else keys)


def segment_shares_of_blocks(
    blocks: Iterable[tuple[slice, NDArray[np.floating]]], queries: NDArray[np.bool_], keys: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The same of a pattern that comes in blocks of its rows: (rows, [..., row, key])."""
    weight: Any = 0.0  # [..., query segment, key segment]
    n: Any = 0  # rows that count, [..., query segment]
    for rows, pattern in blocks:
        finite = np.isfinite(pattern)
        weights = np.where(finite, pattern, np.float32(0))
        to = np.stack([weights[..., of].sum(axis=-1, dtype=float) for of in keys], axis=-1)  # [..., row, key segment]
        counted = [finite.any(axis=-1) & of[rows] for of in queries]  # [..., row] of each segment
        weight = weight + np.stack([(to * own[..., None]).sum(axis=-2) for own in counted], axis=-2)
        n = n + np.stack([own.sum(axis=-1) for own in counted], axis=-1)
    found = np.divide(weight, n[..., None], out=np.full_like(weight, np.nan), where=n[..., None] > 0)
    return np.asarray(found, np.float32)


class HasSecond(Protocol):
    """What says where its second segment begins: tokens, or the rows of a picture."""

    @property
    def second(self) -> int | None: ...


def second_of(queries: HasSecond, keys: HasSecond) -> tuple[int, int] | None:
    """The row and the column where the second segment of a pair begins; None where one text was read."""
    return None if queries.second is None or keys.second is None else (queries.second, keys.second)


class Segments(NamedTuple):
    """The two segments of a pair in a matrix as it is shown: where the second begins, as a row and as a column, and of
    a pattern the shares of attention, [query segment, key segment]; None where its numbers are no weights."""

    row: int
    column: int
    shares: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, pattern: NDArray[np.floating], row: int, column: int) -> Segments:
        """Those of a pattern [row, column]."""
        n_rows, n_columns = pattern.shape
        return cls(row, column, segment_shares(pattern, segment_rows(row, n_rows), segment_rows(column, n_columns)))

    @property
    def said(self) -> str:
        """ "A→A 62 %, A→B 38 %, B→A 20 %, B→B 80 %"; a share without numbers is a dash."""
        return ", ".join(f"{name} {'–' if n is None else percent(n)}" for name, n in self.by_name.items())

    @property
    def by_name(self) -> dict[str, float | None]:
        """The share of each quadrant; None where no row has a number, and nothing where there are no weights."""
        shares = [] if self.shares is None else self.shares.ravel().tolist()
        return {name: n if np.isfinite(n) else None for name, n in zip(sum(QUADRANTS, ()), shares, strict=False)}

    def packed(self) -> dict[str, Any]:
        """The same for a packet."""
        shares = list(self.by_name.values())
        return {"at": [self.row, self.column], "names": QUADRANTS, "shares": [shares[:2], shares[2:]]}

    @property
    def spoken(self) -> str:
        """The same for who hears it: "Attention from A to A 62 %, from A to B 38 %, …"."""
        return "Attention " + self.said.replace("→", " to ").replace("A to", "from A to").replace("B to", "from B to")
