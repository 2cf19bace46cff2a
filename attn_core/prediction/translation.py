"""Two sentences and the lines between them: a model's own translation, and which source word each word came from.

In a translator the row that predicts a word is the one whose query is the word *before* it. So the rows of the
decoder and of cross-attention can be named in two ways: by the word that is being produced, which is what the row is
for, or by the word that is being read, which is what the row sees. Alignments are read off the first.

Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", section 5.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.text.sentences import Sentence, Slot, filled

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.text.tokens import Tokens
    from attn_core.traces.reader import TraceReader

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

UNFINISHED = "…"
_LEAD_WITH_CROSSING = (
    "To write {query}, {who} looks at {key} ({weight}), then back at {back} for {next_one} ({back_weight})."
)


@dataclass(frozen=True)
class Written:
    """What a decoder wrote: `ids` begin with its start token; `ended` says whether it came to its end by itself."""

    ids: list[int]
    ended: bool


@dataclass(frozen=True)
class Aligned:
    """A word that was produced (its row), where the attention of its row is largest, and how large it is there."""

    query: int
    key: int
    weight: float


def as_read(model: Model, text: str) -> str:
    """The source as the model wants it: T5 is told its task in words, "translate English to French: …"."""
    tasks = getattr(model.hf.config, "task_specific_params", None) or {}
    prefix = (tasks.get("translation_en_to_fr") or {}).get("prefix", "")
    return text if text.startswith(prefix) else prefix + text


def greedy(model: Model, source: Tokens, at_most: int | None = None) -> Written:
    """The model's own translation, always taking the likeliest next token, up to `at_most` of them (or its limit).

    Raises HeadlightError for a model that says no words, such as a classifier of two stacks.
    """
    import torch

    if model.hf.get_output_embeddings() is None:
        raise HeadlightError(f"{model.name} writes no words of its own: type the second sentence, too.")
    ids = torch.tensor([source.ids], device=model.hf.device)
    places_left = min(at_most or model.limit, model.limit) - 1  # one place is the start token's
    with model.running():
        written = model.hf.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=places_left,
            num_beams=1,
            do_sample=False,
            use_cache=False,
        )[0].tolist()
    ended = len(written) > 1 and written[-1] == model.hf.config.eos_token_id
    return Written(written[:-1] if ended else written, ended)


def produced(labels: Sequence[str], end: str | None) -> list[str]:
    """Rows named by the word that each one produces: what the decoder reads, one step on.

    `end` is the name of the end sign, which the last row produces, or None where the text just stops.

    >>> produced(["<s>", "le", "chat"], "</s>")
    ['le', 'chat', '</s>']
    """
    return [*labels[1:], UNFINISHED if end is None else end]


def sentence(labels: Sequence[str]) -> str:
    """Word tokens as a written line; a French l' stands close to its noun.

    >>> sentence(["l'", "homme", "dort", "."])
    "l'homme dort."
    """
    return " ".join(labels).replace("' ", "'").replace(" .", ".")


def mean_pattern(stream: TraceReader, heads: Sequence[tuple[int, int]]) -> Floats:
    """The mean pattern [query, key] of some heads (layer, head); rows still sum to 1. At least one is needed."""
    if not heads:
        raise ValueError("an alignment needs at least one head")
    result: Floats = np.mean(
        [stream.pattern(layer, head) for layer, head in heads], axis=0
    )  # [head, query, key] → [query, key]
    return result


def align(pattern: Floats) -> list[Aligned]:
    """For every row the key with the largest weight, [query, key] → one entry a row; among equals the first.

    >>> align(np.array([[0.1, 0.9], [0.75, 0.25]]))
    [Aligned(query=0, key=1, weight=0.9), Aligned(query=1, key=0, weight=0.75)]
    """
    return [Aligned(row, int(keys.argmax()), float(keys.max())) for row, keys in enumerate(pattern)]


def crossings(aligned: Sequence[Aligned]) -> list[tuple[Aligned, Aligned]]:
    """Pairs of neighbouring rows whose lines cross: words that changed places. Leave the end sign's row out."""
    return [(one, other) for one, other in zip(aligned, aligned[1:], strict=False) if one.key > other.key]


def lead(aligned: Sequence[Aligned], row: int, rows: Sequence[str], keys: Sequence[str], who: str) -> Sentence:
    """The headline for one produced word, and for the next one where its line goes back across: (text, role) pairs."""
    own = aligned[row]
    slots: dict[str, Slot] = {"query": (visible(rows[row]), "query"), "key": (visible(keys[own.key]), "key")}
    said: dict[str, Slot] = {"who": who, "weight": percent(own.weight)}
    back = next((other for one, other in crossings(aligned[:-1]) if one.query == row), None)
    if back is None:
        return filled("To write {query}, {who} looks at {key} ({weight}).", **slots, **said)
    then: dict[str, Slot] = {"back": (visible(keys[back.key]), "key"), "next_one": (visible(rows[back.query]), "query")}
    return filled(_LEAD_WITH_CROSSING, **slots, **said, **then, back_weight=percent(back.weight))


def weights_at_first_crossing(pattern: Floats) -> Floats:
    """The weights of the first row whose line the next one crosses, all other rows 0, [query, key]; all weights where
    no lines cross. `heads.salience` finds the row to read first in it: most weights are near 1, so that they alone
    decide nothing. The end sign's row, the last, is left out.
    """
    crossed = crossings(align(pattern)[:-1])
    if not crossed:
        return pattern
    first = crossed[0][0].query
    kept: Floats = np.zeros_like(pattern)
    kept[first] = pattern[first]
    return kept


def alignment_score(pattern: Floats, special: Sequence[bool]) -> float:
    """How clearly a cross head lines two sentences up, from 0 to 1: pattern [query, key] → one number.

    A head that always looks at one place is sure too, but finds one source word only. So the mean of the largest
    weights on real words is multiplied with the share of source words that are some row's largest. The last row, that
    of the end sign, is left out: it may look anywhere.
    """
    words, pattern = ~np.array(special), pattern[: max(1, len(pattern) - 1)]
    if not words.any():
        return 0.0
    found = {entry.key for entry in align(pattern) if words[entry.key]}
    return float(pattern[:, words].max(axis=1).mean()) * len(found) / int(words.sum())


def best_alignment_head(cross: TraceReader) -> tuple[int, int]:
    """The head (layer, head) of the "cross" stream that lines the two sentences up most clearly."""
    special = cross.key_tokens.special
    scores = {
        (layer, head): alignment_score(pattern, special)
        for layer in range(cross.n_layers)
        for head, pattern in enumerate(cross.patterns(layer))
    }
    return max(scores, key=scores.__getitem__)
