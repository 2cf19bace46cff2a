"""What the steps walk through: one head and its words, of a model or the toy. No Streamlit: a value.

Both become the same `StepSubject`, so every step is drawn by the same code, whoever's numbers they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from attn_core.figures.canvas.matrix import Side
from attn_core.heads.salience import keys_by_weight
from attn_core.residual.input_parts import InputParts
from attn_core.text.pairs import SEGMENTS, Segments
from attn_core.traces.stream import StreamTrace
from attn_core.walkthrough.head import HeadInputs, HeadStages, run_stages
from attn_core.walkthrough.toy import Toy
from ui.drawing import markup
from ui.server.cache import while_drawn

if TYPE_CHECKING:
    from ui.server.handles import TraceHandle

WINDOW = 128  # tokens that are shown at once
Array = np.ndarray


@dataclass(frozen=True)
class Words:
    """The tokens of one side: what they are called, and which are no part of what was said."""

    labels: Sequence[str]
    special: Sequence[bool]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class StepSubject:
    """One head and the words it is walked through with. `query` and `key` are the positions of the two chosen words."""

    inputs: HeadInputs
    queries: Words
    keys: Words
    query: int
    head_name: str
    embedding: Array  # E, the stream that enters this layer, [query, d_model]
    find_parts: Callable[[], InputParts | None]  # how the very first E was made, where that can be found
    chosen_key: int | None = None
    window_start: int = 0
    trace: TraceHandle | None = None
    layer: int = 0
    head: int = 0
    stream_name: str | None = None  # of the trace, None where that has only one
    toy: Toy | None = None
    meanings: Sequence[str] = ()  # what each number of E stands for, where somebody made it so
    link_names: tuple[str, str] = ("query", "key")  # the link's parameters for the two words

    @while_drawn
    def parts(self) -> InputParts | None:
        """How the very first E was made; looked for when the first step asks."""
        return self.find_parts()

    @while_drawn
    def stages(self) -> HeadStages:
        return run_stages(self.inputs)

    @cached_property
    def key(self) -> int:
        """The chosen key; without a choice, the word that gets most, special tokens and the word itself aside."""
        may_look = self.stages.may_look[self.query].numpy()
        wanted = self.chosen_key
        if wanted is not None and wanted < len(self.keys):
            return wanted
        row, itself = self.stages.pattern[self.query].numpy(), None if self.crosses else self.query
        return keys_by_weight(row, may_look, self.keys.special, itself)[0]

    @property
    def reader(self) -> StreamTrace | None:
        """Its stream; none for the toy. Not kept: buttons hold a subject for hours, and it the whole trace."""
        return None if self.trace is None else self.trace.stream(self.stream_name)

    @property
    def crosses(self) -> bool:
        """Whether queries and keys are different sentences."""
        return self.inputs.memory is not None

    @property
    def stream(self) -> str:
        """The name of the stream: "self", "encoder", "decoder" or "cross"; "" for the toy."""
        return self.reader.name if self.reader is not None else ""

    @property
    def is_real(self) -> bool:
        return self.toy is None

    @property
    def d_model(self) -> int:
        return int(self.inputs.x.shape[1])

    @property
    def d_head(self) -> int:
        return self.inputs.d_head

    # --- Words -------------------------------------------------------------------------------------------------

    def query_name(self, i: int) -> str:
        return self.queries.labels[i]

    def key_name(self, i: int) -> str:
        return self.keys.labels[i]

    @property
    def query_html(self) -> Markup:
        """The chosen query as HTML."""
        return markup.query(self.query_name(self.query))

    @property
    def key_html(self) -> Markup:
        """The chosen key as HTML."""
        return markup.key(self.key_name(self.key))

    @property
    def q_window(self) -> slice:
        return slice(self.window_start, self.window_start + WINDOW)

    @property
    def k_window(self) -> slice:
        return self.q_window if not self.crosses else slice(0, WINDOW)

    def query_side(self, role: str = "query", name: str = "query") -> Side:
        w = self.q_window
        return Side(self.queries.labels[w], role, name, self.queries.special[w], first=w.start)

    def key_side(self, role: str = "key", name: str = "key", slanted: bool = False) -> Side:
        w = self.k_window
        return Side(self.keys.labels[w], role, name, self.keys.special[w], first=w.start, slanted=slanted)

    # --- Segments of a pair ------------------------------------------------------------------------------------

    @property
    def second(self) -> int | None:
        """Of a pair: where its second segment begins; None where there is one text."""
        return None if self.reader is None or self.crosses else self.reader.tokens.second

    @property
    def segment(self) -> str:
        """Of a pair: the segment of the chosen query, "A" or "B"; else ""."""
        return "" if self.second is None else SEGMENTS[self.query >= self.second]

    def segments(self, weights: Array | None) -> Segments | None:
        """The two segments of a pair in the window that is shown, with the shares of all of a pattern's weights [query,
        key] where these are given; None where the window, or what was read, has one segment."""
        window, second = self.q_window, self.second
        if second is None or not window.start < second < min(window.stop, len(self.queries)):
            return None
        shares = None if weights is None else Segments.of(weights, second, second).shares
        return Segments(second - window.start, second - window.start, shares)

    def place_in(self, i: int, window: slice) -> int | None:
        """Where a position lies in a window; None when it lies outside."""
        return i - window.start if window.start <= i < window.stop else None
