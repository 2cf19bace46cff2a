"""The board of Word senses: a word, two to six sentences that share it, and each sense once more as a baseline.

The board is one parameter of the link, so that a link restores every sentence. Examples replace it as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import words
from ui.drawing import controls
from ui.param import Param, typed
from ui.sentences import MOLES
from ui.word_senses.comparison import MOST

FEWEST = 2
LETTERS = "ABCDEF"


@dataclass(frozen=True)
class BoardRow:
    """One sense: a sentence, another of the same sense as a baseline (may be empty), and which occurrence is meant."""

    sentence: str
    twin: str = ""
    which: int = 0


Board = tuple[BoardRow, ...]

EXAMPLES: dict[str, Board] = {
    "mole": (
        BoardRow(MOLES[0], "a mole digs long tunnels under the lawn"),
        BoardRow(MOLES[1], "two mole of water weigh 36 grams"),
        BoardRow(MOLES[2], "the doctor looked at the mole on her arm"),
    ),
    "tower": (
        BoardRow("the eiffel tower stands in paris", "we climbed the tower in the old town"),
        BoardRow("she built a miniature tower of wooden blocks", "he knocked over the tower of toy bricks"),
        BoardRow("the control tower cleared the plane to land", "pilots radio the tower before they land"),
    ),
    "bank": (
        BoardRow("she put the money in the bank", "the bank lends money at low interest"),
        BoardRow("they sat on the bank of the river", "reeds grow on the bank of the stream"),
        BoardRow("the plane began to bank to the left", "pilots bank the aircraft in a turn"),
    ),
    "light": (
        BoardRow("the light of the lamp fills the room", "a bright light shone through the window"),
        BoardRow("this suitcase is very light and easy to carry", "feathers are light and float in the air"),
        BoardRow("please light the candle on the table", "they light a fire in the evening"),
    ),
    "bat": (
        BoardRow("the bat sleeps upside down in the cave", "a bat hunts insects at night"),
        BoardRow("he swung the bat and hit the ball", "the player broke his bat in the game"),
    ),
    "spring": (
        BoardRow("flowers bloom in the spring", "birds return in early spring"),
        BoardRow("the spring in the mattress is broken", "a metal spring pulls the door shut"),
        BoardRow("fresh water flows from the spring", "hikers drank from the spring in the rocks"),
    ),
}


# Of a model that reads many languages, beside those above; what each shows is measured in tests/core/models/test_e5.py.
LANGUAGES: dict[str, Board] = {
    "Bank": (
        BoardRow("die Bank verleiht Geld zu niedrigen Zinsen", "sie brachte ihr Geld zur Bank"),
        BoardRow("wir saßen auf einer Bank im Park", "die alte Bank steht unter dem Baum"),
    ),
    "banco": (
        BoardRow("el banco presta dinero a sus clientes", "abrió una cuenta en el banco"),
        BoardRow("se sentaron en un banco del parque", "el banco de madera está bajo el árbol"),
        BoardRow("un banco de peces nada junto al barco", "vimos un gran banco de sardinas en el mar"),
    ),
    "lumière": (
        BoardRow("la lumière de la lampe remplit la pièce", "une lumière vive brillait à la fenêtre"),
        BoardRow("ce savant fut une lumière de son époque", "il n'est pas une lumière en mathématiques"),
    ),
    "花": (
        BoardRow("花园里的花很漂亮", "她给我买了一束花"),
        BoardRow("他花了很多钱", "我花时间学中文"),
    ),
    "عين": (
        BoardRow("عين الطفل زرقاء وجميلة", "أغمض عين واحدة ونام"),
        BoardRow("شربنا الماء من عين في الجبل", "تتدفق عين صافية قرب القرية"),
    ),
    "🔥": (
        BoardRow("the campfire was warm 🔥 and we sang", "firefighters put out the 🔥 in the forest"),
        BoardRow("this new song is 🔥 listen to it", "her outfit was 🔥 last night"),
    ),
}


def boards(model: str) -> dict[str, Board]:
    """The examples for a model: the English ones, and for one that reads many languages those of others, too."""
    reads = CATALOGUE[model].reads if model in CATALOGUE else ""
    return EXAMPLES | LANGUAGES if reads == "many languages" else EXAMPLES


def _parse(raw: str, earlier: Mapping[str, object]) -> Board:
    try:
        rows = tuple(BoardRow(str(sentence), str(twin), int(which)) for sentence, twin, which in json.loads(raw))
    except (ValueError, TypeError, OverflowError, RecursionError):  # Infinity is JSON to Python; lists in lists
        raise ValueError("it must be a list of [sentence, same sense again, which occurrence]") from None
    if not FEWEST <= len(rows) <= MOST or any(not 0 <= row.which < 100 for row in rows):
        raise ValueError(f"it must hold {FEWEST} to {MOST} sentences")
    return rows


def _show(board: Board) -> str:
    return json.dumps([[row.sentence, row.twin, row.which] for row in board], ensure_ascii=False, separators=(",", ":"))


WORDS = words.beside(__file__)
WORD = typed("word", "mole", label="Word", in_caption=False)
PARAMS = [WORD, Param("board", EXAMPLES["mole"], _parse, _show, in_caption=False)]


def examples() -> None:
    """A row of words that come with their sentences; an embedded view is shown without."""
    if st.context.is_embedded:
        return

    offered = boards(st.session_state["model"])

    def take(word: str) -> None:
        st.session_state["word"], st.session_state["board"] = word, offered[word]

    with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html(f'<span class="hl-try">{WORDS.html("board.try")}</span>', width="content")
        for word in offered:
            st.button(word, key=f"example_{word}", on_click=take, args=(word,))


def editor() -> None:
    """The word and its sentences, to be changed at will."""
    board: Board = st.session_state["board"]
    controls.text(WORD, "", width=220, labelled=True)
    for i, row in enumerate(board):
        with st.container(key=f"sense_{i}", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
            st.html(f'<span class="hl-sense s{i}">{LETTERS[i]}</span>', width="content")
            _line(f"sentence_{i}", f"Sentence {LETTERS[i]}", row.sentence, i, "sentence")
            if len(board) > FEWEST:
                st.button("×", key=f"drop_{i}", on_click=_drop, args=(i,), help=f"Leave out sentence {LETTERS[i]}")
    if len(board) < MOST:
        st.button("Add a sentence", key="add_sentence", on_click=_add, type="tertiary", icon=":material/add:")
    with st.expander(WORDS.text("board.baseline")):
        st.html(f'<div class="hl-hint">{WORDS.html("board.why_baseline")}</div>')
        for i, row in enumerate(board):
            with st.container(key=f"twin_{i}", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
                st.html(f'<span class="hl-sense s{i}">{LETTERS[i]}′</span>', width="content")
                _line(f"twin_of_{i}", WORDS.text("board.twin", letter=LETTERS[i]), row.twin, i, "twin")


def _line(key: str, label: str, value: str, i: int, field: str) -> None:
    def typed() -> None:
        board: Board = st.session_state["board"]
        changed = replace(board[i], **{field: st.session_state[key]})
        st.session_state["board"] = (*board[:i], changed, *board[i + 1 :])

    st.session_state[key] = value
    with st.container(key=f"sentence_box_{key}", gap=None):
        st.text_area(label, key=key, label_visibility="collapsed", placeholder=label, on_change=typed, height="content")


def _drop(i: int) -> None:
    board: Board = st.session_state["board"]
    st.session_state["board"] = board[:i] + board[i + 1 :]


def _add() -> None:
    st.session_state["board"] = (*st.session_state["board"], BoardRow(""))


def which_picker(i: int, sentence: str, starts: list[str]) -> None:
    """Which occurrence is meant, where the word stands more than once in a sentence."""
    key = f"which_{i}"

    def picked() -> None:
        board: Board = st.session_state["board"]
        changed = replace(board[i], which=st.session_state[key])
        st.session_state["board"] = (*board[:i], changed, *board[i + 1 :])

    st.session_state[key] = min(st.session_state["board"][i].which, len(starts) - 1)
    st.selectbox(
        WORDS.text("board.which", letter=LETTERS[i], n=len(starts)),
        range(len(starts)),
        format_func=starts.__getitem__,
        key=key,
        on_change=picked,
        width=360,
    )
