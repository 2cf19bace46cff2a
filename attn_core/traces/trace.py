"""A trace: what one forward pass left behind. Patterns and ΔE are computed from it when somebody asks.

Kept are the small things, q, k, v and a few rows of the residual stream, so a trace grows with the sentence and not
with its square. Everything a reader returns is computed by `attention` from what the model itself produced, and
`Trace.check` says how far it is from tensors that left the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attn_core.errors import HeadlightError
from attn_core.options import check_flag
from attn_core.precision import without_autocast
from attn_core.text.tokens import Tokens
from attn_core.traces import comparisons
from attn_core.traces.attention_readers import size_of, weights_table
from attn_core.traces.changes import Changes
from attn_core.traces.comparisons import some_layers
from attn_core.traces.layer import Layer, frozen
from attn_core.traces.named_readers import NamedStreamReaders
from attn_core.traces.parity import Parity
from attn_core.traces.parts import Against, ScoreParts, ValueParts
from attn_core.traces.reader import Array
from attn_core.traces.saved import contents, reading, writing
from attn_core.traces.source import KeptOutputs, LabelProbabilities, Source, Vocabulary
from attn_core.traces.stream import StreamTrace
from attn_core.whole_files import check_place, unfinished

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWN = 512  # tokens that a notebook draws without being asked


@dataclass(frozen=True, eq=False)
class Trace(NamedStreamReaders):
    """What one forward pass left behind: one stream, or the three of an encoder-decoder.

    `trace.stream(name)` is a stream as a value. Every reader of `StreamTrace` stands here too, and asks the
    stream of that name; a model with one stream *is* its stream, an encoder-decoder always needs `stream=`.
    """

    model_name: str
    family: str
    kind: str  # "encoder", "decoder" or "encoder-decoder"
    _streams: Mapping[str, StreamTrace]
    _source: Source
    changes: Changes = Changes()  # what was done to the pass: heads off, patterns forced; false for a plain one

    def __repr__(self) -> str:
        sizes = (f"{own.n_layers} × {own.n_heads} {name} heads" for name, own in self._streams.items())
        said = shorten(self._said, 60, placeholder=" …")
        changed = f"; changed: {self.changes}" if self.changes else ""
        read = {id(own): own for stream in self._streams.values() for own in (stream.tokens, stream.key_tokens)}
        cut = "".join(f"; cut after {own.cut_after}: {own.left_out}" for own in read.values() if own.is_cut)
        return f"<Trace of {said!r} in {self.model_name}: {', '.join(sizes)}{changed}{cut.removesuffix('.')}>"

    @property
    def _said(self) -> str:
        return self._streams[self.streams[0]].tokens.said

    @property
    def wrapped(self) -> bool:
        """Whether its model was somebody's own object, `attn_core.wrap`: no name loads it."""
        return self._source.wrapped

    # --- What was read -------------------------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams' names: ("self",), or ("encoder", "decoder", "cross")."""
        return tuple(self._streams)

    def stream(self, name: str | None = None) -> StreamTrace:
        """One stream as a value; a model with one needs no name. Raises ValueError, naming the choices, otherwise."""
        if name is None and len(self._streams) == 1:
            name = self.streams[0]
        if name is None or name not in self._streams:
            raise ValueError(f"stream must be one of {', '.join(map(repr, self.streams))}; got {name!r}")
        return self._streams[name]

    @property
    def tokens(self) -> Tokens:
        """The tokens of a model with one stream; `tokens_of` has those of an encoder-decoder."""
        return self.stream().tokens

    @property
    def name(self) -> str:
        """ "self", in a model with one stream."""
        return self.stream().name

    @property
    def key_tokens(self) -> Tokens:
        """The tokens that are looked at, in a model with one stream: its own."""
        return self.stream().key_tokens

    def tokens_of(self, stream: str | None) -> tuple[Tokens, Tokens]:
        """(query tokens, key tokens) of a stream: they differ in "cross"."""
        own = self.stream(stream)
        return own.tokens, own.key_tokens

    @property
    def n_layers(self) -> int:
        return self.stream().n_layers

    def n_layers_of(self, stream: str | None) -> int:
        """How many attention calls a stream has; an encoder and its decoder may differ."""
        return self.stream(stream).n_layers

    @property
    def n_heads(self) -> int:
        return self._size("head", lambda own: own.n_heads)

    def n_heads_of(self, stream: str | None) -> int:
        """How many heads a layer of a stream has; an encoder and its decoder may differ."""
        return self.stream(stream).n_heads

    @property
    def d_head(self) -> int:
        return self._size("d_head", lambda own: own.d_head)

    @property
    def d_model(self) -> int:
        return self._size("d_model", lambda own: own.d_model)

    def _size(self, axis: str, read: Callable[[StreamTrace], int]) -> int:
        return size_of(axis, [read(own) for own in self._streams.values()])

    def _all_layers(self) -> list[Layer]:
        return [layer for own in self._streams.values() for layer in own._layers]

    @property
    def n_bytes(self) -> int:
        """What this trace keeps in memory, every storage counted once."""
        tensors = [t for layer in self._all_layers() for t in layer.tensors()]
        tensors += [own._final for own in self._streams.values() if own._final is not None]
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    # --- As a file -----------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, with_output: bool = False) -> None:
        """Write the trace to a file that `attn_core.open_trace` reads, with what was changed and the weights' hash.

        Tensor by tensor; the file takes its name when it is whole. Patterns, scores and the residual stream are then
        there without the model; ΔE too, where the output matrices are written beside them (`with_output`). Raises
        HeadlightError where the model is gone that has them, where the name is a folder's or a device's, and for a
        trace of more than 4 GB, which would not be opened.
        """
        check_flag("with_output", with_output)
        check_place(Path(path))
        module = self._module()
        outputs = writing.outputs_of(self._all_layers(), self._source.module()) if with_output else {}
        if self.n_bytes > contents.MOST_BYTES:
            raise HeadlightError("This trace takes more than 4 GB, and no larger file is opened: trace a shorter text.")
        about = self._about().found(self._source)
        with unfinished(Path(path)) as part, part.open("wb") as file:
            writing.write(file, about, self.changes, self._streams.values(), outputs, module)

    def _module(self) -> nn.Module | None:
        """The model, or None where there is none: it was unloaded, or the trace was opened without it."""
        try:
            module = self._source.module()
        except HeadlightError:
            return None
        return None if isinstance(module, KeptOutputs) else module

    def _about(self) -> contents.About:
        return contents.About(self.model_name, self.family, self.kind, wrapped=self.wrapped)

    def detached(self) -> Trace:
        """The same numbers as arrays, outside the graph of a pass with gradients; of any other trace, itself."""
        return self

    @classmethod
    def of_file(cls, opened: contents.Opened, source: Source | None = None) -> Trace:
        """The trace that a file holds; `source` is the way back to its model, without which the file has to do."""
        about, changes, parts, outputs = opened
        source = source or KeptOutputs(about.name, outputs, about.wrapped).source()
        streams: dict[str, StreamTrace] = {}
        for name in sorted(parts, key=lambda name: name != "cross"):  # before the decoder that goes on through it
            goes_on = streams.get("cross") if name == "decoder" else None
            streams[name] = StreamTrace(
                model_name=about.name,
                family=about.family,
                kind=about.kind,
                **parts[name],
                _source=source,
                _continued_by=goes_on,
                changes=changes,
            )
        ordered = frozen({name: streams[name] for name in parts})
        return cls(about.name, about.family, about.kind, ordered, source, changes)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its file is, without the model: what needs weights then says so."""
        return _unpickled, (writing.to_bytes(self._about(), self.changes, self._streams.values(), {}, self._module()),)

    def __copy__(self) -> Trace:
        """Itself: nothing in it can be changed."""
        return self

    def __deepcopy__(self, _: Any) -> Trace:
        return self

    @torch.inference_mode()
    @without_autocast()
    def check(self, layers: Iterable[int] | None = None) -> Parity:
        """How far these numbers are from tensors that left the model; computed anew from the model's weights.

        `layers` are those that are checked in every stream, by default all. Raises IndexError where one is not
        there, and ValueError where none is named.
        """
        wanted = some_layers(layers)
        found = {own: own._layers if wanted is None else [*map(own._layer, wanted)] for own in self._streams.values()}
        ends = [own._end(layers) for own, layers in found.items()]
        checked = comparisons.check((layer for some in found.values() for layer in some), self._source.module(), ends)
        return checked.with_own_pass(self._source.own_pass, self._source.own_weights)

    def score_parts(
        self, layer: int, head: int, query: int, key: int, against: Against = None, *, stream: str | None = None
    ) -> ScoreParts:
        """One score, split exactly into who wrote the query × who wrote the key; see `ScoreParts`.

        `against` another key, or the "mean" of the keys that the query may see, splits the difference: the softmax
        ignores what is equal along a row. Raises DoesNotAddUp where the parts would miss the score.
        """
        split: ScoreParts = _circuits("score_parts")(self.detached(), layer, head, query, key, against, stream=stream)
        return split

    def value_parts(self, layer: int, head: int, query: int, key: int, *, stream: str | None = None) -> ValueParts:
        """What a head takes from one key, split by who wrote that key's stream; sums to `delta_e_by_source(…)[key]`."""
        split: ValueParts = _circuits("value_parts")(self.detached(), layer, head, query, key, stream=stream)
        return split

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's words as vectors; raises HeadlightError where they are no vectors of the residual stream."""
        return self._source.vocabulary()

    def logits(self, position: int | None = None) -> Array:
        """The model's scores for the next word after a position, or after the last one: [word].

        Causal models and decoders only.
        """
        return self.stream("decoder" if self.kind == "encoder-decoder" else None).logits(position)

    def label_probabilities(self) -> LabelProbabilities:
        """What the model's own head says of the text, of every token, or of an answer's start and end.

        Raises HeadlightError for a model without a head that names labels.
        """
        return self.detached().stream().label_probabilities()

    def read_words(self, vectors: Array) -> Array:
        """Logits that the model's own head gives to final embeddings: [..., d_model] → [..., word]."""
        return self._streams[self.streams[0]].read_words(vectors)

    # --- In a notebook -------------------------------------------------------------------------------------------

    def show(self, layer: int = 0, head: int = 0, **options: Any) -> Any:
        """Every head at a glance and one opened, in a notebook's output: `attn_core.show(trace, …)`."""
        return _notebook("show")(self.detached(), layer, head, **options)

    def heatmap(self, layer: int, head: int, *, stream: str | None = None) -> Any:
        """One head's pattern as a Plotly figure; of a changed pass these three say what was changed."""
        return _notebook("heatmap")(self.detached(), self.stream(stream).name, layer, head)

    def links(self, layer: int, head: int, *, stream: str | None = None) -> Any:
        """One head as lines between two columns of words, as a Plotly figure."""
        return _notebook("links")(self.detached(), self.stream(stream).name, layer, head)

    def overview(self, *, stream: str | None = None) -> Any:
        """Every head's pattern at a glance, as a Plotly figure."""
        return _notebook("overview")(self.detached(), self.stream(stream).name)

    def to_xarray(self, *, stream: str | None = None) -> Any:
        """Every head's numbers of a stream as an `xarray.Dataset` with named axes.

        `pattern` [layer, head, query, key], NaN where masked, and `delta_e_size` [layer, head, query], with the tokens
        along query and key. Raises HeadlightError where xarray is missing.
        """
        return _notebook("dataset")(self.detached(), self.stream(stream).name)

    def _repr_html_(self) -> str:
        """What a notebook draws for a trace; of an encoder-decoder, its cross-attention; of a long text, its name."""
        if max(len(own.key_tokens) for own in self._streams.values()) > MOST_DRAWN:
            return f"<pre>{escape(repr(self))}</pre>"
        return str(self.show(stream="cross" if "cross" in self.streams else None)._repr_html_())

    def frame(self, *, stream: str | None = None) -> pd.DataFrame:
        """Every weight as a long table: stream, layer, head, query, query_token, key, key_token, weight.

        Of one stream or of all; masked cells, which have no weight, have no row. A table of every weight is large: 60
        bytes or so for each. `attrs` says of which model and text it is, and what was changed in the pass.
        """
        import pandas as pd

        names = self.streams if stream is None else (self.stream(stream).name,)
        tables = [weights_table(self.detached().stream(name)) for name in names]
        table = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
        table.attrs = {"model": self.model_name, "text": self._said, "changes": str(self.changes)}
        return table


def _unpickled(data: bytes) -> Trace:
    return Trace.of_file(reading.from_bytes(data))


def _notebook(name: str) -> Any:
    """A function of `attn_core.views.notebook`, which stands above this package, too."""
    return getattr(importlib.import_module("attn_core.views.notebook"), name)


def _circuits(name: str) -> Any:
    """A function of `attn_core.circuits`, in the module of its name; that package stands above this one and reads
    traces, so it is imported by name when somebody asks, as the public names of `attn_core` are."""
    return getattr(importlib.import_module(f"attn_core.circuits.{name}"), name)
