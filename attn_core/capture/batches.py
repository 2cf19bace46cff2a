"""Many sentences in one pass: padded to the longest, recorded whole, and cut into one trace for each.

A padded pass computes for every sentence what it would compute alone, up to the order of its sums: pads stand behind
the words, and no word may look at them. What a sentence's layer shows is a copy without its pads. It is made when the
layer is first read, so that whoever reads a number of each sentence and lets it go copies nothing else; a trace that is
still held when its batch is over gets copies of all, so that none keeps a batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from attn_core.capture.assembling import assemble
from attn_core.capture.hooks import AttentionCall, recording_to, tensor_at
from attn_core.capture.model import Model, model_of
from attn_core.capture.recorder import KeptCall, PassRecorder, address_of, mask_key, site_of
from attn_core.capture.run import Frame, HeadKey, Keep, changes_of, check_keep, trace, warn_of_cuts
from attn_core.errors import HeadlightError
from attn_core.options import check_choice, check_several, check_whole
from attn_core.text.tokens import Tokens
from attn_core.traces.changes import Changes
from attn_core.traces.layer import some_rows
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import ModuleSide, Tap, Wiring

BATCHES_AHEAD = 4  # how many batches are read at once, so that sentences of similar length come together
SIMILAR = 1.5  # times as long as the shortest of its batch a sentence may be; what stands behind the others is wasted
SHORT = 32  # tokens, up to which a pass costs nearly the same however long it is

_PLAIN = Changes()


def trace_many(
    model: Model | str | Path, texts: Iterable[Any], batch: int = 32, *, keep: Keep = "full", frame: Frame = "own"
) -> Iterator[Trace]:
    """The traces of many sentences, in their order; each equals `ac.trace(model, text)` up to float32 rounding.

    `texts` are sentences, lists of token ids, or pairs as `ac.trace` takes them; of an encoder-decoder each is (source,
    target). Sentences of similar length share a pass, padded to the longest; at most `batch` × `BATCHES_AHEAD` traces
    are held at a time, and one that is held longer keeps nothing of its batch. A model with two stacks, or one that
    listens, reads them one by one. `keep` and `frame` are those of `ac.trace`. Raises what `ac.trace` raises for a
    sentence, when its turn comes, and ValueError for a batch below 1 or another `keep` or `frame`.
    """
    check_whole("batch", batch, least=1)
    check_keep(keep)
    check_choice("frame", frame, get_args(Frame))
    check_several("texts", texts, "sentences")
    return _traces(model_of(model), iter(texts), batch, keep, frame)


def traces_beside(
    model: Model,
    text: Any,
    heads: Sequence[HeadKey],
    frame: Frame = "own",
    messages: Sequence[Mapping[str, str]] | None = None,
) -> list[Trace]:
    """A sentence's trace and, for each of some heads, that of the same tokens with the head switched off: one pass.

    Each equals what `ac.trace` gives alone, up to float32 rounding; a changed one costs a third of a pass of its own.
    `frame` and `messages` are those of `ac.trace`. For models with one stack that read text: HeadlightError for others,
    and what `ac.trace` raises for text and heads.
    """
    if model.kind == "encoder-decoder" or model.reads_other or model.wiring.virtual:
        raise HeadlightError(f"{model.name} does not read one text alone, so a pass of it holds no second row.")
    tokens = model.read_sentence(text, frame) if messages is None else model.read_messages(messages)
    read = {"self": (tokens, tokens)}
    warn_of_cuts(read)
    changes = [_PLAIN, *(changes_of(model, without=[head]) for head in heads)]
    recorder = ChangedRows(model.wiring, changes)
    with model.running(), recording_to(recorder):
        model.run(**model.inputs_of(tokens, len(changes)))
        kept = recorder.each()
    return [assemble(model, own, read, said) for own, said in zip(kept, changes, strict=True)]


def _traces(model: Model, texts: Iterator[Any], batch: int, keep: Keep, frame: Frame) -> Iterator[Trace]:
    if model.kind == "encoder-decoder" or model.reads_sound or model.wiring.virtual:
        pairs = (text if isinstance(text, tuple) else (text, None) for text in texts)
        yield from (trace(model, text, target=target, keep=keep, frame=frame) for text, target in pairs)
        return
    while window := list(islice(texts, batch * BATCHES_AHEAD)):
        whole = [model.read_sentence(text, frame) for text in window]
        warn_of_cuts({str(n): (own, own) for n, own in enumerate(whole)})
        found: dict[int, Trace] = {}
        in_batches: list[weakref.ref[_OfRow]] = []
        order = sorted(range(len(window)), key=lambda i: len(whole[i].ids))
        for chosen in of_similar_length(order, [len(own.ids) for own in whole], batch):
            traces, parts = _one_pass(model, [whole[i] for i in chosen], keep)
            found |= dict(zip(chosen, traces, strict=True))
            in_batches += parts
            del traces  # only those that somebody else holds are to be cut out
        try:
            yield from (found.pop(i) for i in range(len(window)))
        finally:
            found.clear()
            for part in filter(None, (held() for held in in_batches)):
                part.cut_out()


def of_similar_length(
    order: Sequence[int], lengths: Sequence[int], most: int, most_tokens: int | None = None
) -> Iterator[list[int]]:
    """Sentences, the shortest first, in groups that share a pass: at most so many, and none much longer than another.

    With `most_tokens` a group of several has at most so many, pads included.

    >>> list(of_similar_length([0, 1, 2, 3], [5, 30, 40, 512], 32))
    [[0, 1], [2], [3]]
    """
    group: list[int] = []
    for i in order:
        too_large = most_tokens is not None and (len(group) + 1) * lengths[i] > most_tokens
        if group and (len(group) == most or too_large or lengths[i] > max(SHORT, SIMILAR * lengths[group[0]])):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _one_pass(model: Model, sentences: Sequence[Tokens], keep: Keep) -> tuple[list[Trace], list[weakref.ref[_OfRow]]]:
    """The traces of some sentences, and what of them lies in their batch for as long as somebody holds it."""
    filler = getattr(model.tokenizer, "pad_token_id", None) or 0
    given = {
        "input_ids": _padded([own.ids for own in sentences], filler),
        "attention_mask": _padded([[1] * len(own) for own in sentences]),
    }
    if model.takes_types and any(own.types for own in sentences):
        given["token_type_ids"] = _padded([own.types or [0] for own in sentences], n_tokens=given["input_ids"].shape[1])
    recorder = BatchRecorder(model.wiring, len(sentences), keep == "small")
    with model.running(), recording_to(recorder):
        model.run(**given)
    kept = [RowOfBatch(recorder, row, len(own)) for row, own in enumerate(sentences)]
    pairs = zip(kept, sentences, strict=True)
    traces = [assemble(model, own, {"self": (tokens, tokens)}, _PLAIN) for own, tokens in pairs]
    return traces, [weakref.ref(part) for own in kept for part in own.parts]


def _padded(rows: Sequence[Sequence[int]], filler: int = 0, n_tokens: int = 0) -> Tensor:
    """Rows of whole numbers, filled up to the longest or to so many: [row, token]."""
    longest = max(n_tokens, *map(len, rows))
    return torch.from_numpy(np.array([[*row, *[filler] * (longest - len(row))] for row in rows], dtype=np.int64))


class BatchRecorder:
    """Keeps what a `PassRecorder` needs of a pass over several sentences, and gives each of them such a recorder."""

    in_steps = False
    passed: dict[ModuleSide, Any] | None = None  # each tensor is looked at as it passes by
    virtual = 0  # sentences after virtual tokens are read one by one

    def __init__(self, wiring: Wiring, n_sentences: int, small: bool = False) -> None:
        self.wiring, self.n_sentences, self.small = wiring, n_sentences, small
        self._sampled = (
            {wiring.first_of(site.projected) for site in wiring.sites} - wiring.kept_small if small else set()
        )
        self._kept = wiring.kept_small | self._sampled if small else wiring.kept
        self.calls: list[AttentionCall] = []
        self.tensors: dict[Tap, Tensor] = {}  # [sentence, token, feature]
        self.rules: dict[tuple[int, int], Any] = {}  # of masks, by call and number of tokens, as a recorder keeps them
        self._counts: dict[ModuleSide, int] = {}

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, value

    def on_attention(self, call: AttentionCall) -> None:
        site = site_of(self.wiring.sites, len(self.calls))
        self.calls.append(call._replace(**{name: getattr(call, name).clone() for name in site.copied}))

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        count = self._counts[place] = self._counts.get(place, -1) + 1
        for tap in self._kept & {*self.wiring.wanted.get((*place, count), ())}:
            tensor = tensor_at(tap.slot, values, named)
            kept = tensor.clone() if place in self.wiring.copied_places else tensor
            self.tensors[tap] = kept.reshape(self.n_sentences, -1, kept.shape[-1])

    @torch.inference_mode()
    def tensor_of(self, tap: Tap, row: int, n_tokens: int) -> Tensor:
        """What is kept of one sentence there, a copy: [token, feature]."""
        some = some_rows(n_tokens) if tap in self._sampled else slice(None)  # for `Layer.sample`
        return self.tensors[tap][row, :n_tokens][some].clone()


class RowOfBatch(PassRecorder):
    """The recorder that one sentence of a batch alone would have left; what it kept is copied a layer at a time.

    `parts` are what lies in the batch still.
    """

    def __init__(self, batch: BatchRecorder, row: int, n_tokens: int) -> None:
        super().__init__(batch.wiring, small=batch.small)
        squares = {(address_of(call.mask), address_of(call.bias)): n for n, call in enumerate(batch.calls)}
        for n in squares.values():  # a mask that cannot be read is refused now
            self._share_rules(batch, n, _of_row(batch.calls[n], row, n_tokens))
        cut = partial(_cut, batch, row, n_tokens, self.masks)  # not a method: what holds itself lives on
        self.calls = [_CallOfRow(partial(cut, n)) for n in range(len(batch.calls))]
        self._taps = _TapsOfRow(batch, row, n_tokens)
        self.parts: list[_OfRow] = [*self.calls, self._taps]

    def _share_rules(self, batch: BatchRecorder, n: int, call: AttentionCall) -> None:
        """Read a call's mask and bias, unless a sentence as long has the same."""
        site, known = self.wiring.sites[n], (n, call.query.shape[2])
        if known in batch.rules and _same_squares(batch.rules[known][0], call):
            self.masks[mask_key(call, site)] = (call, *batch.rules[known][1:])
        else:
            self._mask(call, site)
            batch.rules[known] = self.masks[mask_key(call, site)]


def _same_squares(one: AttentionCall, other: AttentionCall) -> bool:
    pairs = ((one.mask, other.mask), (one.bias, other.bias))
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


@torch.inference_mode()
def _cut(batch: BatchRecorder, row: int, n_tokens: int, masks: dict[Any, Any], n: int) -> KeptCall:
    """One sentence's part of the n-th call over a batch, in storages of its own; `masks` are shared by its layers."""
    own = SentenceRecorder(batch.wiring, first=n, small=batch.small)
    own.masks = masks
    own.change_and_keep(_of_row(batch.calls[n], row, n_tokens))
    kept: KeptCall = own.calls[0]
    return kept


class _OfRow(Protocol):
    """Something of a sentence that lies in its batch until it is read, or until it is cut out."""

    def cut_out(self) -> None:
        """Copy it, and let the batch go."""


class _CallOfRow:
    """One attention call of a sentence."""

    def __init__(self, cut: Callable[[], KeptCall]) -> None:
        self._cut: Callable[[], KeptCall] | None = cut
        self._kept: KeptCall | None = None

    def __call__(self) -> KeptCall:
        cut = self._cut  # asked first: another thread may be cutting it out
        return cut() if cut is not None else self._kept  # type: ignore[return-value]

    def cut_out(self) -> None:
        self._kept, self._cut = self(), None


class _TapsOfRow(dict[Tap, Tensor]):
    """The tensors around attention, [token, feature]; each a copy, made when it is asked for."""

    def __init__(self, batch: BatchRecorder, row: int, n_tokens: int) -> None:
        self._batch: BatchRecorder | None = batch
        self._of = row, n_tokens

    def __contains__(self, tap: object) -> bool:
        batch = self._batch
        return super().__contains__(tap) if batch is None else tap in batch.tensors

    def __missing__(self, tap: Tap) -> Tensor:
        batch = self._batch
        if batch is None:  # another thread has just cut all of it out
            return self[tap]
        self[tap] = batch.tensor_of(tap, *self._of)
        return self[tap]

    def cut_out(self) -> None:
        for tap in [] if self._batch is None else self._batch.tensors:
            self[tap]
        self._batch = None


class SentenceRecorder(PassRecorder):
    """What is kept of one sentence of a batch; `kept` are the tensors around attention, [token, feature]."""

    def __init__(self, wiring: Wiring, changes: Changes = _PLAIN, first: int = 0, small: bool = False) -> None:
        super().__init__(wiring, changes, first, small=small)
        self.kept: dict[Tap, Tensor] = {}

    def change_and_keep(self, call: AttentionCall) -> None:
        """Change a row of a batch as this recorder is asked to, and keep it in storages of its own."""
        shared = {"query", "key", "value", "output"} - self._site().copied
        self.on_attention(call)
        kept = self.calls[-1]
        self.calls[-1] = kept._replace(**{name: getattr(kept, name).clone() for name in shared})

    def taps(self) -> dict[Tap, Tensor]:
        return self.kept


class ChangedRows(BatchRecorder):
    """Keeps a pass over one sentence in several rows, of which each has changes of its own to its heads."""

    def __init__(self, wiring: Wiring, changes: Sequence[Changes]) -> None:
        super().__init__(wiring, len(changes))
        self._rows = [SentenceRecorder(wiring, own) for own in changes]

    def on_attention(self, call: AttentionCall) -> None:
        for row, own in enumerate(self._rows):
            own.change_and_keep(row_of(call, slice(row, row + 1)))

    def each(self) -> list[SentenceRecorder]:
        """The recorders that the rows alone would have left; a tensor of the batch goes when its rows are copied."""
        for tap in list(self.tensors):
            tensor = self.tensors.pop(tap)
            for row, own in enumerate(self._rows):
                own.kept[tap] = tensor[row].clone()
        return self._rows


def row_of(call: AttentionCall, one: slice) -> AttentionCall:
    """One row of an attention call, in the batch's own storages: what is changed in it, the model goes on with."""
    parts = {name: getattr(call, name)[one] for name in ("query", "key", "value", "output")}
    squares = {name: getattr(call, name) for name in ("mask", "bias")}
    return call._replace(**parts, **{n: s if s is None or len(s) == 1 else s[one] for n, s in squares.items()})


def _of_row(call: AttentionCall, row: int, n_tokens: int) -> AttentionCall:
    """One sentence's part of an attention call, without its pads, in the batch's storages."""
    one = slice(row, row + 1)

    def cells(square: Tensor | None) -> Tensor | None:
        if square is None:
            return None
        return (square if len(square) == 1 else square[one])[..., :n_tokens, :n_tokens]

    def keys(part: Tensor) -> Tensor:
        words = part[one, :, :n_tokens]
        return torch.cat([words, part[one, :, -call.beside :]], dim=2) if call.beside else words

    return call._replace(
        query=call.query[one, :, :n_tokens],
        key=keys(call.key),
        value=keys(call.value),
        output=call.output[one, :n_tokens],
        mask=cells(call.mask),
        bias=cells(call.bias),
    )
