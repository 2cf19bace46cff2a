"""A small world told in sentences: what the decoder learns from, made up afresh at every step.

Each kind of episode asks for one skill that a head can be seen to have: a noun looks for the adjective that decides its
verb, a repeated list wants induction, counting wants the word before, *mole* and *tower* mean what their context says.

Every choice costs −ln(its probability). The costs of a row add up to its exact information, so their mean is the loss
that no model can beat: the floor that training is measured against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from attn_core.tiny.grammar_words import (
    ADJECTIVES,
    AMOUNT,
    ANY_WORD,
    BODY,
    BOS,
    BURROWER,
    BURROWING,
    DEEDS,
    FINDINGS,
    GRAMS,
    NAMES,
    NOUNS,
    NUMBERS,
    PLACES,
    SKIN,
    SLOTS,
    THINGS,
    VERBS,
)

SLOT_SHARE = 0.04  # how often a word is one that the model has never met; a few are enough to learn what slots are for
LONGEST_LIST = 24  # words, said twice


@dataclass
class Teller:
    """Says words and keeps account: `costs[i]` is what the choices that word i made known cost, in nats."""

    rng: Random
    words: list[str] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    unsaid: float = 0.0

    def say(self, text: str) -> None:
        """Say words; the first carries the cost of the choices made since the last one."""
        for word in text.split():
            self.words.append(word)
            self.costs.append(self.unsaid)
            self.unsaid = 0.0

    def flip(self, chance: float) -> bool:
        """Choose yes with this chance."""
        yes = self.rng.random() < chance
        self.unsaid -= math.log(chance if yes else 1 - chance)
        return yes

    def pick(self, options: Sequence[str]) -> str:
        """Choose one of several, all alike."""
        self.unsaid += math.log(len(options))
        return self.rng.choice(options)

    def fresh(self, options: Sequence[str], used: Sequence[str] = ()) -> str:
        """Choose a word not used yet; now and then a slot, that is, a word nobody has met."""
        slots = [slot for slot in SLOTS if slot not in used]
        if slots and self.flip(SLOT_SHARE):
            return self.pick(slots)
        return self.pick([word for word in options if word not in used])


def article(word: str) -> str:
    """a or an, by the first letter: enough for the words that the grammar knows."""
    return "an" if word[0] in "aeiou" and not word.startswith("european") else "a"


def deed(tell: Teller) -> None:
    """A fluffy blue creature roamed the verdant forest. The creature was fluffy and blue.

    At most one adjective decides the verb, and it may stand anywhere before the noun.
    """
    adjectives: list[str] = []
    decided = None
    while not adjectives or (len(adjectives) < 5 and tell.flip(0.6)):
        if decided is None and tell.flip(0.4):
            decided = tell.pick(list(DEEDS))
            adjectives.append(decided)
        else:
            adjectives.append(tell.fresh(ADJECTIVES, adjectives))
        tell.say(adjectives[-1] if len(adjectives) > 1 else f"{article(adjectives[0])} {adjectives[0]}")
    noun = tell.fresh(NOUNS, adjectives)
    tell.say(noun)
    tell.say(f"{DEEDS[decided]} in" if decided else tell.pick(VERBS))
    tell.say("the")
    here = tell.fresh(ADJECTIVES, [*adjectives, noun]) if tell.flip(0.6) else ""
    tell.say(here)
    place = tell.fresh(PLACES, [*adjectives, noun, here])
    tell.say(f"{place} . the {noun} was {' and '.join(adjectives)}")
    tell.say(f"and the {place} was {here} ." if here and tell.flip(0.3) else ".")


def mole(tell: Teller) -> None:
    """One word, three meanings: what follows *mole* depends on what came before it."""
    sense = tell.pick(("burrower", "amount", "skin"))
    if sense == "burrower":
        tell.say(tell.pick(BURROWER))
        tell.say(tell.pick(BURROWING))
        tell.say(f"in the {tell.pick(('garden', 'field', 'meadow'))} .")
    elif sense == "amount":
        tell.say(f"{tell.pick(AMOUNT)} of")
        substance = tell.pick(list(GRAMS))
        tell.say(f"{substance} . one mole of {substance} weighs {GRAMS[substance]} grams .")
    else:
        tell.say(f"{tell.pick(SKIN)} on the")
        tell.say(f"{tell.pick(BODY)} . the mole was")
        tell.say(f"{tell.pick(FINDINGS)} .")


def tower(tell: Teller) -> None:
    """A tower, the Eiffel tower, a miniature Eiffel tower: every word before it changes what it is."""
    small, eiffel = tell.flip(0.5), tell.flip(0.5)
    tell.say(f"the {'miniature ' if small else ''}{'eiffel ' if eiffel else ''}tower")
    tell.say(f"stood {'on a desk' if small else 'in paris' if eiffel else 'by the sea'} .")
    tell.say(f"the tower was {'tiny' if small else 'huge'} and made of {'steel' if eiffel else 'stone'} .")


def repeated_list(tell: Teller) -> None:
    """Random words of any kind, then the same words again: only looking back at what followed last time can tell."""
    words: list[str] = []
    while len(words) < LONGEST_LIST and (len(words) < 4 or not tell.flip(1 / (LONGEST_LIST + 1 - len(words)))):
        words.append(tell.fresh(ANY_WORD, words))
        tell.say(words[-1])
    tell.say(f"{' '.join(words)} .")


def gift(tell: Teller) -> None:
    """Anna and Tom went to the market. Anna gave a book to Tom: whoever gives, the other one receives."""
    first = tell.fresh(NAMES)
    tell.say(f"{first} and")
    second = tell.fresh(NAMES, [first])
    tell.say(f"{second} went to the")
    place = tell.fresh(PLACES, [first, second])
    tell.say(f"{place} .")
    giver, receiver = (first, second) if tell.flip(0.5) else (second, first)
    thing = tell.fresh(THINGS, [first, second, place])
    tell.say(f"{giver} gave {article(thing)} {thing} to {receiver} .")


def counting(tell: Teller) -> None:
    """Count: nine seven five three. The next number needs exactly the last two."""
    tell.say("count :")
    number = tell.rng.randrange(len(NUMBERS))
    tell.unsaid += math.log(len(NUMBERS))
    steps = [step for step in (-3, -2, -1, 1, 2, 3) if 0 <= number + step < len(NUMBERS)]
    tell.say(NUMBERS[number])
    tell.unsaid += math.log(len(steps))
    step = tell.rng.choice(steps)
    number += step
    tell.say(NUMBERS[number])
    while 0 <= number + step < len(NUMBERS) and tell.flip(0.85):
        number += step
        tell.say(NUMBERS[number])
    tell.say(".")


EPISODES: dict[Callable[[Teller], None], float] = {
    deed: 0.39,
    mole: 0.11,
    tower: 0.07,
    repeated_list: 0.20,
    gift: 0.11,
    counting: 0.12,
}


def tell_on(tell: Teller) -> None:
    """One more episode, of a kind chosen by its share."""
    (episode,) = tell.rng.choices(list(EPISODES), list(EPISODES.values()))
    tell.unsaid -= math.log(EPISODES[episode])
    episode(tell)


def row(rng: Random, length: int) -> tuple[list[str], float]:
    """`<bos>` and as many episodes as fit, cut at `length` words; with the row's information in nats."""
    tell = Teller(rng, [BOS], [0.0])
    while len(tell.words) < length:
        tell_on(tell)
    return tell.words[:length], sum(tell.costs[:length])


def vocabulary() -> list[str]:
    """Every word that the grammar can say: `<bos>`, slots and stops first, then the others in alphabetical order."""
    return [BOS, *SLOTS, ".", ":", *ANY_WORD]
