"""What a head's two circuits do to the words of a vocabulary: whether it copies, and which words it pairs.

    QK   E W_Q R (E W_K)ᵀ     which word looks at which
    OV   E W_V · W_O W_U      which word it raises when it looks at one

E is the table of embeddings and W_U the unembedding (or E again where a model has none), each on the direct path: as if
nothing but the word stood in the stream. Both are [word, word] and never built: tables [word, d_head] are, in chunks.

Source: Elhage et al. 2021, the parts on copying and on freely reading off circuits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attn_core.circuits.direct_path import DirectPath, DirectPaths
from attn_core.circuits.head_matrices import HeadMatrices
from attn_core.circuits.strongest_pairs import strongest_pairs
from attn_core.circuits.writers.additions import Floats
from attn_core.tolerances import SMALLEST

CHUNK = 4096  # words at a time
DIRECTIONS, WORDS = 4, 6  # singular directions of OV that a card names, and words that name each


class TokenPair(NamedTuple):
    """Two words of the vocabulary and what one of a head's circuits gives for them, above its mean over all words."""

    first: str
    second: str
    score: float


class Direction(NamedTuple):
    """A singular direction of W_V·W_O: its share of the squared size, the words that it reads and that it writes."""

    share: float
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class WordTables:
    """The words of a model as a head reads and writes them.

    `table` [word, width] is the table of embeddings of the words that a head's keys read, `asked` of those that its
    queries read (the same but in cross-attention); `unembedding` [word, d_model] reads what is written, None where no
    word can be read off the stream. `path` and `asked_path` lead to W_K and W_V, and to W_Q, `written` from W_O.
    """

    table: Tensor
    unembedding: Tensor | None
    path: DirectPath
    asked_path: DirectPath
    written: DirectPath

    @classmethod
    def of(cls, paths: DirectPaths, stream: str, layer: int, unembedding: Tensor | None, final: bool) -> WordTables:
        table = paths.trace.stream(stream).module().get_input_embeddings().weight.detach()  # type: ignore[operator]
        asked, path = (paths.embedding(stream, layer, side) for side in ("query", "key"))
        return cls(table, unembedding, path, asked, paths.to_words(stream, layer, final=final))

    def embedded(self, weight: Floats, side: str, words: NDArray[np.intp] | None = None) -> Floats:
        """Words through a matrix [d_model, n], each with the size it has alone: [word, n]; all of them by default."""
        path = self.asked_path if side == "query" else self.path
        some = np.arange(len(self.table)) if words is None else words
        return np.concatenate([path.carry(rows, own_size=True) @ weight for rows in _chunks(self.table, some)])

    def read_off(self, written: Floats, words: NDArray[np.intp] | None = None) -> Floats:
        """What rows [n, d_model] that a head writes add to words: [word, n]."""
        assert self.unembedding is not None
        some = np.arange(len(self.unembedding)) if words is None else words
        arrived = self.written.carry(written)
        return np.concatenate([rows @ arrived.T for rows in _chunks(self.unembedding, some)])


def _chunks(table: Tensor, words: NDArray[np.intp]) -> Iterator[Floats]:
    for start in range(0, len(words), CHUNK):
        rows: Floats = table[words[start : start + CHUNK]].double().cpu().numpy()
        yield rows


def copying_eigenvalues(tables: WordTables, own: HeadMatrices) -> NDArray[np.complex128]:
    """The eigenvalues [d_head] that E·W_V·W_O·W_U has besides zeros; norms on the way count by their gains.

    Where they are positive, a word raises itself.
    """
    assert tables.unembedding is not None
    arrived, total = tables.written.carry(own.w_o), np.zeros((len(own.w_o), len(own.w_o)))
    folded = tables.path.fold(own.w_v)  # [width, d_head]
    for start in range(0, min(len(tables.table), len(tables.unembedding)), CHUNK):
        words = slice(start, min(start + CHUNK, len(tables.table), len(tables.unembedding)))
        embedded = tables.table[words].double().cpu().numpy() @ folded  # [word, d_head]
        raised = arrived @ tables.unembedding[words].double().cpu().numpy().T  # [d_head, word]
        total += raised @ embedded
    eigenvalues: NDArray[np.complex128] = np.linalg.eigvals(total).astype(np.complex128)
    return eigenvalues


def copying_score(eigenvalues: NDArray[np.complex128]) -> float:
    """Σλ ÷ Σ|λ|: 1 where every direction copies, −1 where each pushes its own word down; NaN without any.

    >>> copying_score(np.array([3.0 + 0j, -1.0]))
    0.5
    """
    size = float(np.abs(eigenvalues).sum())
    return float(eigenvalues.sum().real) / size if size > SMALLEST else float("nan")


def qk_pairs(
    tables: WordTables,
    own: HeadMatrices,
    scale: float,
    words: NDArray[np.intp],
    name: Callable[[int], str],
    count: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[TokenPair, ...]:
    """The words that ask with the word that each scores most above the mean of all words, the largest first."""
    asking = tables.embedded(own.w_q * scale, "query", words)
    answering = tables.embedded(own.w_k, "key", words)
    found = strongest_pairs(asking, answering - answering.mean(axis=0), count, progress=progress)
    return tuple(TokenPair(name(int(words[a])), name(int(words[b])), score) for a, b, score in found)


def ov_pairs(
    tables: WordTables,
    own: HeadMatrices,
    words: NDArray[np.intp],
    name: Callable[[int], str],
    count: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[TokenPair, ...]:
    """The words that are looked at with the word that each raises most above the mean of all words."""
    moved = tables.embedded(own.w_v, "key", words)  # [word, d_head]
    raised = tables.read_off(own.w_o, words)  # [word, d_head]
    found = strongest_pairs(moved, raised - raised.mean(axis=0), count, progress=progress)
    return tuple(TokenPair(name(int(words[a])), name(int(words[b])), score) for a, b, score in found)


def directions(
    tables: WordTables, own: HeadMatrices, words: NDArray[np.intp], name: Callable[[int], str]
) -> tuple[Direction, ...]:
    """The largest singular directions of W_V·W_O and the words at the end that words reach furthest."""
    left, right = np.linalg.qr(own.w_v), np.linalg.qr(own.w_o.T)  # W_V W_O = Q₁ R₁ R₂ᵀ Q₂ᵀ
    inner_left, sizes, inner_right = np.linalg.svd(left.R @ right.R.T)
    read, write = left.Q @ inner_left, (right.Q @ inner_right.T).T  # [d_model, d_head], [d_head, d_model]
    total = max(float((sizes**2).sum()), SMALLEST)
    embedded = tables.embedded(read[:, :DIRECTIONS], "key", words)  # [word, direction]
    raised = None if tables.unembedding is None else tables.read_off(write[:DIRECTIONS], words)
    found = []
    for i in range(min(DIRECTIONS, len(sizes))):
        own_reads = embedded[:, i] - embedded[:, i].mean()
        sign = 1.0 if own_reads.max() >= -own_reads.min() else -1.0
        reads = _best(sign * own_reads, words, name)
        writes = () if raised is None else _best(sign * (raised[:, i] - raised[:, i].mean()), words, name)
        found.append(Direction(float(sizes[i] ** 2) / total, reads, writes))
    return tuple(found)


def _best(scores: Floats, words: NDArray[np.intp], name: Callable[[int], str]) -> tuple[str, ...]:
    order = np.argsort(-scores, kind="stable")[:WORDS]
    return tuple(name(int(words[i])) for i in order)
