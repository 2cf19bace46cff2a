"""What comes next: probabilities of the next word, and what the model would say half way.

    logits  →  ÷ temperature  →  keep the top k  →  softmax

The logit lens reads every layer as if it were the last: the final norm, then the unembedding. On the last layer that
is exactly what the model says; before it, it is a prediction from an unfinished vector, which early layers need not
keep in the space of the unembedding.

Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration" (sampling); nostalgebraist 2020, the logit
lens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.errors import HeadlightError, check_index
from attn_core.text.description import spelt
from attn_core.text.tokens import Tokens
from attn_core.text.unknown_words import TextReader, is_unknown

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class TokenPrediction:
    """A word that may come next: its id, what a person reads, and its probability."""

    id: int
    word: str
    probability: float


@dataclass(frozen=True)
class LensRow:
    """What one layer would say: its best predictions, and how the true word fares there, `rank` 1 being the best.

    Row 0 is what enters layer 0, row n what layer n − 1 leaves; the last row is the model's own answer.
    """

    after: int
    predictions: list[TokenPrediction]
    rank: int
    probability: float


def probabilities(logits: Floats, temperature: float = 1.0, top_k: int = 0) -> Floats:
    """Logits [..., word] → probabilities that sum to 1.

    A low temperature prefers the favourites, a high one gives everybody a chance; `top_k` keeps only the k likeliest
    words, 0 keeps all. Raises ValueError for a temperature that is not above 0.

    >>> probabilities(np.array([0.0, 0.0, np.log(2)])).round(2).tolist()
    [0.25, 0.25, 0.5]
    >>> probabilities(np.array([0.0, 0.0, np.log(2)]), temperature=0.5, top_k=1).tolist()
    [0.0, 0.0, 1.0]
    """
    if not temperature > 0:
        raise ValueError(f"the temperature must be above 0, got {temperature}")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if 0 < top_k < scaled.shape[-1]:
        order = np.argsort(-scaled, axis=-1, kind="stable")  # among equals the lower id stays
        dropped = np.ones(scaled.shape, dtype=bool)
        np.put_along_axis(dropped, order[..., :top_k], False, axis=-1)
        scaled = np.where(dropped, -np.inf, scaled)
    from scipy.special import softmax  # no first picture waits for scipy

    chances: Floats = softmax(scaled, axis=-1)
    return chances


def predicts(stream: StreamTrace) -> bool:
    """Whether positions of a stream predict a next word: a decoder's do, unless it came without its last layer."""
    if stream.kind != "decoder" and stream.name not in ("decoder", "cross"):
        return False
    try:
        stream.logits(0)
    except HeadlightError:
        return False
    return True


def top_words(stream: StreamTrace, chances: Floats, count: int) -> list[TokenPrediction]:
    """The likeliest words of probabilities [word], best first; words with no chance are left out."""
    best = np.argsort(-chances, kind="stable")[:count]
    return [TokenPrediction(int(i), name_of(stream, int(i)), float(chances[i])) for i in best if chances[i] > 0]


def next_words(
    stream: StreamTrace, count: int = 10, *, position: int | None = None, temperature: float = 1.0, top_k: int = 0
) -> list[TokenPrediction]:
    """The likeliest words after a position (the last one unless given), best first.

    Raises HeadlightError for a model that does not predict a next word.
    """
    return top_words(stream, probabilities(stream.logits(position), temperature, top_k), count)


def fills_in(stream: StreamTrace) -> bool:
    """Whether the model says which word belongs at a position, in the place of a [MASK]."""
    try:
        return stream.own_head.task == "word"
    except HeadlightError:
        return False


def filled_words(stream: StreamTrace, position: int, count: int = 10) -> list[TokenPrediction]:
    """The likeliest words at a position, best first, by a model that was trained to fill in a [MASK].

    Elsewhere than at a [MASK] it sees the word that stands there. Raises HeadlightError for a model that fills none in.
    """
    if stream.own_head.task != "word":
        raise HeadlightError(f"{stream.model_name} fills no words in; it names {' and '.join(stream.own_head.labels)}.")
    return top_words(stream, probabilities(stream.head_logits(position)), count)


def name_of(stream: StreamTrace, word: int) -> str:
    """What a person reads for a word; a stand-in for an unknown word takes the name that it has in the sentence."""
    last = stream.block_calls()[-1]  # "cross" in a translator, which may carry over a word that only its source has
    read = (last.tokens, last.key_tokens)
    typed = {i: label for tokens in reversed(read) for i, label in zip(tokens.ids, tokens.labels, strict=True)}
    return typed[word] if is_unknown(typed.get(word, "")) else stream.word(word)


def logit_lens(
    stream: StreamTrace, position: int | None = None, *, word: int | None = None, count: int = 5
) -> list[LensRow]:
    """What the model would say after every layer, at one position (the last one unless given), from the
    embedding to the last layer.

    `word` is the id whose rank is told; by default the word that really follows or, at the end of the text, the one
    that the model itself would say.
    """
    ids = stream.tokens.ids
    position = len(ids) - 1 if position is None else position
    check_index("position", position, len(ids))
    vectors = np.stack([stream.embedding(layer)[position] for layer in range(stream.n_layers + 1)])
    logits = stream.read_words(stream.final_norm(vectors))  # [layer + 1, d_model] → [layer + 1, word]
    if word is None:
        last = position == len(ids) - 1
        word = int(logits[-1].argmax()) if last else ids[position + 1]
    chances = probabilities(logits)
    return [
        LensRow(layer, top_words(stream, own, count), int((own > own[word]).sum()) + 1, float(own[word]))
        for layer, own in enumerate(chances)
    ]


def continued_text(tokenizer: Any, tokens: Tokens, words: Sequence[int]) -> str:
    """The text with more words, as the tokenizer spells them; unknown words that it repeats are spelt as typed."""
    return deque(continued_texts(tokenizer, tokens, words), 1).pop() if words else tokens.text


def continued_texts(tokenizer: Any, tokens: Tokens, words: Iterable[int]) -> Iterator[str]:
    """The text with one word more, and one more, as they come; a character of several tokens shows with its last.

    A blank at its end stays where it is a token, which the words were written behind.
    """
    typed = TextReader(tokenizer).names_of(tokens)
    before, said = list(tokens.ids), list[int]()
    own = spelt(tokenizer, before)
    text = tokens.text if own[-1:].isspace() else tokens.text.rstrip()
    for word in words:
        if word in typed:
            text += f"{spelt(tokenizer, before + said).removeprefix(own)} {typed[word]}"
            before, said = [*before, *said, word], []
            own = spelt(tokenizer, before)
            yield text
        else:
            said.append(word)
            yield text + spelt(tokenizer, before + said).removeprefix(own)
