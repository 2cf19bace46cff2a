"""The parameters that more than one page has, each declared once: it has one meaning wherever it stands.

`model_param` and `text_param` make those of a page's model and sentence; they travel from page to page like `LAYER`,
`HEAD`, `QUERY`, `KEY` and the stream (`ui.stream`). How a picture is drawn stays with its page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from attn_core.errors import HeadlightError
from attn_core.figures.colour_bars import SCALES
from attn_core.models.catalogue import CATALOGUE, entry_of, name_of
from attn_core.models.entry import Example
from attn_core.text.chat import parse_turns, turns_in_link
from attn_core.views.recorded import SENTENCE
from ui import words
from ui.param import Earlier, Param, choice, flag, pairs, typed, whole

WORDS = words.beside(__file__)
STARTER = SENTENCE
MOST_TURNS = 20  # of a conversation
MOST_OFF = 200  # heads in a link


def single_stacks() -> tuple[str, ...]:
    """The models that most pages offer: those with one stream."""
    return tuple(name for name, entry in CATALOGUE.items() if entry.architecture != "encoder-decoder")


def model_param(offered: Sequence[str]) -> Param:
    """The model of a page: one of those on offer or, where anyone may use any model, a folder of one."""
    return Param(
        "model", offered[0], lambda raw, _: _known_model(raw, offered), label="Model", travels=True, in_caption=False
    )


def text_param(starter: str) -> Param:
    """The sentence of a page that opens on `starter`, or with a model that reads no sentences on the model's own."""

    def opens_on(earlier: Earlier) -> str:
        own = model_starter(earlier)
        return starter if own is None else own.text

    return typed("text", opens_on, label="Sentence", travels=True, in_caption=False)


def _of_a_pair(raw: str, earlier: Earlier) -> str:
    entry = entry_of(earlier["model"])
    if raw and not entry.may_read_pairs:
        raise ValueError(f"{entry.title} reads one sentence, and no pair")
    return raw


def _of_a_frame(raw: str, earlier: Earlier) -> object:
    if raw == "chat" and "model" in earlier and not entry_of(earlier["model"]).may_chat:
        raise ValueError(f"{entry_of(earlier['model']).title} has no chat template")
    return _FRAME.parse(raw, earlier)


def _known_model(said: str, offered: Sequence[str]) -> str:
    """The name that a name or a title means; ValueError says what is wrong."""
    name = name_of(said)
    try:
        two_stacks = _has_two_stacks(name)
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if name in CATALOGUE and CATALOGUE[name].reads == "sound" and name not in offered:
        raise ValueError("it listens to recordings: Translate and transcribe has a place for it")
    if two_stacks and not any(map(_has_two_stacks, offered)):
        raise ValueError("it has two stacks: Translate and transcribe opens it, with translator= in the link")
    if name in CATALOGUE and name not in offered:
        raise ValueError(f"this page has no place for its {'two stacks' if two_stacks else 'single stack'}")
    return name


def _has_two_stacks(name: str) -> bool:
    return entry_of(name).architecture == "encoder-decoder"


def last_position(earlier: Earlier) -> int:
    """The last position that a sentence can have in the chosen model."""
    return entry_of(earlier["model"]).limit - 1


def model_starter(earlier: Earlier) -> Example | None:
    """What a model that reads no sentences opens on: its first example."""
    entry = entry_of(earlier["model"])
    return entry.examples[0] if entry.reads == "reactions" else None


def _opens_on(what: str, otherwise: Callable[[Earlier], int]) -> Callable[[Earlier], int]:
    """A number of that example, where the model has one."""
    return lambda earlier: otherwise(earlier) if (own := model_starter(earlier)) is None else int(getattr(own, what))


def _top(*what: str) -> Callable[[Earlier], int]:
    # The larger of a model's two stacks; which of them is looked at, a page's own parameter says.
    return lambda earlier: max(getattr(entry_of(earlier["model"]), each) for each in what) - 1


def _at_most(wanted: int, what: str) -> Callable[[Earlier], int]:
    return lambda earlier: min(wanted, _top(what)(earlier))


def _first_word(earlier: Earlier) -> int | None:
    """The first screen opens on the lesson's own word: creature."""
    return 4 if (earlier["model"], earlier.get("text")) == ("minilm", STARTER) else None


def _card(raw: str, earlier: Earlier) -> str:
    if not (raw == "" or (raw.isascii() and raw.isidentifier() and len(raw) <= 30)):
        raise ValueError("it must be the name of a card")
    return raw


def parse_heads(raw: str) -> tuple[tuple[int, int], ...]:
    """ "0.3_1.2" → ((0, 3), (1, 2)), in order. ValueError says what is wrong."""
    return tuple(sorted(pairs(raw, ".", MOST_OFF, "it must be heads like 0.3_1.2, each a layer and a head")))


# The second sentence of a page where a pair may be read; empty: there is one sentence.
SECOND_TEXT = Param(
    "second_text", "", _of_a_pair, label=WORDS.text("params.second"), travels=True, in_caption=False, part_of="text"
)
LAYER = whole(
    "layer",
    high=_top("n_layers", "n_decoder_layers"),
    default=_opens_on("layer", _at_most(0, "n_layers")),
    label="Layer",
    travels=True,
    in_caption=False,
)
HEAD = whole(
    "head",
    high=_top("n_heads", "n_decoder_heads"),
    default=_opens_on("head", _at_most(3, "n_heads")),
    label="Head",
    travels=True,
    in_caption=False,
)
QUERY = whole(
    "query", high=last_position, default=_first_word, optional=True, travels=True, in_caption=False
)  # the word that asks
KEY = whole("key", high=last_position, optional=True, travels=True)  # the answering word that is followed
# Who says what in a conversation, as a link says it; the words of one turn are the sentence. See attn_core.text.chat.
TURNS = Param(
    "turns",
    "",
    lambda raw, _: turns_in_link(parse_turns(raw, MOST_TURNS)),
    label=WORDS.text("params.turns"),
    in_caption=False,
    travels=True,
    part_of="text",
)
_FRAME = choice("frame", WORDS.table("frames"), label=WORDS.text("params.frame"), travels=True, part_of="text")
FRAME = replace(_FRAME, parse=_of_a_frame)
OFF = Param(  # the heads that are switched off
    "off",
    (),
    lambda raw, earlier: parse_heads(raw),
    lambda heads: "_".join(f"{layer}.{head}" for layer, head in heads),
)
SCALE = choice("scale", {str(scale): title for scale, title in SCALES.items()}, label="Scale")
CARD = Param("card", "", _card, in_caption=False)  # in another page's frame: the one card that is shown, or all of it
LARGE = flag("large", label="Presenter’s size", help=WORDS.text("params.large"), in_caption=False, travels=True)
QUERIES_IN = choice("queries", {"rows": "queries in rows", "columns": "in columns"}, label="Queries")
AXES = choice("axes", {"2": "2-D", "3": "3-D"}, label="Axes")
