"""What the small models learnt, measured on sentences that training did not use: loss, heads, meanings, translations.

Every score of a head is a mean attention weight, from 0 to 1, or a share of right answers; layer and head count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny import grammar_words as lexicon
from attn_core.tiny.decoder import Decoder
from attn_core.tiny.translator import Translator

FARTHEST = 4  # words between which a noun's deciding adjective is looked for


@torch.no_grad()
def decoder_report(model: Decoder, seed: str = "report") -> dict[str, Any]:
    """Loss against floor, the scores of every head [layer][head], and how far the senses of *mole* lie apart."""
    rng = Random(seed)
    loss, floor = loss_and_floor(model, rng)
    previous, induction = list_scores(model, rng)
    deciding = [adjective_scores(model, rng, distance) for distance in range(1, FARTHEST + 1)]
    return {
        "loss": loss,
        "floor": floor,
        "previous_token": rounded(previous),
        "induction": rounded(induction),
        "deciding_adjective": {str(d): rounded(scores) for d, (scores, _) in enumerate(deciding, start=1)},
        "verb_accuracy": {str(d): accuracy for d, (_, accuracy) in enumerate(deciding, start=1)},
        "mole_cosine": mole_cosines(model),
    }


def rounded(scores: Tensor) -> list[list[float]]:
    """[layer, head] → nested lists with three decimals, for the card."""
    return [[round(score, 3) for score in layer] for layer in scores.tolist()]


def encode(words: Sequence[str]) -> Tensor:
    """Words of the decoder → ids [1, token]."""
    ids = {word: number for number, word in enumerate(stories.vocabulary())}
    return torch.tensor([[ids[word] for word in words]])


def look(model: Decoder, words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(logits [token, word], patterns [layer, head, query, key]) of one row of words."""
    logits, patterns = model(encode(words))
    return logits[0], torch.cat(patterns)


def loss_and_floor(model: Decoder, rng: Random, rows: int = 100) -> tuple[float, float]:
    """Nats a word on fresh rows: the model's, and what the grammar says no model can beat."""
    loss, floor, length = 0.0, 0.0, model.shape.context
    for _ in range(rows):
        words, information = stories.row(rng, length)
        logits, _ = look(model, words)
        loss += functional.cross_entropy(logits[:-1], encode(words)[0, 1:]).item()
        floor += information / (length - 1)
    return loss / rows, floor / rows


def list_scores(model: Decoder, rng: Random, lists: int = 60) -> tuple[Tensor, Tensor]:
    """(previous token, induction) [layer, head], on random words said twice.

    Previous token: the weight on the word before, where nothing but position can tell. Induction: on the second time,
    the weight on the word that followed last time.
    """
    previous = induction = torch.zeros(())
    for _ in range(lists):
        words = rng.sample(lexicon.ANY_WORD, rng.randint(6, stories.LONGEST_LIST))
        n = len(words)
        _, patterns = look(model, [lexicon.BOS, *words, *words])
        first, second = torch.arange(2, n + 1), torch.arange(n + 1, 2 * n + 1)
        previous = previous + patterns[:, :, first, first - 1].mean(dim=-1)
        induction = induction + patterns[:, :, second, second - n + 1].mean(dim=-1)
    return previous / lists, induction / lists


def adjective_scores(model: Decoder, rng: Random, distance: int, sentences: int = 100) -> tuple[Tensor, float]:
    """At the noun: the weight [layer, head] on the adjective that decides its verb, so many words back; and how often
    the verb is then right. What was told before is drawn at random."""
    scores, right = torch.zeros(()), 0
    for _ in range(sentences):
        before = [] if rng.random() < 0.5 else told(rng)
        deciding = rng.choice(list(lexicon.DEEDS))
        plain = rng.sample(lexicon.ADJECTIVES, FARTHEST)
        adjectives = [*plain[distance : rng.randint(distance, FARTHEST)], deciding, *plain[1:distance]]
        words = [
            lexicon.BOS,
            *before,
            stories.article(adjectives[0]),
            *adjectives,
            rng.choice(lexicon.NOUNS),
        ]
        logits, patterns = look(model, words)
        scores = scores + patterns[:, :, -1, -1 - distance]
        right += stories.vocabulary()[int(logits[-1].argmax())] == lexicon.DEEDS[deciding]
    return scores / sentences, right / sentences


def told(rng: Random) -> list[str]:
    """One or two whole episodes, without `<bos>`."""
    words, _ = stories.row(rng, 40)
    return words[1 : 40 - words[::-1].index(".")] if "." in words else []


def mole_cosines(model: Decoder) -> dict[str, list[float]]:
    """Mean cosine of *mole* between two senses, and within one, for E at the start and after every layer."""
    senses = [[streams(model, text.split()) for text in told] for told in SENSES]
    pairs = [
        (i == j, functional.cosine_similarity(one, other, dim=-1))
        for i, sense in enumerate(senses)
        for j, others in enumerate(senses)
        for one in sense
        for other in others
        if one is not other
    ]
    mean = {same: torch.stack([c for s, c in pairs if s == same]).mean(dim=0).tolist() for same in (False, True)}
    return {
        "between_senses": [round(c, 3) for c in mean[False]],
        "within_a_sense": [round(c, 3) for c in mean[True]],
    }


SENSES = (
    ("american shrew mole", "the gardener saw a mole", "under the garden lived a mole"),
    ("one mole", "half a mole", "the chemist weighed one mole"),
    ("take a biopsy of the mole", "the doctor examined the mole", "she worried about the mole"),
)


def streams(model: Decoder, words: Sequence[str]) -> Tensor:
    """E of the last word, [layer + 1, d_model]: at the start and after every layer."""
    return torch.stack([stream[0, -1] for stream in model.streams(encode([lexicon.BOS, *words]))])


@torch.no_grad()
def translator_report(model: Translator, seed: str = "report", sentences: int = 300) -> dict[str, Any]:
    """Share of exact translations and, for every cross head, how often it looks where the grammar says.

    Measured on new sentences and on pairs of adjective and noun that were held out. The row of a word is the one that
    produces it; the full stop is left out, because either end of a sentence is as good a place to look.
    """
    report: dict[str, Any] = {}
    for name, test in (("new_sentences", False), ("held_out_pairs", True)):
        rng = Random(f"{seed} {name}")
        pairs = [phrases.sentence(rng, test=test) for _ in range(sentences)]
        exact = sum(translate(model, pair.english) == pair.french for pair in pairs) / sentences
        loss = sum(loss_of(model, pair) for pair in pairs) / sentences
        report[name] = {"loss": loss, "exact": exact, "alignment": rounded(alignment(model, pairs))}
    return report | {"floor": 0.0}  # the grammar has one translation for every sentence


def loss_of(model: Translator, pair: phrases.Pair) -> float:
    """Nats a French word, the end sign included, given the English and the French before it."""
    english, french = torch.tensor([numbers([*pair.english, phrases.END])]), numbers([*pair.french, phrases.END])
    real = torch.ones_like(english, dtype=torch.bool)
    start = torch.tensor([numbers([phrases.START, *pair.french])])
    logits, _, _ = model.write(start, model.read(english, real)[0], real)
    return functional.cross_entropy(logits[0], torch.tensor(french)).item()


def numbers(words: Sequence[str]) -> list[int]:
    """Words of the translator → ids."""
    ids = {word: number for number, word in enumerate(phrases.vocabulary())}
    return [ids[word] for word in words]


def translate(model: Translator, english: Sequence[str]) -> tuple[str, ...]:
    """The model's own French for English words."""
    words, (start, end) = phrases.vocabulary(), numbers([phrases.START, phrases.END])
    return tuple(words[i] for i in model.translate(torch.tensor(numbers([*english, phrases.END])), start, end))


def alignment(model: Translator, pairs: Sequence[phrases.Pair]) -> Tensor:
    """How often each cross head [layer, head] looks most at a word that the grammar says the next word comes from."""
    hits, total = torch.zeros(()), 0
    for pair in pairs:
        english = torch.tensor([numbers([*pair.english, phrases.END])])
        french = torch.tensor([numbers([phrases.START, *pair.french])])
        real = torch.ones_like(english, dtype=torch.bool)
        _, _, patterns = model.write(french, model.read(english, real)[0], real)
        most = torch.cat(patterns).argmax(dim=-1)  # [layer, head, query]
        for query, places in enumerate(pair.gold):
            if pair.french[query] != ".":
                hits = hits + torch.isin(most[:, :, query], torch.tensor(places)).float()
                total += 1
    return hits / total
