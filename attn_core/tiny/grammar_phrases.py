"""A small piece of English and its French, with the alignment that the grammar itself knows.

Adjectives change places (a blue car, une voiture bleue), agree in gender and number, and one English word may make two
French ones (does not see, ne voit pas): so a translator has to look, and where it should look is known.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

from attn_core.tiny.grammar_stories import article

PAD, START, END = "<pad>", "<s>", "</s>"
SLOTS = tuple(f"<new{n}>" for n in range(1, 5))
SLOT_SHARE = 0.05  # nouns that nobody has met; they are carried over as they are, as masculine singular

# English singular, English plural, French singular, French plural, gender
_NOUNS = """
animal animals animal animaux m|apple apples pomme pommes f|area areas zone zones f|bird birds oiseau oiseaux m
boat boats bateau bateaux m|book books livre livres m|bridge bridges pont ponts m|car cars voiture voitures f
castle castles château châteaux m|cat cats chat chats m|chair chairs chaise chaises f|child children enfant enfants m
church churches église églises f|city cities ville villes f|cow cows vache vaches f|doctor doctors médecin médecins m
dog dogs chien chiens m|door doors porte portes f|flower flowers fleur fleurs f|forest forests forêt forêts f
friend friends ami amis m|garden gardens jardin jardins m|girl girls fille filles f|hat hats chapeau chapeaux m
horse horses cheval chevaux m|house houses maison maisons f|island islands île îles f|key keys clé clés f
king kings roi rois m|knife knives couteau couteaux m|letter letters lettre lettres f|man men homme hommes m
market markets marché marchés m|mouse mice souris souris f|queen queens reine reines f|river rivers rivière rivières f
school schools école écoles f|star stars étoile étoiles f|street streets rue rues f|table tables table tables f
teacher teachers professeur professeurs m|train trains train trains m|tree trees arbre arbres m
wolf wolves loup loups m|woman women femme femmes f
"""
# English, then French: masculine and feminine singular, masculine and feminine plural, masculine before a vowel
_BEFORE = """
beautiful beau belle beaux belles bel|big grand grande grands grandes grand|good bon bonne bons bonnes bon
new nouveau nouvelle nouveaux nouvelles nouvel|old vieux vieille vieux vieilles vieil
small petit petite petits petites petit|young jeune jeune jeunes jeunes jeune
"""
_AFTER = """
black noir noire noirs noires|blue bleu bleue bleus bleues|brown marron marron marron marron
clever intelligent intelligente intelligents intelligentes|economic économique économique économiques économiques
empty vide vide vides vides|european européen européenne européens européennes|famous célèbre célèbre célèbres célèbres
fast rapide rapide rapides rapides|green vert verte verts vertes|grey gris grise gris grises
happy heureux heureuse heureux heureuses|heavy lourd lourde lourds lourdes|light léger légère légers légères
modern moderne moderne modernes modernes|quiet calme calme calmes calmes|red rouge rouge rouges rouges
round rond ronde ronds rondes|sad triste triste tristes tristes|slow lent lente lents lentes
strong fort forte forts fortes|tired fatigué fatiguée fatigués fatiguées|white blanc blanche blancs blanches
yellow jaune jaune jaunes jaunes
"""
# English base and third person, French singular and plural
_VERBS = """
buy buys achète achètent|carry carries porte portent|draw draws dessine dessinent|eat eats mange mangent
find finds trouve trouvent|follow follows suit suivent|hear hears entend entendent|know knows connaît connaissent
love loves aime aiment|see sees voit voient|sell sells vend vendent|take takes prend prennent|want wants veut veulent
visit visits visite visitent|watch watches regarde regardent
"""
# French: masculine, feminine and plural, then masculine and feminine before a vowel; "a" has no plural here
DETERMINERS = {
    "the": ("le", "la", "les", "l'", "l'"),
    "a": ("un", "une", "", "un", "une"),
    "some": ("", "", "des", "", ""),
    "this": ("ce", "cette", "", "cet", "cette"),
    "these": ("", "", "ces", "", ""),
    "my": ("mon", "ma", "mes", "mon", "mon"),
}
PREPOSITIONS = {"behind": "derrière", "in": "dans", "on": "sur", "under": "sous", "with": "avec"}


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """`head rest …|head rest …` → {head: (rest, …)}."""
    rows = [entry.split() for line in text.split("\n") for entry in line.split("|") if entry]
    return {first: tuple(rest) for first, *rest in rows}


NOUNS, BEFORE, AFTER, VERBS = _table(_NOUNS), _table(_BEFORE), _table(_AFTER), _table(_VERBS)
ADJECTIVES = (*BEFORE, *AFTER)


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation; `gold[i]` holds the places of the English words that French word i comes from."""

    english: tuple[str, ...]
    french: tuple[str, ...]
    gold: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class NounPhrase:
    """a small blue car: the choices behind it; `noun` may be a slot."""

    determiner: str
    adjectives: tuple[str, ...]
    noun: str
    plural: bool


def held_out(adjective: str, noun: str) -> bool:
    """Whether training never shows this adjective with this noun: one pair in ten, chosen by a hash of their names."""
    return zlib.crc32(f"{adjective} {noun}".encode()) % 10 == 0


def noun_phrase(rng: Random, *, test: bool) -> NounPhrase:
    """Choose a noun phrase: without held-out pairs for training, with at least one of them for a test."""
    while True:
        unmet = rng.random() < SLOT_SHARE and not test
        noun = rng.choice(SLOTS) if unmet else rng.choice(list(NOUNS))
        plural = not unmet and rng.random() < 0.35
        determiner = rng.choice(("the", "some", "these", "my") if plural else ("the", "the", "a", "a", "this", "my"))
        count = rng.choices((0, 1, 2, 3), (0.25, 0.4, 0.25, 0.1))[0]
        adjectives = tuple(rng.sample(ADJECTIVES, count))
        if sum(adjective in BEFORE for adjective in adjectives) <= 1:
            phrase = NounPhrase(determiner, adjectives, noun, plural)
            if any(held_out(adjective, noun) for adjective in adjectives) == test:
                return phrase


def starts_with_vowel(word: str) -> bool:
    """Whether French elides before the word; every h of this grammar is silent."""
    return word[0] in "aeiouâéèêîœh"


def feature(forms: tuple[str, ...], feminine: bool, plural: bool) -> str:
    """The form of an adjective: (masculine, feminine, masculine plural, feminine plural, …)."""
    return forms[2 * plural + feminine]


def in_french(phrase: NounPhrase, negated: bool) -> tuple[list[str], list[int]]:
    """A noun phrase in French, and for each word the place of its English word within the phrase.

    Adjectives of one kind stand before the noun in the English order, the others behind it in the opposite order.
    """
    _, singular, several, gender = NOUNS.get(phrase.noun, ("", phrase.noun, "", "m"))
    feminine, plural = gender == "f", phrase.plural
    place = {word: number for number, word in enumerate(phrase.adjectives, start=1)}
    before = [word for word in phrase.adjectives if word in BEFORE]
    after = [word for word in reversed(phrase.adjectives) if word in AFTER]
    words = [several if plural else singular]
    words += [feature(AFTER[word], feminine, plural) for word in after]
    for word in reversed(before):
        elides = starts_with_vowel(words[0]) and not feminine and not plural
        words.insert(0, BEFORE[word][4] if elides else feature(BEFORE[word], feminine, plural))
    places = [place[word] for word in before] + [len(phrase.adjectives) + 1] + [place[word] for word in after]
    return [determiner_for(phrase, words[0], feminine, negated), *words], [0, *places]


def determiner_for(phrase: NounPhrase, following: str, feminine: bool, negated: bool) -> str:
    """le, la, les or l', and so on.

    "some" becomes de or d' before an adjective (de vieilles femmes), and so do "a" and "some" after *ne … pas*.
    """
    vowel = starts_with_vowel(following)
    adjective_first = any(word in BEFORE for word in phrase.adjectives)
    if phrase.determiner == "some" and (negated or adjective_first) or phrase.determiner == "a" and negated:
        return "d'" if vowel else "de"
    forms = DETERMINERS[phrase.determiner]
    return forms[2] if phrase.plural else forms[3 * vowel + feminine]


class _PairBuilder:
    """A sentence and its translation while they are put together, with the words that each new word stands for."""

    def __init__(self) -> None:
        self.english: list[str] = []
        self.french: list[str] = []
        self.gold: list[tuple[int, ...]] = []

    def add(self, phrase: NounPhrase, negated: bool = False) -> None:
        """A noun phrase, behind a verb that is perhaps negated."""
        translation, places = in_french(phrase, negated)
        self.gold.extend((len(self.english) + place,) for place in places)
        self.french.extend(translation)
        words = [*phrase.adjectives, NOUNS[phrase.noun][0] if phrase.plural else phrase.noun]
        self.english.extend([article(words[0]) if phrase.determiner == "a" else phrase.determiner, *words])

    def link(self, words: list[str], translation: list[tuple[str, tuple[int, ...]]]) -> None:
        """Words between noun phrases, with each French word and the places, among these, that it stands for."""
        self.gold.extend(tuple(len(self.english) + place for place in places) for _, places in translation)
        self.french.extend(word for word, _ in translation)
        self.english.extend(words)

    def verb(self, base: str, plural: bool, negated: bool) -> None:
        third, singular, several = VERBS[base]
        verb = several if plural else singular
        if negated:
            ne = "n'" if starts_with_vowel(verb) else "ne"
            self.link(["do" if plural else "does", "not", base], [(ne, (0, 1)), (verb, (2,)), ("pas", (0, 1))])
        else:
            self.link([base if plural else third], [(verb, (0,))])


def sentence(rng: Random, *, test: bool = False) -> Pair:
    """A noun phrase, or a whole sentence: subject, verb (perhaps with *not*), object, perhaps a place."""
    built = _PairBuilder()
    subject = noun_phrase(rng, test=test)
    built.add(subject)
    if rng.random() < 0.9:
        base = rng.choice(list(VERBS))
        negated = rng.random() < 0.25
        built.verb(base, subject.plural, negated)
        built.add(noun_phrase(rng, test=False), negated)
        if rng.random() < 0.3:
            preposition = rng.choice(list(PREPOSITIONS))
            built.link([preposition], [(PREPOSITIONS[preposition], (0,))])
            built.add(noun_phrase(rng, test=False))
    if rng.random() < 0.5:
        built.link(["."], [(".", (0,))])
    return Pair(tuple(built.english), tuple(built.french), tuple(built.gold))


def vocabulary() -> list[str]:
    """Every word of both languages, special words and slots first, then in alphabetical order."""
    entries = [
        *((english, *forms[:3]) for english, forms in NOUNS.items()),
        *((english, *forms) for table in (BEFORE, AFTER, VERBS) for english, forms in table.items()),
        *((english, *forms) for english, forms in DETERMINERS.items()),
        *PREPOSITIONS.items(),
        ("an", "do", "does", "not", "ne", "n'", "pas", "de", "d'", "."),
    ]
    return [PAD, START, END, *SLOTS, *sorted({word for entry in entries for word in entry if word})]
