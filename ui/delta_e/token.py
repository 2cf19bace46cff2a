"""One token at one layer: its decomposition, and everything that every layer ever added to it.

update = token.of(page)                # waits for the model; a problem becomes one clear sentence
update.ledger, update.added            # computed once for all visitors, kept within a budget of bytes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.heads.ablation import predicts
from attn_core.residual import decomposition, geometry
from attn_core.text.decoding import visible
from attn_core.views import snippets as recipes
from ui import stream
from ui.drawing import widgets
from ui.drawing.markup import token_name
from ui.server import shared
from ui.stream import StreamView

if TYPE_CHECKING:
    from attn_core.residual.decomposition import BlockDecomposition, Sources, StreamContributions
    from ui.page import Page


@dataclass(frozen=True)
class TokenUpdate:
    """A token of a stream, the layer and the head that the link names."""

    page: Page
    viewed: StreamView

    @property
    def trace(self) -> Any:
        return self.viewed.trace

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
    def block(self) -> str | None:
        """The stream whose blocks the ledger follows: a decoder's block holds its cross-attention too."""
        return "decoder" if self.viewed.stream == "cross" else self.viewed.stream

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    @cached_property
    def ledger(self) -> BlockDecomposition:
        return self.remember(
            "ledger", lambda: decomposition.decompose_block(self.trace, self.layer, self.position, stream=self.block)
        )

    @cached_property
    def added(self) -> StreamContributions:
        """Everything of all layers; the first time, with visible progress where it takes long."""
        return shared.memoize(
            self.trace,
            ("additions", self.block, self.position),
            lambda: _with_progress(
                lambda tell: decomposition.stream_contributions(
                    self.trace, self.position, stream=self.block, progress=tell
                )
            ),
            size=lambda added: added.heads.nbytes + added.parts().nbytes,
        )

    @cached_property
    def heads(self) -> Any:
        """What the heads of the chosen stream add to the token, [layer, head, d_model]."""
        both = self.added.heads
        if self.block == self.viewed.stream and self.viewed.stream != "decoder":
            return both
        return both[:, self.viewed.n_heads :] if self.viewed.stream == "cross" else both[:, : self.viewed.n_heads]

    @cached_property
    def sources(self) -> Sources:
        return self.sources_of(self.head)

    def sources_of(self, head: int, stream: str | None = None) -> Sources:
        """Where a head's ΔE of the token came from; `stream` only where the ledger has two kinds of heads."""
        where = stream or self.viewed.stream
        compute = lambda: decomposition.sources(self.trace, self.layer, head, self.position, stream=where)  # noqa: E731
        return self.remember(("sources", where, head), compute)

    @cached_property
    def shares(self) -> Any:
        """The heads' shares of sizes, [head]: ‖ΔE‖ ÷ Σ‖ΔE‖, as on every page."""
        sizes = geometry.norm(self.heads_here)
        return sizes / sizes.sum()

    @property
    def heads_here(self) -> Any:
        """What the heads of the chosen stream add to the token at this layer, [head, d_model]."""
        own = self.viewed.stream or "self"
        return np.stack([part.vector for part in self.ledger.parts if part.kind == "head" and part.stream == own])

    @cached_property
    def no_words(self) -> str | None:
        """Why vectors of this stream cannot be read as words, in a sentence; None where they can."""
        if self.viewed.stream == "encoder":
            return "A translator's words belong to its decoder: choose the decoder to read ΔE as words."
        try:
            self.trace.vocabulary  # noqa: B018
        except HeadlightError as reason:
            return str(reason)
        return None

    @property
    def predicts(self) -> bool:
        """Whether a next word is predicted after this token."""
        return predicts(self.trace, self.viewed.stream)

    def remember(self, what: Any, compute: Callable[[], Any]) -> Any:
        """Something small about this token at this layer, kept beside its trace."""
        return shared.memoize(self.trace, (what, self.block, self.layer, self.position), compute, size=lambda _: 60_000)

    def offer_pictures(self) -> None:
        """The page's end: its pictures can be saved, with the word in every caption."""
        self.page.offer_pictures(f"head {self.layer}.{self.head}", self.viewed.word, lines=self._lines())

    def _lines(self) -> str:
        return recipes.ledger(self.trace, self.layer, self.head, self.position, self.viewed.stream, self.block)


def of(page: Page) -> TokenUpdate:
    """The token that the link names; where its layer cannot be taken apart, the page ends with the reason."""
    update = TokenUpdate(page, stream.of(page))
    try:
        update.ledger  # noqa: B018
    except HeadlightError as reason:
        widgets.problem(str(reason), "All heads and Step by step still show its patterns.")
        st.stop()
    return update


def word_picker(update: TokenUpdate) -> None:
    """Choose the token; its label is shown as text, whatever was typed."""

    def picked() -> None:
        st.session_state["query"] = st.session_state["token"]

    st.session_state["token"] = update.position
    st.selectbox(
        "Token",
        range(len(update.labels)),
        format_func=lambda i: f"{visible(update.labels[i])} ({i})",
        key="token",
        on_change=picked,
        label_visibility="collapsed",
        width=190,
    )


def _with_progress(compute: Callable[[Callable[[float], None]], Any]) -> Any:
    """Compute with a bar that says how far it is, and is gone when it is done."""
    place = st.empty()

    def tell(fraction: float) -> None:
        if fraction < 1:
            place.progress(fraction, "Adding up what every head adds")

    result = compute(tell)
    place.empty()
    return result
