"""The parameters of the page Study, and the sentences that it opens with. No Streamlit."""

from __future__ import annotations

from pathlib import Path

from attn_core.heads.samples import texts_for
from attn_core.models.catalogue import CATALOGUE
from attn_core.settings import is_public
from attn_core.study.measures import MEASURES
from ui import words
from ui.param import Earlier, choice, flag, typed

WORDS = words.beside(__file__)
BETWEEN = "|||"  # stands between the two texts of a pair
RULE = "rule"  # the measure of the visitor's own rule
# Sentences with pronouns and the nouns before them.
FIRST = tuple(Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8").splitlines())


def _first_sentences(earlier: Earlier) -> str:
    """What the page opens with: sentences that the model knows the words of, one a line."""
    model = CATALOGUE.get(earlier["model"])
    if model is not None and model.reads == "reactions":
        return "\n".join(example.text for example in model.examples)
    own = texts_for(earlier["model"])
    texts = FIRST if model is None or own == texts_for("") else own
    return "\n".join(text if isinstance(text, str) else f"{text[0]} {BETWEEN} {text[1]}" for text in texts)


def _titles() -> dict[str, str]:
    own = {RULE: WORDS.text("rule.measure")}
    return {name: measure.title for name, measure in MEASURES.items()} | own


def ways() -> dict[str, str]:
    """Where sentences may come from, each with its words: a stranger's from no folder of this computer, and no hub."""
    return {way: said for way, said in WORDS.table("from").items() if way not in LOCAL or not is_public()}


LOCAL = ("folder", "data_set")
FROM = choice("sentences_from", lambda earlier: list(ways()), label=WORDS.text("labels.from"), in_caption=False)
FOLDER = typed("study_folder", "", label=WORDS.text("labels.folder"), in_caption=False)
DATA_SET = typed("data_set", "", label=WORDS.text("labels.data_set"), in_caption=False)
SUBSET = typed("data_subset", "", label=WORDS.text("labels.subset"), in_caption=False)
SPLIT = typed("data_split", "", label=WORDS.text("labels.split"), in_caption=False)
SENTENCES = typed("sentences", _first_sentences, label=WORDS.text("labels.sentences"), in_caption=False)
TWO = flag("two_groups", label=WORDS.text("labels.two"), help=WORDS.text("labels.two_help"), in_caption=False)
OTHERS = typed("other_sentences", "", label=WORDS.text("labels.others"), in_caption=False)
RULE_FROM = typed("rule_from", "", label=WORDS.text("labels.rule_from"))
RULE_TO = typed("rule_to", "", label=WORDS.text("labels.rule_to"))
RULE_WHERE = choice("rule_where", WORDS.table("where"), label=WORDS.text("labels.rule_where"))
MEASURE = choice("study_measure", _titles(), "delta_share", label=WORDS.text("labels.measure"))
ACROSS = choice("study_x", _titles(), "sink", label=WORDS.text("labels.across"))
UP = choice("study_y", _titles(), "delta_share", label=WORDS.text("labels.up"))
PARAMS = [
    FROM,
    FOLDER,
    DATA_SET,
    SUBSET,
    SPLIT,
    SENTENCES,
    TWO,
    OTHERS,
    RULE_FROM,
    RULE_TO,
    RULE_WHERE,
    MEASURE,
    ACROSS,
    UP,
]
