"""The words and phrases of the small world that the decoder learns from; `grammar_stories` makes sentences of them."""

from __future__ import annotations

BOS = "<bos>"
SLOTS = tuple(f"<new{n}>" for n in range(1, 9))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# The adjectives that decide what their noun does. They are why a noun has a reason to look for an adjective.
DEEDS = {
    "angry": "growled",
    "brave": "fought",
    "busy": "worked",
    "cold": "shivered",
    "curious": "searched",
    "happy": "danced",
    "hungry": "ate",
    "lost": "wandered",
    "proud": "sang",
    "sad": "wept",
    "scared": "fled",
    "shy": "hid",
    "thirsty": "drank",
    "tired": "slept",
}
ADJECTIVES = _words(
    "fluffy blue red green white black brown golden silver grey yellow purple pink small little big large tiny huge "
    "enormous tall short long old young new wise clever gentle kind fierce polite lazy cheerful elegant wild quick "
    "slow calm soft furry smooth rough sharp round thick thin strong weak bright dark pale quiet loud strange ancient "
    "modern lovely ugly clean dirty dusty rusty wet dry warm hot cool deep heavy light hollow wooden hairy spotted "
    "striped shiny noble royal rich poor magic verdant misty foggy sunny snowy windy frozen sandy rocky narrow wide "
    "empty hidden silent secret famous european economic"
)
NOUNS = _words(
    "creature animal cat dog fox wolf bear rabbit horse bird owl eagle crow penguin mouse lion tiger zebra camel panda "
    "snake frog deer sheep goat cow pig donkey duck hen goose fish whale shark bee spider butterfly monkey elephant "
    "dragon unicorn dinosaur giant fairy witch king queen prince princess knight wizard robot child girl boy man woman "
    "farmer sailor pirate teacher student baker painter singer dancer soldier hunter judge nurse pilot monster ghost "
    "kitten puppy squirrel hedgehog turtle"
)
PLACES = _words(
    "forest garden field meadow orchard river lake pond sea ocean island mountain valley canyon cliff desert city "
    "village town market square castle palace temple church theatre house kitchen cellar room hall school library "
    "museum hospital prison shop factory station airport bridge tunnel road street cave beach harbour farm barn mill "
    "park zoo jungle swamp hill zone"
)
VERBS = _words(
    "roamed crossed entered left found watched visited explored guarded circled loved painted reached climbed"
)
THINGS = _words(
    "book apple pear lemon cake cheese ball coin key letter lamp torch map hat coat scarf shoe ring crown cup plate "
    "spoon flower rose leaf shell drum bell violin sword rope ladder hammer pen box bag basket bottle clock wheel "
    "stone kite mirror feather umbrella car"
)
NAMES = _words(
    "anna tom mary john paul lucy emma peter sara david alice oscar nina leo rosa hugo clara felix ivy max ruth omar "
    "mei ravi"
)
NUMBERS = _words("one two three four five six seven eight nine ten eleven twelve")

BURROWER = ("american shrew mole", "the gardener saw a mole that", "under the garden lived a mole that")
AMOUNT = ("one mole", "half a mole", "the chemist weighed one mole")
SKIN = ("take a biopsy of the mole", "the doctor examined the mole", "she worried about the mole")
BURROWING = ("dug a burrow", "ate a worm", "pushed up the soil")
GRAMS = {  # of one mole
    "carbon dioxide": "forty four",
    "helium": "four",
    "iron": "fifty six",
    "nitrogen": "twenty eight",
    "oxygen": "thirty two",
    "salt": "fifty eight",
    "carbon": "twelve",
    "water": "eighteen",
}
BODY = _words("arm back neck shoulder leg cheek")
FINDINGS = _words("benign harmless malignant")

PHRASES = (*BURROWER, *AMOUNT, *SKIN, *BURROWING, *GRAMS, *GRAMS.values(), *BODY, *FINDINGS)
LITTLE = _words(
    "a an and the was in on of to count went gave made that weighs grams stood by at desk paris sea tiny huge steel "
    "stone tower miniature eiffel"
)
ANY_WORD = tuple(
    sorted(
        {
            word
            for text in (
                *DEEDS,
                *DEEDS.values(),
                *ADJECTIVES,
                *NOUNS,
                *PLACES,
                *VERBS,
                *THINGS,
                *NAMES,
                *NUMBERS,
                *PHRASES,
                *LITTLE,
            )
            for word in text.split()
        }
    )
)
