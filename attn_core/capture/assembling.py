"""From what a recorder kept of a pass to its trace, and the trace's way back to the model's weights."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from attn_core.capture.model import Model, checksum, keep_for_a_while
from attn_core.capture.own_head.reader import reader_of
from attn_core.capture.recorder import PassNotes, PassRecorder, layer_of
from attn_core.errors import HeadlightError, UnsupportedFamily
from attn_core.precision import through
from attn_core.text.description import names_of
from attn_core.text.tokens import Tokens
from attn_core.traces.changes import Changes
from attn_core.traces.layer import Layer, LazyLayers, frozen
from attn_core.traces.source import HeadReader, Source, Vocabulary
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import Tap, Wiring, changed_weights


def assemble(
    model: Model,
    recorder: PassRecorder | PassNotes,
    read: dict[str, tuple[Tokens, Tokens]],
    changes: Changes,
    below: Sequence[Callable[[], Layer]] = (),
    known: Mapping[Tap, Tensor] = frozen({}),
) -> Trace:
    """The trace of what a recorder kept; `read` gives the (query, key) tokens of each stream.

    A pass that began above some layers (`capture.again`) has those layers from `below`, and `known` from around them.
    """
    if len(below) + recorder.n_calls != len(model.wiring.sites):
        raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
    about, source = (model.name, model.family, model.kind), source_of(model)
    streams = partial(_streams_of, about, source, model.wiring, recorder, read, changes, below, known)
    return Trace(*about, _StreamsLater(tuple(read), streams), source, changes)


class _StreamsLater(Mapping[str, StreamTrace]):
    """The streams of a trace, put together when one is first asked for: as much work as two hooks of a pass."""

    def __init__(self, names: tuple[str, ...], make: Callable[[], Mapping[str, StreamTrace]]) -> None:
        self._names = names
        self._make: Callable[[], Mapping[str, StreamTrace]] | None = make
        self._made: Mapping[str, StreamTrace] = {}

    def __getitem__(self, name: str) -> StreamTrace:
        make = self._make  # asked first: another thread may be making them
        if make is not None:
            with _MAKING:
                self._made = self._made or make()
            self._make = None
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


_MAKING = threading.RLock()  # one stream is one value, whoever asks first


def _streams_of(
    about: tuple[str, str, str],
    source: Source,
    wiring: Wiring,
    kept: PassRecorder | PassNotes,
    read: dict[str, tuple[Tokens, Tokens]],
    changes: Changes,
    below: Sequence[Callable[[], Layer]],
    known: Mapping[Tap, Tensor],
) -> Mapping[str, StreamTrace]:
    recorder = kept.sorted()
    taps = recorder.taps()
    taps |= {tap: tensor for tap, tensor in known.items() if tap not in taps}
    layers: dict[str, list[Callable[[], Layer]]] = {name: [] for name in read}
    if below:
        layers["self"] += below
    for site, call in zip(wiring.sites[len(below) :], recorder.calls, strict=True):
        layers[site.stream].append(partial(layer_of, site, call, wiring, taps, recorder.computed))
    streams: dict[str, StreamTrace] = {}
    for name in reversed(layers):  # "cross" before the decoder that goes on through it
        ends_as = "decoder" if name == "cross" else name
        final, (query_tokens, key_tokens) = wiring.final.get(ends_as), read[name]
        key_tokens = key_tokens.with_keys(wiring.keys_beside(name))
        streams[name] = StreamTrace(
            name,
            *about,
            query_tokens,
            key_tokens,
            _layers=LazyLayers(layers[name]),
            _final=None if final is None else _rows(taps[wiring.first_of(final)], recorder.filler.get(ends_as)),
            _final_norm=wiring.final_norm.get(ends_as),
            _source=source,
            _continued_by=streams.get("cross") if name == "decoder" else None,
            changes=changes,
        )
    return frozen({name: streams[name] for name in layers})


def _rows(tensor: Tensor, filler: Tensor | None) -> Tensor:
    """[1, token, features] → [token, features] in float32, with NaN for filler; what is that already, as it is."""
    rows = tensor if tensor.dim() == 2 else tensor.flatten(0, -2)
    rows = rows if rows.dtype == torch.float32 else rows.float()
    return rows if filler is None else rows.masked_fill(filler.to(rows.device)[:, None], math.nan)


_SOURCES: weakref.WeakKeyDictionary[Model, Source] = weakref.WeakKeyDictionary()


def source_of(model: Model) -> Source:
    """The way back to a model's weights, which all its traces share. Those of a model that can be loaded again are not
    kept alive by it."""
    found = _SOURCES.get(model)
    if found is None:
        found = _SOURCES[model] = _way_back(model)
    return found


def _itself(hf_model: Any) -> Any:
    return hf_model


def _way_back(model: Model) -> Source:
    name, reload = model.name, model.reload
    kept: Callable[[], Any] = weakref.ref(model.hf) if reload is not None else partial(_itself, model.hf)
    tokenizer, rule, family = model.tokenizer, model.wiring.logits, model.family
    knows_no_words, writes_another = model.reads_other, bool(model.hf.config.is_encoder_decoder)
    unembedding, checksums = model.unembedding, model.checksums

    def module() -> Any:
        nonlocal kept
        hf = kept()
        if hf is None and reload is not None:
            hf = keep_for_a_while(reload()).hf  # so that the next reader finds it: ac.trace(ac.load("minilm"), …)
            kept = weakref.ref(hf)
        return hf

    def words(ids: Sequence[int]) -> list[str]:
        return names_of(tokenizer, [*map(int, ids)], target=writes_another)

    def vocabulary() -> Vocabulary:
        hf = module()
        if knows_no_words:
            raise HeadlightError(f"{family} models know no words: they look at images, or listen.")
        head = hf.get_output_embeddings() if rule is not None else None
        matrix = (head if head is not None else hf.get_input_embeddings()).weight.detach()
        if matrix.shape[1] != hf.config.get_text_config(decoder=True).hidden_size:
            raise HeadlightError(f"The words of {family} models are vectors of a space of their own, not of that of E.")
        return Vocabulary(matrix, "unembedding" if head is not None else "input embedding", words)

    def logits(final: Tensor) -> Tensor:
        hf = module()
        if rule is None:
            has_head = hf.get_output_embeddings() is not None
            why = "reads its words off in a way that could not be found" if has_head else "does not predict a next word"
            raise HeadlightError(f"{name} {why}.")
        if unembedding is not None and checksum(hf.get_output_embeddings()) != unembedding:
            raise changed_weights()
        return rule.logits(through(hf.get_output_embeddings(), final))

    def require_unchanged(name: str) -> None:
        if name in checksums and checksum(module().get_submodule(name)) != checksums[name]:
            raise changed_weights()

    own_head, left_aside = model.wiring.own_head, model.head_left_aside

    def head() -> HeadReader:
        if own_head is None:
            why = (
                f"its head, {left_aside}, was left aside"
                if left_aside
                else f"{family} models like it have no such head"
            )
            raise HeadlightError(f"{name} names no labels: {why}.")
        return reader_of(module, own_head, require_unchanged)

    return Source(
        module,
        vocabulary,
        logits,
        lambda i: words([i])[0],
        head,
        model.wiring.own_pass,
        model.wiring.own_weights,
        wrapped=reload is None,
        require_unchanged=require_unchanged,
    )
