"""One token at one layer: its decomposition, and everything that every layer ever added to it. No Streamlit.

update.decomposition, update.added            # computed once for all visitors, kept within a budget of bytes
update.sources                         # where the head's ΔE came from
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.prediction.next_token import predicts
from attn_core.residual import decomposition, geometry, logit_attribution
from attn_core.traces.reader import Array
from attn_core.views.snippets import residual as snippets
from ui import words
from ui.drawing.markup import token_name
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.residual.decomposition import BlockDecomposition, Sources, StreamContributions
    from attn_core.residual.nearest_tokens import NearestTokens
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import TraceHandle
    from ui.stream import StreamView

MOST_WORDS = 7  # that any part of the page shows of one vector
WORDS = words.beside(__file__)


def _quietly(fraction: float) -> None:
    """Progress that nobody is shown."""


@dataclass(frozen=True)
class TokenUpdate:
    """A token of a stream, the layer and the head that the link names."""

    page: Page
    viewed: StreamView
    progress: Callable[[float], None] = _quietly  # given how far a first computation of all layers is

    @property
    def trace(self) -> TraceHandle:
        return self.viewed.trace

    @property
    def reader(self) -> StreamTrace:
        """The stream that is looked at."""
        return self.viewed.reader

    @property
    def stack(self) -> StreamTrace:
        """The stream whose blocks are taken apart: a decoder's block holds its cross-attention too."""
        return self.trace.stream(self.block)

    @property
    def position(self) -> int:
        return self.viewed.query

    @property
    def layer(self) -> int:
        return self.viewed.layer

    @property
    def head(self) -> int:
        return self.viewed.head

    @property
    def labels(self) -> list[str]:
        return self.viewed.queries.labels

    @property
    def name(self) -> str:
        """The token as it is read; plain text."""
        return token_name(self.labels, self.position)

    @property
    def block(self) -> str:
        """The stream whose blocks are taken apart: a decoder's block holds its cross-attention too."""
        return "decoder" if self.viewed.stream == "cross" else self.viewed.stream

    @cached_property
    def decomposition(self) -> BlockDecomposition:
        return shared.memoize(self.trace, _block_of, self.block, self.layer, self.position)

    @cached_property
    def added(self) -> StreamContributions:
        """Everything of all layers; the first time, with visible progress where it takes long."""
        return shared.memoize(self.trace, _contributions, self.block, self.position, progress=self.progress)

    @cached_property
    def heads(self) -> Array:
        """What the heads of the chosen stream add to the token, [layer, head, d_model]."""
        both = self.added.heads
        if self.block == self.viewed.stream and self.viewed.stream != "decoder":
            return both
        return both[:, self.viewed.n_heads :] if self.viewed.stream == "cross" else both[:, : self.viewed.n_heads]

    @cached_property
    def sources(self) -> Sources:
        return self.sources_of(self.head, self.viewed.stream)

    def sources_of(self, head: int, stream: str) -> Sources:
        """Where the ΔE of a head of one stream came from; a decoder's block has heads of two."""
        return shared.memoize(self.trace, _every_source, stream, self.layer, self.position)[head]

    @cached_property
    def shares(self) -> Array:
        """The heads' shares of sizes, [head]: ‖ΔE‖ ÷ Σ‖ΔE‖, as on every page."""
        sizes = geometry.norm(self.heads_here)
        return sizes / sizes.sum()

    @property
    def heads_here(self) -> Array:
        """What the heads of the chosen stream add to the token at this layer, [head, d_model]."""
        own = [part for part in self.decomposition.parts if part.kind == "head" and part.stream == self.reader.name]
        return np.stack([part.vector for part in own])

    @cached_property
    def no_words(self) -> str | None:
        """Why vectors of this stream cannot be read as words, in a sentence; None where they can."""
        if self.viewed.stream == "encoder":
            return WORDS.text("writes.encoder")
        try:
            self.trace.vocabulary  # noqa: B018
        except HeadlightError as reason:
            return str(reason)
        return None

    @property
    def predicts(self) -> bool:
        """Whether a next word is predicted after this token."""
        return predicts(self.reader)

    @cached_property
    def ends(self) -> Array:
        """E of the token, and E with what the head adds, [2, d_model]."""
        start = self.reader.embedding(self.layer)[self.position]
        return np.stack([start, start + self.reader.delta_e(self.layer, self.head)[self.position]])

    @cached_property
    def pointed(self) -> tuple[NearestTokens, NearestTokens]:
        """The words that everything on the page points to, and away from, in one pass through the vocabulary.

        Rows: the parts of the block from E on, the next layer's E, the sum of the attention, and those of both `ends`
        that are none of these.
        """
        block = self.decomposition
        ends = self.ends[1:] if self._begins_with_e else self.ends
        vectors = np.stack([*(part.vector for part in block.parts), block.next_embedding, block.attention, *ends])
        return self.nearest_words(vectors, MOST_WORDS)

    @property
    def rows_of_ends(self) -> tuple[int, int]:
        """Where both `ends` are in `pointed`."""
        n = len(self.decomposition.parts) + 2
        return (0, n) if self._begins_with_e else (n, n + 1)

    @property
    def _begins_with_e(self) -> bool:
        """Whether what is looked at begins with the block's E; a decoder's cross-attention comes later."""
        return self.block == self.viewed.stream

    def nearest_words(self, vectors: Array, count: int) -> tuple[NearestTokens, NearestTokens]:
        """The model's words that parts of the token, [part, d_model], point to, and away from."""
        return shared.memoize(self.trace, _nearest_words, self.block, self.position, vectors, count)

    def offer_pictures(self) -> None:
        """The page's end: its pictures can be saved, with the word in every caption."""
        self.page.offer_pictures(f"head {self.layer}.{self.head}", self.viewed.word, lines=self._lines())

    def _lines(self) -> str:
        return snippets.decomposition(self.trace, self.viewed.stream, self.block, self.layer, self.head, self.position)


def _block_of(trace: Trace, stream: str, layer: int, position: int) -> BlockDecomposition:
    return decomposition.decompose_block(trace.stream(stream), layer, position)


def _contributions(trace: Trace, stream: str, position: int, progress: Callable[[float], None]) -> StreamContributions:
    return decomposition.stream_contributions(trace.stream(stream), position, progress=progress)


def _every_source(trace: Trace, stream: str, layer: int, position: int) -> list[Sources]:
    return decomposition.every_source(trace.stream(stream), layer, position)


def _nearest_words(
    trace: Trace, stream: str, position: int, vectors: Array, count: int
) -> tuple[NearestTokens, NearestTokens]:
    return logit_attribution.nearest_words(trace.stream(stream), position, vectors, count)
