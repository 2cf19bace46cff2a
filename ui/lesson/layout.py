"""How a stop of the lesson is shown: the way, words, picture, question and link to a page; and the glossary."""

from __future__ import annotations

from html import escape

import streamlit as st

from attn_core.views.recorded import SENTENCE
from ui import glossary, words
from ui.drawing import canvas, controls, gallery, markup, widgets
from ui.lesson.stop import DECODER, MODEL, Bars, HeadTiles, Picture, Stop
from ui.lesson.stops import STOPS, TITLES
from ui.link import link_params
from ui.page import Page
from ui.param import flag, whole
from ui.sentences import HUNGRY
from ui.shared_params import LARGE
from ui.shell.folds import fold
from ui.shell.menu import go

WORDS = words.beside(__file__)
PICTURE = "The picture of this stop"  # under Save: every stop has one …
LEARNT_IN = (5, len(STOPS))  # stops with a way to the training of the small decoder: its head is shown, and the end
SECOND = "The second picture of this stop"  # … and most show another beside the answer
GUESS = whole("stop_guess", high=2, optional=True, label="Your guess", in_caption=False)
PARAMS = [
    whole("stop", low=1, high=len(STOPS), in_caption=False),
    GUESS,
    flag("told", in_caption=False),
]


def go_to(stop: int) -> None:
    """Callback: another stop, its question open again."""
    st.session_state["stop"] = min(max(stop, 1), len(STOPS))
    st.session_state[GUESS.name], st.session_state["told"] = None, False


def way(stop: int) -> None:
    """Where we are, Back and Next (also by the arrow keys), and the presenter's size."""
    with st.container(key="lesson_way", horizontal=True, gap="small", vertical_alignment="center"):
        st.button("Back", on_click=go_to, args=(stop - 1,), disabled=stop == 1, shortcut="Left", key="lesson_back")
        marks = "".join(_mark(i, title, i == stop) for i, title in enumerate(TITLES, start=1))
        st.html(f'<ol class="hl-stops" aria-label="Stops of the lesson">{marks}</ol>', width="content")
        st.button(
            "Next",
            on_click=go_to,
            args=(stop + 1,),
            disabled=stop == len(STOPS),
            shortcut="Right",
            type="primary",
            key="lesson_next",
        )
        st.space("stretch")
        controls.toggle(LARGE)


def _mark(number: int, title: str, here: bool) -> str:
    state = ' class="here" aria-current="step"' if here else ""
    return f'<li{state} title="{escape(title)}"><span>{number}</span></li>'


def show(page: Page, number: int) -> None:
    """One stop: words and question on the left, the picture on the right; on a phone one below the other."""
    stop = STOPS[number - 1](page)
    left, right = st.columns([46, 54], gap="large")
    with left:
        st.html(
            f'<div class="hl-stop-number">Stop {number} of {len(STOPS)}</div>'
            f'<h1 class="hl-lead">{escape(stop.title)}</h1>'
            f'<p class="hl-stop-says">{stop.says}</p>'
        )
        _question(page, stop)
    with right, widgets.card("picture"):
        answered = page.state[GUESS.name] is not None or page.state["told"]
        _draw(stop.picture if answered else stop.unasked, PICTURE)
        badge = markup.badge(stop.badge, "ok" * (stop.badge == "counted"), WORDS.table("badge")[stop.badge])
        st.html(f'<div class="hl-hint">{badge} {stop.reads if answered else WORDS.html("unasked")}</div>')
        if answered and stop.also is not None:
            _draw(stop.also[0], SECOND)
            st.html(f'<div class="hl-hint">{stop.also[1]}</div>')
    told = f"lesson, stop {number}: {stop.title}"
    page.offer_pictures(told, sentences=stop.sentences, model=stop.model, lines=stop.lines)
    behind, label, overrides = stop.page_link
    with left, st.container(key="lesson_page_link"):
        go(behind, f"{label} →", **overrides)
        if number in LEARNT_IN:
            go("training", f"{WORDS.text('training')} →", model=DECODER, text=HUNGRY)


def _question(page: Page, stop: Stop) -> None:
    """Guess first; the answer is one click away, and never forced."""

    def tell() -> None:
        st.session_state["told"] = True

    with widgets.card("question", escape(stop.question)):
        st.segmented_control(
            GUESS.label, range(len(stop.options)), format_func=list(stop.options).__getitem__, key=GUESS.name,
            label_visibility="collapsed",
        )  # fmt: skip
        guess = page.state[GUESS.name]
        if guess is None and not page.state["told"]:
            st.button("Tell me", on_click=tell, key="lesson_tell", type="tertiary")
            return
        answer, kind = stop.options[stop.right], "told" if guess is None else "yes" if guess == stop.right else "no"
        said = WORDS.html("question", kind, answer=answer, reveals=stop.reveals)
        st.html(f'<div class="hl-read" role="status">{said}</div>')


def _draw(picture: Picture, name: str) -> None:
    """A picture of a stop, which can be saved by its name; a head that is clicked opens on its own page."""
    if isinstance(picture, Bars):
        options = {"head": picture.head, "marks": dict(picture.marks)}
        gallery.bars(name, picture.labels, picture.columns, picture.says, **options)
    elif isinstance(picture, HeadTiles):
        opened = canvas.overview(
            picture.packet, key="lesson_overview", picture=name, says=picture.says, selected=picture.selected
        )
        if opened is not None:
            where = {"model": MODEL, "text": SENTENCE, "layer": opened.layer, "head": opened.head}
            st.switch_page("app.py", query_params=link_params("all_heads", **where))
    else:
        gallery.plot(name, picture.make, key=picture.key, alt=f"{picture.says}.", says=picture.says)
        if picture.paper is not None:
            gallery.register(name, picture.paper, picture.says)


def terms() -> None:
    """All terms, in plain words, as the video has them, and as papers have them."""
    fold(WORDS.text("glossary"), "glossary", lambda: st.html(glossary.table()))
