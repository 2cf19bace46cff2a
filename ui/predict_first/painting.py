"""The sentence whose words are painted, as a component; and its parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from attn_core.figures import scripts
from attn_core.text.numbers import percent
from ui import words
from ui.drawing.component import component
from ui.param import Param, flag
from ui.predict_first.code import MOST, Painting
from ui.predict_first.question import Question, parse_painting, show_painting

WORDS = words.beside(__file__)
PAINTED = Param("painted", (), lambda raw, earlier: parse_painting(raw), show_painting, in_caption=False)
UNCOVERED = flag("uncovered", in_caption=False)
_KEY = "paint_words"
_words = component("paint_words", scripts.with_elements("paint_words"))


def draw(
    question: Question, painted: Painting, told: bool, *, counts: Sequence[int] = (), can_paint: bool = True
) -> None:
    """The words; painted by taps until `told`. `counts` is how many of a class painted each, where a class has.

    The weights are sent when the head is uncovered, and not before.
    """
    most = float(np.max(question.weights)) or 1.0
    shown = [
        {
            "text": label,
            "special": question.special[i],
            "asks": i == question.asks,
            "masked": i not in question.open,
            "bar": float(question.weights[i]) / most if told else None,
            "share": percent(float(question.weights[i])) if told else None,
            "count": f"{counts[i]} ×" if counts else None,
        }
        for i, label in enumerate(question.labels)
    ]
    data = {"words": shown, "painted": list(painted), "most": MOST, "open": not told and can_paint, "says": _says()}
    _words(key=_KEY, data=data, on_painted_change=_painted)


def _says() -> dict[str, str]:
    """What the words say to whoever cannot see them; the script fills in the word and its share."""
    return {
        "group": WORDS.text("paint.group"),
        "asks": WORDS.text("paint.asks"),
        "paint": WORDS.text("paint.paint", word="{word}"),
        "wipe": WORDS.text("paint.wipe", word="{word}"),
        "masked": WORDS.text("paint.masked", word="{word}"),
        "told": WORDS.text("paint.told", word="{word}", share="{share}"),
        "painted": WORDS.text("paint.painted"),
        "full": WORDS.text("paint.full", most=MOST),
    }


def _painted() -> None:
    """Callback: other words are painted. Anybody can send anything, so it is read as a link is."""
    sent = getattr(st.session_state.get(_KEY), "painted", None)
    try:
        st.session_state[PAINTED.name] = parse_painting(sent) if isinstance(sent, str) and len(sent) < 60 else ()
    except ValueError:
        return
