"""Switch heads off, or put something in their place, and see what the model says without them.

A head is switched off in the attention function itself, before W_O, for one pass only; nobody else's pass is touched.
What counts as an effect depends on the model: where words are predicted, how far the next word's probabilities move;
with a head of its own, how far those of its labels do; elsewhere, by what angle the final embedding of the chosen word
turns.

    trace = run_trace(model, "a fluffy blue creature")
    run = runner(model, trace)
    stream = trace.stream()
    effect(stream, run(**replacement_options(stream, [(0, 3)], "mean")).stream(), query=4).text  # "3.5°"

What may stand in for a head is one record of `REPLACEMENTS`: options, words on screen and snippets follow from it.
Source: Michel et al. 2019 (switching heads off one by one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.measures import by_name
from attn_core.heads.sink import Bools, Floats
from attn_core.prediction.labels import bits_between, chances_at, has_probabilities
from attn_core.prediction.next_token import name_of, predicts
from attn_core.residual import geometry
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamSource, StreamTrace
    from attn_core.traces.trace import Trace

OF_LABELS = "change of the labels"
Head = tuple[int, int]  # (layer, head)
Runner = Callable[..., "StreamSource"]  # runs the same sentence again; options go to `attn_core.trace`


Cells = Sequence[tuple[int, int]]  # (query, key) pairs


@dataclass(frozen=True)
class Replacement:
    """What may stand in for a head: its name in code and links, and what it is in plain words.

    `cells` gives the cells that the head is made to look at, bool [query, key], from what it may look at and from the
    cells that somebody painted; rows without a cell stay as they are. None: `attn_core.trace` replaces what the head
    gives by its own rule of this name.
    """

    name: str
    title: str
    cells: Callable[[Bools, Cells], Bools] | None = None


def _even(may_look: Bools, painted: Cells) -> Bools:
    """All keys that may be seen."""
    return may_look


def _previous(may_look: Bools, painted: Cells) -> Bools:
    """The token before; the first token looks at itself."""
    n_query, n_key = may_look.shape
    before = np.minimum(np.maximum(np.arange(n_query) - 1, 0), n_key - 1)
    result: Bools = np.arange(n_key)[None, :] == before[:, None]  # [1, key] == [query, 1]
    return result


def _painted(may_look: Bools, painted: Cells) -> Bools:
    """The painted cells, without those that the mask forbids."""
    cells = np.zeros_like(may_look)
    for query, key in painted:
        cells[query, key] = may_look[query, key]
    return cells


REPLACEMENTS: Mapping[str, Replacement] = by_name(
    Replacement("zero", "nothing"),
    Replacement("mean", "its mean over the sentence"),
    Replacement("even", "even attention", _even),
    Replacement("previous", "the word before", _previous),
    Replacement("painted", "the cells painted", _painted),
)


def replacement_options(
    stream: StreamTrace, heads: Sequence[Head], replacement: str, painted: Cells = ()
) -> dict[str, Any]:
    """Options for `attn_core.trace` that put one of `REPLACEMENTS` in the place of heads of a stream.

    "zero" and "mean" stand in for what a head gives; the others force its pattern, evenly over their cells in each row.
    """
    cells = REPLACEMENTS[replacement].cells
    if cells is None:  # zero is what is put there unless told otherwise, so both are one pass for whoever keeps it
        off = {"without": [stream.head_key(*head) for head in heads]}
        return {**off, "replacement": replacement} if replacement != "zero" and heads else off
    return {"edit": {stream.head_key(*head): _forced(stream, head, cells, painted) for head in heads}}


def _forced(stream: StreamTrace, head: Head, cells_of: Callable[[Bools, Cells], Bools], painted: Cells) -> Floats:
    """The pattern that is put in the place of a head's own, [query, key]; rows sum to 1."""
    layer, number = head
    cells = cells_of(stream.may_look(layer), painted)
    total = cells.sum(axis=1, keepdims=True)  # [query, key] → [query, 1]
    own = stream.pattern(layer, number)
    return np.where(total > 0, cells / np.maximum(total, 1), own).astype(np.float32)


def runner(model: Any, trace: Trace) -> Callable[..., Trace]:
    """Run the sentence of `trace` again, token by token the same: `run(without=[(0, 3)])` gives another trace."""
    from attn_core.capture.again import trace_again  # brings in torch, which a stored result does without

    return lambda **changes: trace_again(model, trace, **changes)


def run_without_each(model: Any, text: Any, heads: Sequence[Head], **read: Any) -> list[Trace]:
    """The plain trace of a sentence and one with each head switched off, all from one pass; `read` says how it is read
    (`frame`, or `messages` in place of a text)."""
    from attn_core.capture.batches import traces_beside

    return traces_beside(model, text, heads, **read)


@dataclass(frozen=True)
class Word:
    """A word that may come next, and its probability before and after."""

    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Effect:
    """What changed between two passes: `value` in `unit`, with a sentence's worth of `what`.

    "°": the angle by which the chosen word's final embedding turned. "bits": how far the probabilities of the next
    word, or of the labels, moved, as the Kullback–Leibler divergence KL(before ‖ after); then `rising` and `falling`
    are the words or labels that gained and lost most.
    """

    value: float
    unit: str
    what: str
    rising: tuple[Word, ...] = ()
    falling: tuple[Word, ...] = ()

    @property
    def text(self) -> str:
        """The number as it is read: "3.5°", "0.42 bits"."""
        return f"{_short(self.value)}{'' if self.unit == '°' else ' '}{self.unit}"

    @property
    def says(self) -> str:
        """The words that gained and lost most, as a plain sentence; "" where none moves as far as people can read."""
        moved = []
        for verb, words in (("rises", self.rising), ("falls", self.falling)):
            for word in words[:1]:
                before, after = percent(word.before), percent(word.after)
                if before != after:
                    text = word.text if self.what == OF_LABELS else visible(word.text)
                    moved.append(f"“{text}” {verb} from {before} to {after}")
        return f"Without it {' and '.join(moved)}." if moved else ""


def _short(value: float) -> str:
    if value != value:
        return "–"
    return "< 0.01" if 0 < value < 0.005 else f"{value:.2f}" if value < 0.995 else f"{value:.1f}"


def effect(before: StreamTrace, after: StreamTrace, query: int, *, n_words: int = 5) -> Effect:
    """Compare one stream of two passes of one sentence, at one position of its queries."""
    if outcome(before) != "turn":
        if has_probabilities(before):
            bits, what = bits_between(before, after, query), OF_LABELS
        else:
            bits, what = _kl_bits(before.logits(query), after.logits(query)), "change of the next word"
        return Effect(bits, "bits", what, *_movers(before, after, query, n_words))
    a, b = (t.final_embedding()[query] for t in (before, after))
    return Effect(float(geometry.angle(a, b)), "°", "turn if switched off")


def outcome(stream: StreamTrace) -> str:
    """What an effect is measured on: the "labels" of the model's own head, the next "words", or a "turn"."""
    return "labels" if has_probabilities(stream) else "words" if predicts(stream) else "turn"


def _chances(stream: StreamTrace, query: int) -> tuple[Callable[[int], str], Floats]:
    """What the model says at a word: the name of each word or label, and the probabilities of all."""
    if has_probabilities(stream):
        names, found = chances_at(stream, query)
        return names.__getitem__, found
    from scipy.special import softmax  # no first picture waits for scipy

    return partial(name_of, stream), softmax(stream.logits(query).astype(float))


def _kl_bits(before: Floats, after: Floats) -> float:
    """KL(before ‖ after) of two rows of logits [word], in bits."""
    from scipy.special import log_softmax

    p, q = log_softmax(before.astype(float)), log_softmax(after.astype(float))
    return float(max(0.0, (np.exp(p) * (p - q)).sum() / np.log(2)))


def _movers(before: StreamTrace, after: StreamTrace, query: int, n: int) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The words that gained and that lost most probability, the largest change first."""
    (name, p), (_, q) = _chances(before, query), _chances(after, query)
    order = np.argsort(q - p)

    def of(ids: NDArray[np.int_], sign: int) -> tuple[Word, ...]:
        moved = [Word(name(int(i)), float(p[i]), float(q[i])) for i in ids]
        return tuple(w for w in moved if sign * (w.after - w.before) > 0)

    return of(order[::-1][:n], 1), of(order[:n], -1)


def words_compared(before: StreamTrace, after: StreamTrace, position: int, n: int = 6) -> list[Word]:
    """The next words, or labels, that matter to a comparison: the `n` likeliest of each pass and those that moved most.

    The likeliest before come first; every word appears once, with both probabilities.
    """
    (name, p), (_, q) = (_chances(stream, position) for stream in (before, after))
    ids = [*np.argsort(-p)[:n], *np.argsort(-q)[:n], *np.argsort(-np.abs(q - p))[:n]]
    return [Word(name(int(i)), float(p[i]), float(q[i])) for i in dict.fromkeys(ids)]


def switch_off_each(
    stream: StreamTrace,
    run: Runner,
    query: int,
    *,
    replacement: str = "zero",
    off: Sequence[Head] = (),
    painted: Sequence[tuple[int, int]] = (),
) -> Iterator[tuple[int, int, float]]:
    """Switch off one head of a stream after the other; yields (layer, head, effect) as each pass ends.

    One pass a head. `off` are heads that stay off all the while; the effect is then that of one head more.
    `replacement` is what stands in for a head, one of `REPLACEMENTS`.
    """

    def without(heads: Sequence[Head]) -> StreamTrace:
        return run(**replacement_options(stream, heads, replacement, painted)).stream(stream.name)

    base = without(off) if off else stream
    for layer in range(stream.n_layers):
        for head in range(stream.n_heads):
            yield layer, head, effect(base, without([*off, (layer, head)]), query, n_words=0).value
