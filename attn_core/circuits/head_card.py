"""The card of a head: what it looks for, what it moves, whom it reads, from the weights and from repeated tokens.

    card = ac.head_card(model, 0, 3)
    card.copying, card.prefix_matching
    card.reads[0], card.writes[0]           # the strongest pairs of its QK and of its OV circuit
    card.composition                        # how much it reads of what each earlier head writes

What is said of a sentence needs the sentence; what is said here holds for the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attn_core.capture.model import Model, model_of
from attn_core.capture.run import trace as run_trace
from attn_core.circuits import vocabulary_circuits as circuits
from attn_core.circuits.composition import composition
from attn_core.circuits.direct_path import DirectPaths
from attn_core.circuits.head_matrices import HeadMatrices, head_matrices
from attn_core.circuits.near_heads import NearHead, cosines_of_weights, nearest
from attn_core.circuits.repeats import Repeats
from attn_core.circuits.vocabulary_circuits import Direction, TokenPair, WordTables
from attn_core.errors import HeadlightError, check_index
from attn_core.heads.samples import SEEDS, texts_for, traces_of
from attn_core.traces.stream import StreamTrace

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.traces.trace import Trace

PAIRS = 12  # of each circuit
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class HeadCard:
    """What one head does. `copying` is in [−1, 1], `prefix_matching` and `copying_on_repeats` in [0, 1].

    NaN, or nothing, where a statement means nothing for the head; `left_out` says in sentences what the numbers leave
    out in this model. `words_are` is "unembedding", "input embedding" (of a model that predicts no word) or "".
    """

    model: str
    stream: str
    layer: int
    head: int
    copying: float
    prefix_matching: float
    prefix_chance: float
    copying_on_repeats: float
    reads: tuple[TokenPair, ...]  # (word that asks, word that it looks at, score above the mean)
    writes: tuple[TokenPair, ...]  # (word that it looks at, word that it raises, by how much above the mean)
    composition: pd.DataFrame
    directions: tuple[Direction, ...]
    near_by_behaviour: tuple[NearHead, ...]
    near_by_qk: tuple[NearHead, ...]
    near_by_ov: tuple[NearHead, ...]
    words_are: str
    left_out: tuple[str, ...]

    @property
    def name(self) -> str:
        """ "0.3", with its stream in a model that has several."""
        return f"{self.layer}.{self.head}" if self.stream == "self" else f"{self.stream} {self.layer}.{self.head}"

    def frame(self) -> pd.DataFrame:
        """Every number in one table: part, what, value."""
        import pandas as pd

        rows: list[tuple[str, str, float]] = [
            ("scores", "copying", self.copying),
            ("scores", "prefix matching", self.prefix_matching),
            ("scores", "prefix matching by chance", self.prefix_chance),
            ("scores", "copying on repeats", self.copying_on_repeats),
        ]
        rows += [("reads", f"{pair.first} → {pair.second}", pair.score) for pair in self.reads]
        rows += [("writes", f"{pair.first} → {pair.second}", pair.score) for pair in self.writes]
        for found in self.composition.itertuples(index=False):
            own = "" if found.stream == "self" else f"{found.stream} "
            rows.append(("composition", f"{own}head {found.layer}.{found.head} by {found.through}", found.above))
        for part in ("near_by_behaviour", "near_by_qk", "near_by_ov"):
            rows += [
                (part.replace("_", " "), f"head {near.layer}.{near.head}", near.value) for near in getattr(self, part)
            ]
        for own_direction in self.directions:
            words = f"{' '.join(own_direction.reads)} → {' '.join(own_direction.writes)}"
            rows.append(("directions", words, own_direction.share))
        return pd.DataFrame(rows, columns=["part", "what", "value"])


def head_card(
    model: Model | str | Path,
    layer: int,
    head: int,
    *,
    stream: str | None = None,
    run: Callable[..., Trace] = run_trace,
    progress: Progress | None = None,
) -> HeadCard:
    """The card of a head; an encoder-decoder needs `stream`. `run` stands in for `attn_core.trace`.

    It takes about ten short passes, and memory for two tables [word, d_head]. Raises IndexError and ValueError for what
    is not there, HeadlightError where the head's matrices could not be found.
    """
    model, told = model_of(model), progress or (lambda share: None)
    texts = texts_for(model.name)
    traces = traces_of(model, texts, SEEDS, run)
    first = next(iter(traces))
    own = first.stream(stream)
    check_index("layer", layer, own.n_layers)
    check_index("head", head, own.n_heads)
    paths, asked = DirectPaths(first), Repeats(layer, head)
    weights = _WordCircuits.of(paths, own, layer, head, model)
    asked.add(own, weights.tables, repeated=False)
    for done, trace in enumerate(traces, 2):
        asked.add(trace.stream(own.name), weights.tables, repeated=done > len(texts))
        told(0.4 * done / (len(texts) + len(SEEDS)))
    reads, writes = weights.pairs(own.scaling(layer), lambda share: told(0.4 + 0.4 * share))
    earlier = composition(paths, weights.matrices, progress=lambda share: told(0.8 + 0.15 * share))
    qk, ov = cosines_of_weights(paths, weights.matrices)
    told(1.0)
    return HeadCard(
        model=model.name,
        stream=own.name,
        layer=layer,
        head=head,
        copying=weights.copying,
        prefix_matching=asked.prefix_matching,
        prefix_chance=asked.prefix_chance,
        copying_on_repeats=asked.copying,
        reads=reads,
        writes=writes,
        composition=earlier,
        directions=weights.directions,
        near_by_behaviour=nearest(asked.distance, layer, head, smallest=True),
        near_by_qk=nearest(qk, layer, head),
        near_by_ov=nearest(ov, layer, head),
        words_are=weights.words_are,
        left_out=tuple(_left_out(own, layer, weights.matrices, weights.words_are)),
    )


@dataclass(frozen=True, eq=False)
class _WordCircuits:
    """The head's matrices and the words of its model: what its weights alone say."""

    matrices: HeadMatrices
    tables: WordTables
    words: NDArray[np.intp]  # those that a text may hold
    said: Callable[[int], str]
    words_are: str

    @classmethod
    def of(cls, paths: DirectPaths, own: StreamTrace, layer: int, head: int, model: Model) -> _WordCircuits:
        unembedding, words_are = _unembedding(paths.trace, own.name)
        matrices = head_matrices(paths, own.name, layer, head)
        tables = WordTables.of(paths, own.name, layer, unembedding, final=words_are == "unembedding")
        return cls(matrices, tables, readable_words(model.tokenizer, len(tables.table)), _namer(model), words_are)

    def pairs(self, scale: float, told: Progress) -> tuple[tuple[TokenPair, ...], tuple[TokenPair, ...]]:
        """The strongest pairs of the QK circuit and of the OV circuit."""
        given = self.words, self.said, PAIRS
        reads = circuits.qk_pairs(self.tables, self.matrices, scale, *given, lambda share: told(share / 2))
        if self.tables.unembedding is None:
            return reads, ()
        return reads, circuits.ov_pairs(self.tables, self.matrices, *given, lambda share: told((1 + share) / 2))

    @property
    def copying(self) -> float:
        """NaN where what the head writes is not read as words."""
        if self.tables.unembedding is None:
            return float("nan")
        return circuits.copying_score(circuits.copying_eigenvalues(self.tables, self.matrices))

    @property
    def directions(self) -> tuple[Direction, ...]:
        return circuits.directions(self.tables, self.matrices, self.words, self.said)


def passes(model: Model) -> int:
    """How many forward passes a card takes."""
    return len(texts_for(model.name)) + len(SEEDS)


def readable_words(tokenizer: Any, n_rows: int) -> NDArray[np.intp]:
    """The ids of words that a text may hold: none that are special or stand in brackets."""
    special = {*tokenizer.all_special_ids}
    found = [
        i
        for word, i in tokenizer.get_vocab().items()
        if i < n_rows and i not in special and not (len(word) > 2 and word[0] + word[-1] in ("[]", "<>"))
    ]
    return np.array(sorted(found), dtype=np.intp)


def _namer(model: Model) -> Callable[[int], str]:
    def name(word: int) -> str:
        return model.read([word]).labels[0]

    return name


def _unembedding(trace: Trace, stream: str) -> tuple[Tensor | None, str]:
    """(what the words that a head writes are read with, what that is): an encoder reads none off, so its own E."""
    try:
        vocabulary = trace.vocabulary
    except HeadlightError:
        return None, ""
    if stream != "encoder":
        return vocabulary.matrix, vocabulary.kind
    table = trace.stream(stream).module().get_input_embeddings().weight.detach()  # type: ignore[operator]
    return table, "input embedding"


def _left_out(own: StreamTrace, layer: int, matrices: HeadMatrices, words_are: str) -> Iterable[str]:
    """What the statements from the weights leave out in this model, a sentence each."""
    yield "MLPs, biases and all other heads are left out: each word stands alone in the stream."
    if layer > 0:
        yield f"In truth the stream that enters layer {layer} also holds what the layers before it wrote."
    yield "A norm counts by its gain: how large the stream is at a word, which it divides by, is left out."
    if matrices.normed:
        yield "The norm of queries and keys counts by its gain alone, too, so their scores are up to a factor."
    if matrices.rotation is not None:
        yield (
            "Rotary positions: which words look at which, and composition, hold for two words at one place; over 0 to "
            "64 tokens of distance composition has the range in its table."
        )
    if own.position_bias(layer, matrices.head) is not None:
        yield "The position bias, which depends on places alone, is left out."
    if own.soft_cap(layer) is not None:
        yield "The soft cap of the scores is left out."
    if words_are == "input embedding":
        yield "Nothing predicts a word here, so what the head writes is read with the input embeddings."
    if not words_are:
        yield "This model's words are no vectors of its stream, so what the head writes is not read as words."
