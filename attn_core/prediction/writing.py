"""Writing on, token by token, and what can be said of each word that was written: its best guesses, whom it looked at.

    for drawn in write(model, ids, 60, seed=7): ...      # ids and probabilities, one after the other
    steps = written_steps(trace.stream(), first)         # one pass over the whole text says the rest

The keys and values of what was read are kept while a text grows, so that each word costs one position. A later pass
over the whole text gives every row again, since no row sees what stands behind it.

Sources: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration" (sampling); Chuang et al. 2024, "Lookback
Lens: Detecting and Mitigating Contextual Hallucinations in LLMs Using Only Attention Maps", section 2 (the ratio).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn_core.prediction.next_token import TokenPrediction, name_of, probabilities, top_words

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamTrace

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
    Turn = Callable[[], AbstractContextManager[None]]

_ROLES = {"system", "user", "assistant", "tool"}  # whose turn it is, as chat templates write it
_NEW_LINES = {"⏎", "⏎⏎"}  # as labels show them


class Drawn(NamedTuple):
    """A token that was written, and how likely it was, after temperature and top-k."""

    id: int
    probability: float


@dataclass(frozen=True)
class WrittenStep:
    """What one written word was chosen from: the word, its rank (1 the likeliest), and the best guesses."""

    word: TokenPrediction
    rank: int
    guesses: list[TokenPrediction]


class LookedAt(NamedTuple):
    """How the weights of one row are shared out; they sum to 1.

    `frame` is on the frame of what was given (see `frame_of`) and on keys of no word, `prompt` on the rest of what was
    given, `own` on what the model wrote before.
    `lookback` is the ratio of Chuang et al. 2024, the mean weight of a given token ÷ (that + the mean weight of an own
    one); None for the first word, which has nothing of its own to look at.
    """

    frame: float
    prompt: float
    own: float
    lookback: float | None


def write(
    model: Model,
    ids: Sequence[int],
    n_words: int,
    *,
    stop: Collection[int] | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    seed: int | None = None,
    turn: Turn = nullcontext,
) -> Iterator[Drawn]:
    """Write on, one token at a time: the likeliest, or drawn by chance where there is a `seed`.

    Ends after `n_words`, at the model's limit, or before a token of `stop` (the model's own end signs unless given).
    A seed draws the same token at the same position, however many were asked for at once. Each token is computed
    inside a `turn()` of its own, so whoever stops asking stops the work. Causal models only.
    """
    stop = ends_of(model) if stop is None else stop
    said, unread, kept = list(ids), list(ids), None
    while len(said) - len(ids) < n_words and len(said) < model.limit:
        with turn():
            logits, kept = _next_logits(model, unread, kept)
        chances = probabilities(logits, temperature, top_k)
        word = _drawn(chances, seed, len(said))
        if word in stop:
            return
        said.append(word)
        unread = [word] if kept is not None else said
        yield Drawn(word, float(chances[word]))


def ends_of(model: Model) -> set[int]:
    """The tokens that end a text: the tokenizer's end sign, and those of the model's own settings."""
    named = getattr(getattr(model.hf, "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list | tuple) else [named]
    return {end for end in (model.tokenizer.eos_token_id, *several) if end is not None}


def _drawn(chances: Floats, seed: int | None, position: int) -> int:
    if seed is None:
        return int(chances.argmax())
    return int(np.random.default_rng((seed, position)).choice(len(chances), p=chances))


def _next_logits(model: Model, unread: Sequence[int], kept: Any) -> tuple[Floats, Any]:
    """Logits [word] after the last token, and the keys and values of all that was read; None from a model without."""
    import torch

    options: dict[str, Any] = {"use_cache": True} if hasattr(model.hf.config, "use_cache") else {}
    if "logits_to_keep" in inspect.signature(model.hf.forward).parameters:
        options["logits_to_keep"] = 1  # not those of all positions of a long prompt
    with model.running():
        if kept is None and model.virtual is not None:
            kept = model.virtual.make(1)
        if kept is not None:
            options["past_key_values"] = kept
        said = model.hf(input_ids=torch.tensor([list(unread)], device=model.hf.device), **options)
        logits: Floats = said.logits[0, -1].float().cpu().numpy()
    return logits, getattr(said, "past_key_values", None)


def written_steps(
    stream: StreamTrace, first: int, *, count: int = 5, temperature: float = 1.0, top_k: int = 0
) -> list[WrittenStep]:
    """For every token from position `first` on, what it was chosen from: the `count` best guesses of the row before.

    `first` is at least 1. Raises HeadlightError for a model that does not predict a next word.
    """
    ids = stream.tokens.ids
    steps = []
    for position in range(first, len(ids)):
        chances = probabilities(stream.logits(position - 1), temperature, top_k)
        own = float(chances[ids[position]])
        word = TokenPrediction(ids[position], name_of(stream, ids[position]), own)
        steps.append(WrittenStep(word, int((chances > own).sum()) + 1, top_words(stream, chances, count)))
    return steps


def frame_of(tokens: Tokens) -> list[bool]:
    """Whether each token is the frame around what was said: a special token or what a chat template writes beside one.

    That is the role between a special token and a new line or a further special token, and the new lines themselves:
    `<|im_start|>user⏎` … `<|im_end|>⏎`, or `<|start_header_id|>user<|end_header_id|>⏎⏎`. Words of a role that stand
    elsewhere are part of what was said.
    """
    frame, labels = list(tokens.special), tokens.labels
    for i, special in enumerate(tokens.special):
        if not special:
            continue
        ends = (at for at in range(i + 1, len(frame)) if tokens.special[at] or labels[at] in _NEW_LINES)
        end = next(ends, len(frame))
        if end < len(frame) and "".join(labels[i + 1 : end]).strip() in _ROLES | {""}:
            frame[i + 1 : end + 1] = [True] * (end - i)
    return frame


def looked_at(row: Floats, frame: Sequence[bool], first: int, query: int) -> LookedAt:
    """How the row [key] of a query is shared between frame, prompt and own words; `first` is where the own ones begin.

    >>> looked_at(np.array([0.5, 0.25, 0.0, 0.25, 0.0]), [True, False, False, False, False], first=3, query=3)
    LookedAt(frame=0.5, prompt=0.25, own=0.25, lookback=0.5)
    """
    given, own = row[:first], row[first : query + 1]  # what stands behind the query is masked
    framed = np.asarray(frame[:first], bool)
    lookback = None
    if len(own):
        on_given, on_own = float(given.mean()), float(own.mean())
        lookback = on_given / (on_given + on_own)
    beside = float(row[len(frame) :].sum())  # virtual tokens, "no word"
    return LookedAt(float(given[framed].sum()) + beside, float(given[~framed].sum()), float(own.sum()), lookback)
