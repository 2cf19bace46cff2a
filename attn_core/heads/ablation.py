"""Does this head matter? How much of the change is its own, and what happens without it.

A head is switched off in the attention function itself, before W_O, for one pass only; nobody else's pass is touched.
What counts as an effect depends on the model: where words are predicted, how far the next word's probabilities move;
in an encoder, by what angle the final embedding of the chosen word turns.

    trace = ac.trace(model, "a fluffy blue creature")
    run = runner(model, trace)
    summarise_head(trace, run, layer=0, head=3, query=4).parts()
    # [('11 %', "of this layer's ΔE"), ('3.5°', 'turn if switched off'), ('8.5 %', 'on [CLS] [SEP]'), …]

Sources: Michel et al. 2019 (switching heads off one by one); Kobayashi et al. 2020 (the size of what a head adds,
rather than its weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.heads import measures
from attn_core.heads.measures import Bools, Floats
from attn_core.prediction.next_token import name_of
from attn_core.residual import geometry
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

Head = tuple[int, int] | tuple[str, int, int]  # (layer, head), in an encoder-decoder (stream, layer, head)
REPLACEMENTS = ("zero", "mean", "even", "previous", "painted")
Runner = Callable[..., "Trace"]  # runs the same sentence again; options go to `attn_core.trace`


def runner(model: Any, trace: Trace) -> Runner:
    """Run the sentence of `trace` again, token by token the same: `run(without=[(0, 3)])` gives another trace."""
    import attn_core as ac

    if trace.kind != "encoder-decoder":
        return lambda **options: ac.trace(model, trace.tokens.ids, **options)
    source, target = trace.tokens_of("encoder")[0].ids, trace.tokens_of("decoder")[0].ids
    return lambda **options: ac.trace(model, source, target=target, **options)


def named(layer: int, head: int, stream: str | None = None) -> Head:
    """How `attn_core.trace(without=…)` calls a head."""
    return (layer, head) if stream in (None, "self") else (stream, layer, head)


def delta_shares(trace: Trace, layer: int, query: int, *, stream: str | None = None) -> Floats:
    """Each head's share of the layer's change to one word: ‖ΔE‖ of the head ÷ the sum of ‖ΔE‖ over heads, [head].

    Shares sum to 1. They are shares of sizes: parts that point against each other both count.
    """
    sizes = trace.delta_e_sizes(layer, stream=stream)[:, query].astype(float)
    return sizes / sizes.sum() if sizes.sum() > 0 else np.full_like(sizes, np.nan)


@dataclass(frozen=True)
class Word:
    """A word that may come next, and its probability before and after."""

    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Effect:
    """What changed between two passes: `value` in `unit`, with a sentence's worth of `what`.

    "°": the angle by which the chosen word's final embedding turned. "bits": how far the probabilities of the next word
    moved, as the Kullback–Leibler divergence KL(before ‖ after); then `rising` and `falling` are the words that gained
    and lost most.
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
                    moved.append(f"“{visible(word.text)}” {verb} from {before} to {after}")
        return f"Without it {' and '.join(moved)}." if moved else ""


def _short(value: float) -> str:
    if value != value:
        return "–"
    return "< 0.01" if 0 < value < 0.005 else f"{value:.2f}" if value < 0.995 else f"{value:.1f}"


def predicts(trace: Trace, stream: str | None = None) -> bool:
    """Whether positions of this stream predict a next word: a decoder's do, unless it came without its last layer."""
    if trace.kind != "decoder" and stream not in ("decoder", "cross"):
        return False
    try:
        trace.logits(0)
    except HeadlightError:
        return False
    return True


def effect(before: Trace, after: Trace, query: int, *, stream: str | None = None, n_words: int = 5) -> Effect:
    """Compare two passes of one sentence at one position of the stream's queries."""
    if predicts(before, stream):
        p, q = (np.exp(_log_probabilities(t.logits(query))) for t in (before, after))
        return Effect(
            _kl_bits(before.logits(query), after.logits(query)),
            "bits",
            "change of the next word",
            *_movers(before, p, q, n_words),
        )
    a, b = (t.final_embedding(stream=stream)[query] for t in (before, after))
    return Effect(float(geometry.angle(a, b)), "°", "turn if switched off")


def _log_probabilities(logits: Floats) -> Floats:
    shifted = logits.astype(float) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def _kl_bits(before: Floats, after: Floats) -> float:
    p, q = _log_probabilities(before), _log_probabilities(after)
    return float(max(0.0, (np.exp(p) * (p - q)).sum() / np.log(2)))


def _movers(trace: Trace, before: Floats, after: Floats, n: int) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The words that gained and that lost most probability, the largest change first."""
    order = np.argsort(after - before)

    def of(ids: NDArray[np.int_], sign: int) -> tuple[Word, ...]:
        moved = [Word(name_of(trace, int(i)), float(before[i]), float(after[i])) for i in ids]
        return tuple(w for w in moved if sign * (w.after - w.before) > 0)

    return of(order[::-1][:n], 1), of(order[:n], -1)


def words_compared(before: Trace, after: Trace, position: int, n: int = 6) -> list[Word]:
    """The next words that matter to a comparison: the `n` likeliest of each pass and the `n` that moved most.

    The likeliest before come first; every word appears once, with both probabilities.
    """
    p, q = (np.exp(_log_probabilities(trace.logits(position))) for trace in (before, after))
    ids = [*np.argsort(-p)[:n], *np.argsort(-q)[:n], *np.argsort(-np.abs(q - p))[:n]]
    return [Word(name_of(before, int(i)), float(p[i]), float(q[i])) for i in dict.fromkeys(ids)]


def switch_off_each(
    trace: Trace,
    run: Runner,
    query: int,
    *,
    stream: str | None = None,
    replacement: str = "zero",
    off: Sequence[Head] = (),
    painted: Sequence[tuple[int, int]] = (),
) -> Iterator[tuple[int, int, float]]:
    """Switch off one head after the other and yield (layer, head, effect) as each pass ends, so that one can stop.

    One pass a head. `off` are heads that stay off all the while; the effect is then that of one head more.
    `replacement` is what stands in for a head, one of `REPLACEMENTS`.
    """
    base = run(**replacement_options(trace, off, replacement, painted)) if off else trace
    for layer in range(trace.n_layers_of(stream)):
        for head in range(trace.n_heads_of(stream)):
            heads = [*off, named(layer, head, stream)]
            after = run(**replacement_options(trace, heads, replacement, painted))
            yield layer, head, effect(base, after, query, stream=stream, n_words=0).value


@dataclass(frozen=True)
class HeadSummary:
    """Does this head matter, in four numbers for one word: see `summarise_head`."""

    share: float
    effect: Effect
    sink: float
    sink_labels: tuple[str, ...]
    entropy: float

    def parts(self) -> list[tuple[str, str]]:
        """(number, what it is) as plain text, for `ui.widgets.strip`."""
        resting = " ".join(self.sink_labels) or "no sink in this sentence"
        return [
            (_percent(self.share), "of this layer's ΔE"),
            (self.effect.text, self.effect.what),
            (_percent(self.sink), f"on {resting}" if self.sink_labels else resting),
            (f"{self.entropy:.1f} bits", "entropy"),
        ]


def summarise_head(
    trace: Trace, run: Runner, layer: int, head: int, query: int, *, stream: str | None = None
) -> HeadSummary:
    """Does this head matter to this word? Costs one more pass through the model (`run(without=…)`).

    `share`: the head's part of the layer's ΔE at the word (see `delta_shares`). `effect`: what switching the head off
    changes there (see `effect`). `sink`: the weight that rests on [CLS], [SEP], BOS or a causal model's first token.
    `entropy`: how widely the word looks, in bits, the sink included.
    """
    off = run(without=[named(layer, head, stream)])
    return summary_with(trace, effect(trace, off, query, stream=stream), layer, head, query, stream=stream)


def summary_with(
    trace: Trace, change: Effect, layer: int, head: int, query: int, *, stream: str | None = None
) -> HeadSummary:
    """The same, where the effect of switching the head off is already known."""
    row = trace.pattern(layer, head, stream=stream)[query]
    keys = trace.tokens if stream is None else trace.tokens_of(stream)[1]
    sink = sink_of(trace, stream)
    return HeadSummary(
        share=float(delta_shares(trace, layer, query, stream=stream)[head]),
        effect=change,
        sink=float(row[sink].sum()),
        sink_labels=tuple(dict.fromkeys(label for label, rests in zip(keys.labels, sink, strict=True) if rests)),
        entropy=float(measures.entropy(row)),
    )


def sink_of(trace: Trace, stream: str | None = None) -> Bools:
    """The sink's keys of a stream, bool [key]: see `measures.sink_keys`."""
    keys = trace.tokens if stream is None else trace.tokens_of(stream)[1]
    return measures.sink_keys(keys.special, causal=trace.kind == "decoder" or stream == "decoder")


def _percent(share: float) -> str:
    value = 100 * share
    if value != value:
        return "–"
    return "< 0.1 %" if 0 < value < 0.05 else f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"


def replacement_options(
    trace: Trace, heads: Sequence[Head], replacement: str, painted: Sequence[tuple[int, int]] = ()
) -> dict[str, Any]:
    """Options for `attn_core.trace` that put something else in the place of heads.

    "zero" and "mean" stand in for what a head gives (see `attn_core.trace`); the others force its pattern: "even"
    attention over all that may be seen, the "previous" token, or the `painted` (query, key) cells, evenly in each row,
    rows without paint as they were. A cell that the mask forbids is not painted.
    """
    if replacement in ("zero", "mean"):
        return {"without": list(heads), "replacement": replacement}
    return {"edit": {head: _forced(trace, head, replacement, painted) for head in heads}}


def _forced(trace: Trace, head: Head, replacement: str, painted: Sequence[tuple[int, int]]) -> Floats:
    *stream, layer, number = head
    options = {"stream": stream[0]} if stream else {}
    may_look = trace.may_look(layer, **options)  # type: ignore[arg-type]
    cells = np.zeros_like(may_look)
    if replacement == "even":
        cells = may_look
    elif replacement == "previous":
        before = np.minimum(np.maximum(np.arange(len(cells)) - 1, 0), cells.shape[1] - 1)
        cells[np.arange(len(cells)), before] = True
    else:
        for query, key in painted:
            cells[query, key] = may_look[query, key]
    total = cells.sum(axis=1, keepdims=True)
    own = trace.pattern(layer, number, **options)  # type: ignore[arg-type]
    return np.where(total > 0, cells / np.maximum(total, 1), own).astype(np.float32)
