"""What heads are classified on: ordinary sentences, and random tokens said several times.

Where a head looks in a sentence depends on what it says, so the rules that follow a repetition (duplicate, induction,
first mention) are judged on random tokens said three times, where nothing but the repetition can be followed. Every
sample has its seed. Source: Elhage et al. 2021; Olsson et al. 2022, "In-context Learning and Induction Heads".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.models.cards import card_of
from attn_core.prediction import translation

if TYPE_CHECKING:
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


def texts_for(name: str) -> Sequence[str | tuple[str, str]]:
    """Ordinary sentences for a model: English, or for the models that know one small grammar, sentences of that."""
    return card_of(name).ordinary_texts or SENTENCES


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


def traces_of(model: Model, texts: Sequence[Any], seeds: Sequence[int], run: Callable[..., Trace]) -> Iterable[Trace]:
    """The sentences first, then the repeated random tokens, special tokens around them as the model expects."""
    for text in texts:
        source, options = text_and_target(model, text)
        yield run(model, source, **options)
    words = ordinary_words(model.tokenizer)
    for seed in seeds:
        tokens = repeated_random_tokens(words, seed, min(LENGTH, (model.limit - 4) // REPEATS))
        if model.kind == "encoder-decoder":
            start = model.hf.config.decoder_start_token_id
            yield run(model, _framed(model, tokens), target=[start, *tokens])
        else:
            yield run(model, _framed(model, tokens))


def text_and_target(model: Model, text: str | tuple[str, str]) -> tuple[str, dict[str, Any]]:
    """A text as it is read, and as options of a pass what is written for it: an encoder-decoder's own translation,
    unless the text comes with one."""
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
