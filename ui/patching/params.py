"""The parameters of the page Patching, and the pairs of sentences that it knows. No Streamlit."""

from __future__ import annotations

from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetched_folder
from ui import words
from ui.param import Earlier, Param, choice, flag, typed
from ui.sentences import ANNA_GAVE, HUNGRY, KEYS, TOM_GAVE

WORDS = words.beside(__file__)
TOM = TOM_GAVE
JOHN = "When Mary and John went to the store, John gave a drink to"
SECONDS = {  # sentence A → the sentence B that differs from it in one word
    TOM: ANNA_GAVE,
    JOHN: "When Mary and John went to the store, Mary gave a drink to",
    KEYS: "the keys to the cabinet is on the table",
    HUNGRY: "a tired fluffy blue creature",
    "The capital of France is": "The capital of Germany is",
    "The keys to the cabinet": "The key to the cabinet",
    "count : nine seven five": "count : nine seven six",
    "a fluffy blue creature roamed the verdant forest": "a fluffy blue mole roamed the verdant forest",
}
LANGUAGE_MODEL = "smollm2"
SHIPPED = "tiny-decoder"


def first_model() -> str:
    """The model that the page opens with: a real language model where one was fetched, else the shipped decoder."""
    entry = CATALOGUE.get(LANGUAGE_MODEL)  # a public server offers none that is not there
    return SHIPPED if entry is None or fetched_folder(entry) is None else LANGUAGE_MODEL


def _second(earlier: Earlier) -> str:
    return SECONDS.get(earlier["text"], "")


SECOND = Param("second", _second, lambda raw, earlier: raw, label=WORDS.text("labels.second"), in_caption=False)
WORD_A = typed("word_a", "", label=WORDS.text("labels.word_a"))
WORD_B = typed("word_b", "", label=WORDS.text("labels.word_b"))
DIRECTION = choice("direction", WORDS.table("directions"), label="Direction")
PART = choice("part", WORDS.table("parts"), label="What is put there")
BY = choice("by", WORDS.table("by"), label="Map")
TENSOR = choice("tensor", WORDS.table("tensors"), label="What is put there")
THROUGH = choice("through", WORDS.table("through"), default="v", label="Through its")
MLPS = flag("mlps", label=WORDS.text("labels.mlps"), help=WORDS.text("labels.mlps_help"))
MORE = typed("more_pairs", "", label=WORDS.text("labels.more"), in_caption=False)
PARAMS = [SECOND, WORD_A, WORD_B, DIRECTION, PART, BY, TENSOR, THROUGH, MLPS, MORE]
