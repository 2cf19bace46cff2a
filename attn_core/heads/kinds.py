"""What kind of head is each: run a model on ordinary sentences and on repeated random tokens, and count.

Where a head looks in ordinary sentences depends on what they say, so the rules about tokens (duplicate, induction,
first mention) are judged on random tokens said three times, where nothing but the repetition can be followed. Source:
Elhage et al. 2021; Olsson et al. 2022, "In-context Learning and Induction Heads". Every sample has its seed, and the
table says how many there were.

    table = survey(model)
    table[["layer", "head", "kind", "sink", "previous"]]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attn_core.heads import measures as heads
from attn_core.heads.ablation import sink_of
from attn_core.heads.measures import Bools, Floats, Tally

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.capture.model import Model
    from attn_core.traces.trace import Trace

SENTENCES = (
    "The keys to the cabinet are on the table, but nobody has seen the cabinet since Monday.",
    "Why did the doctor tell the nurse that she was late?",
    "Bring three things: a warm coat, a good map and a little patience!",
    "The old bridge fell in the storm; the new one, which is made of steel, still stands.",
    '"I never said that," she answered, "and you know it."',
    "When the rain stopped, the children ran out (all five of them) to look for the dog.",
)
SEEDS = (0, 1, 2, 3)
LENGTH, REPEATS = 16, 3
LONGEST_TRANSLATION = 64  # tokens; a model that never ends its sentence would fill its limit

KINDS_OF = {  # on what each rule is judged
    "sentences": ("previous", "next", "same", "local", "punctuation"),
    "repeats": ("induction", "first_mention", "duplicate"),
}
MEASURES = {
    "entropy": "entropy (bits)",
    "distance": "mean distance (tokens)",
    "sink": "share on the sink",
    "separator": "share on separators",
    **{name: f"{kind.title} (share)" for name, kind in heads.KINDS.items()},
}


def texts_for(name: str) -> Sequence[str | tuple[str, str]]:
    """Ordinary sentences for a model: English, or for the models that know one small grammar, sentences of that."""
    from random import Random

    from attn_core.tiny import grammar_phrases as phrases
    from attn_core.tiny import grammar_stories as stories

    if name == "tiny-decoder":
        return [" ".join(stories.row(Random(seed), 56)[0][1:]) for seed in range(6)]
    if name == "tiny-translator":
        pairs = [phrases.sentence(Random(seed)) for seed in range(12)]
        return [(" ".join(pair.english), " ".join(pair.french)) for pair in pairs]
    return SENTENCES


def ordinary_words(tokenizer: Any) -> list[int]:
    """The ids of tokens that are a word of letters, at least three of them, in the order of ids.

    A vocabulary that has hardly any, of bytes or of single letters, gives all its tokens but the special ones.
    """
    vocabulary = tokenizer.get_vocab()
    found = sorted(i for word, i in vocabulary.items() if len(w := word.lstrip("Ġ▁")) > 2 and w.isalpha())
    return found if len(found) >= LENGTH else sorted({*vocabulary.values()} - {*tokenizer.all_special_ids})


def repeated_random_tokens(words: Sequence[int], seed: int, length: int = LENGTH, repeats: int = REPEATS) -> list[int]:
    """`length` different random tokens, the whole list said `repeats` times.

    >>> tokens = repeated_random_tokens(range(100), seed=0, length=2, repeats=3)
    >>> tokens == tokens[:2] * 3
    True
    """
    chosen = np.random.default_rng(seed).choice(np.asarray(words), size=length, replace=False)
    return [int(i) for i in np.tile(chosen, repeats)]


def passes(model: Model, texts: Sequence[Any] | None = None, seeds: Sequence[int] = SEEDS) -> int:
    """How many forward passes a survey takes."""
    return len(texts_for(model.name) if texts is None else texts) + len(seeds)


def survey(
    model: Model,
    *,
    stream: str | None = None,
    texts: Sequence[str | tuple[str, str]] | None = None,
    seeds: Sequence[int] = SEEDS,
    run: Callable[..., Trace] | None = None,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """All heads of a stream, one row each: layer, head, measures, shares of each rule, and the kind.

    Columns: `entropy` (bits) and `distance` (tokens) with the sink removed; `sink` and `separator`, the shares that
    rest there; for each of `heads.KINDS` the share of the weight outside the sink that follows it, `<kind> chance`
    (even attention) and `<kind> lift` (see `heads.Tally`); `kind`, a name in `KINDS` or `heads.NO_PATTERN`. NaN where
    a rule does not apply: a decoder cannot look ahead, and between two languages there is no "token before".

    `texts` are sentences, or (source, target) pairs; a sentence without a target is one that an encoder-decoder
    translates itself. `run` stands in for `attn_core.trace`.
    `table.attrs` says "seeds", "samples", "sentences" and "length". Raises ValueError for an encoder-decoder without
    `stream`.
    """
    import attn_core as ac

    texts = texts_for(model.name) if texts is None else texts
    run = run or ac.trace
    steps = len(texts) + len(seeds)
    counts = _Counts()
    for i, trace in enumerate(_traces(model, texts, seeds, run)):
        ordinary = i < len(texts)
        counts.add(trace, stream, KINDS_OF["sentences" if ordinary else "repeats"], ordinary)
        if progress is not None:
            progress((i + 1) / steps)
    table = counts.table()
    table.attrs = {"seeds": list(seeds), "samples": len(seeds), "sentences": len(texts), "length": LENGTH}
    return table


def _traces(model: Model, texts: Sequence[Any], seeds: Sequence[int], run: Callable[..., Trace]) -> Iterable[Trace]:
    """The sentences first, then the repeated random tokens, special tokens around them as the model expects."""
    for text in texts:
        source, options = _written(model, text)
        yield run(model, source, **options)
    words = ordinary_words(model.tokenizer)
    for seed in seeds:
        tokens = repeated_random_tokens(words, seed, min(LENGTH, (model.limit - 4) // REPEATS))
        if model.kind == "encoder-decoder":
            start = model.hf.config.decoder_start_token_id
            yield run(model, _framed(model, tokens), target=[start, *tokens])
        else:
            yield run(model, _framed(model, tokens))


def _written(model: Model, text: str | tuple[str, str]) -> tuple[str, dict[str, Any]]:
    """A text as it is read, and as options of a pass what is written for it: an encoder-decoder's own translation,
    unless the text comes with one."""
    from attn_core.prediction import translation

    if not isinstance(text, str):
        return text[0], {"target": text[1]}
    if model.kind != "encoder-decoder":
        return text, {}
    source = translation.as_read(model, text)
    return source, {"target": translation.greedy(model, model.read(source), at_most=LONGEST_TRANSLATION).ids}


def _framed(model: Model, tokens: list[int]) -> list[int]:
    """The tokens between the special ones that the model's tokenizer puts around a text."""
    example = model.read("the")
    first = example.special.index(False)
    last = len(example) - example.special[::-1].index(False)
    return [*example.ids[:first], *tokens, *example.ids[last:]]


@dataclass(frozen=True)
class _Read:
    """What rules need to know of one stream of one trace."""

    ids: list[int]
    labels: list[str]
    shape: tuple[int, int]
    may_look: Bools
    sink: Bools
    same_sequence: bool


class _Counts:
    """Sums over sentences, per layer; each entry holds one array over heads."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[int, str], list[Tally]] = defaultdict(list)
        self.means: dict[tuple[int, str], list[Floats]] = defaultdict(list)
        self.marks: set[str] = set()

    def add(self, trace: Trace, stream: str | None, rules: Sequence[str], ordinary: bool) -> None:
        queries, keys = (trace.tokens, trace.tokens) if stream is None else trace.tokens_of(stream)
        asks = ~np.array(queries.special, dtype=bool)
        sink = sink_of(trace, stream)
        for layer in range(trace.n_layers_of(stream)):
            pattern = trace.patterns(layer, stream=stream)
            may_look = trace.may_look(layer, stream=stream) & asks[:, None]
            read = _Read(keys.ids, keys.labels, may_look.shape, may_look, sink, queries is keys)
            for rule in rules:
                if (cells := _cells(rule, read)) is not None:
                    self.tallies[layer, rule].append(heads.tally(pattern, cells, may_look, sink))
            if ordinary:
                self._describe(
                    layer,
                    pattern[:, asks],
                    sink,
                    np.array(keys.special),
                    np.flatnonzero(asks) if queries is keys else None,
                )
        if ordinary:
            self.marks |= {label for label, on in zip(keys.labels, _marks(keys.labels), strict=True) if on}

    def _describe(
        self, layer: int, pattern: Floats, sink: Bools, special: Bools, places: NDArray[np.int_] | None
    ) -> None:
        rest = heads.without_sink(pattern, sink)
        separators = special & (np.arange(len(special)) > 0)
        found = {
            "entropy": heads.entropy(rest),
            "sink": heads.sink_share(pattern, sink),
            "separator": heads.sink_share(pattern, separators),
        }
        if places is not None:
            found["distance"] = heads.mean_distance(rest, places)
        for name, values in found.items():
            self.means[layer, name].append(_mean(values))

    def table(self) -> pd.DataFrame:
        import pandas as pd

        layers = sorted({layer for layer, _ in self.means})
        return pd.concat([self._layer(layer) for layer in layers], ignore_index=True)

    def _layer(self, layer: int) -> pd.DataFrame:
        import pandas as pd

        n_heads = len(self.means[layer, "sink"][0])
        columns: dict[str, Any] = {"layer": [layer] * n_heads, "head": range(n_heads)}
        for name in ("entropy", "distance", "sink", "separator"):
            columns[name] = _mean(np.array(self.means.get((layer, name), [[np.nan] * n_heads])).T)
        lifts = {name: self._rule(layer, name, columns) for name in heads.KINDS}
        columns["kind"] = [heads.label({n: float(lift[h]) for n, lift in lifts.items()}) for h in range(n_heads)]
        return pd.DataFrame(columns)

    def _rule(self, layer: int, name: str, columns: dict[str, Any]) -> Floats:
        """Write one rule's columns and return its lift, [head]."""
        n_heads = len(columns["layer"])
        tallies = self.tallies.get((layer, name), [])
        if not tallies or (name == "punctuation" and len(self.marks) < 3):
            nothing = np.full(n_heads, np.nan)
            columns[name] = columns[f"{name} chance"] = columns[f"{name} lift"] = nothing
            return nothing
        total = sum(tallies[1:], tallies[0])
        # A head with random weights may like one mark; so every sentence, with marks of its own, counts the same.
        lift = _mean(np.array([t.lift for t in tallies]).T) if name == "punctuation" else total.lift
        columns[name], columns[f"{name} chance"], columns[f"{name} lift"] = total.share, total.chance, lift
        return lift


def _cells(rule: str, read: _Read) -> Bools | None:
    """The cells of a rule in one sentence; None where it makes no sense, as between two languages."""
    if rule == "punctuation":
        return heads.punctuation_cells(read.labels, read.shape[0])
    if not read.same_sequence:
        return None
    offsets = {"previous": -1, "next": 1, "same": 0}
    if rule in offsets:
        return heads.offset_cells(*read.shape, offsets[rule])
    if rule == "local":
        return heads.window_cells(*read.shape)
    by_ids = {
        "duplicate": heads.duplicate_cells,
        "induction": heads.induction_cells,
        "first_mention": heads.first_mention_cells,
    }
    return by_ids[rule](read.ids)


def _marks(labels: Sequence[str]) -> Bools:
    return heads.punctuation_cells(labels, 1)[0]


def _mean(values: Floats) -> Floats:
    """The mean over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
