"""The sentence, the model and the examples, at the top of a page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from attn_core.models.catalogue import CATALOGUE, availability, entry_of
from attn_core.models.entry import Example
from attn_core.text.chat import ROLES
from attn_core.text.smiles import is_reaction
from ui import turns, words
from ui.drawing import controls
from ui.followed_word import start_afresh
from ui.link import forget
from ui.param import Param
from ui.server import loading
from ui.shared_params import FRAME
from ui.shell import known_words, own_sentence

WORDS = words.beside(__file__)
_ADDED = "second_added"  # in the session: that a place for a second sentence was asked for
LOOK_AGAIN = 5.0  # seconds until the disk and the hub are asked again which models can be had


def ask(
    model: Param,
    sentence: Param | None,
    offered: Sequence[str],
    examples: Sequence[str | Example],
    starter: str = "",
    second: Param | None = None,
    chats: bool = False,
) -> DeltaGenerator | None:
    """The sentence, the model and a few examples; gives the place where the number of tokens is said.

    `second` is a second sentence, for models that read pairs; `chats` says whether the sentence may be read as a chat.
    `starter` is what is read where a sentence is of another
    kind than the model reads: a reaction in a language model.
    """
    on_change = _new_sentence if sentence is None else partial(_new_model, starter)
    pick_model = partial(controls.model_picker, model, offered, _model_label, on_change=on_change)
    if sentence is None:
        with st.container(width=280):
            pick_model()
        return None
    with st.container(key="ask"):
        left, right = st.columns([79, 21], gap="small")
        with left, st.container(key="sentence", gap="xsmall"):
            typed = _new_sentence if second is not None else _another_text
            has_second = second is not None and bool(st.session_state[second.name]) and not _is_chat(chats)
            if _is_chat(chats):
                turns.draw(sentence, chat_roles(st.session_state["model"]), _new_sentence)
            else:
                controls.sentence(sentence, "Type a sentence", on_change=typed)
                has_second = second is not None and _second_box(second)
            counter = st.empty()
        with right:
            pick_model()
    if examples and not st.context.is_embedded:
        with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.html('<span class="hl-try">Try:</span>', width="content")
            for i, example in enumerate(examples):
                said = example if isinstance(example, str) else example.text
                st.button(said, key=f"example_{i}", on_click=_take_example, args=(example,))
            if (
                second is not None
                and not has_second
                and not _is_chat(chats)
                and _reads_pairs(st.session_state["model"])
            ):
                st.button(
                    WORDS.text("second.add"), key="second_add", on_click=_add_second, help=WORDS.text("second.why")
                )
            if second is not None and not has_second:
                _frame(chats)
            known_words.popover(st.session_state["model"])
            _which_model(offered)
    return counter


def _second_box(second: Param) -> bool:
    """The second sentence under the first, where it was asked for; says whether it is there."""
    asked_for = st.session_state.get(_ADDED) and _reads_pairs(st.session_state["model"])
    if not (st.session_state[second.name] or asked_for):
        return False
    with st.container(key="second_row", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        controls.sentence(second, WORDS.text("second.type"), on_change=_new_sentence)
        st.button(
            WORDS.text("second.gone"), key="second_gone", on_click=_remove_second, help=WORDS.text("second.remove")
        )
    return True


def _frame(chats: bool) -> None:
    """What stands around the sentence, behind a button that says it; for a model that has a frame, or a template."""
    name = st.session_state["model"]
    loaded = loading.model(name)
    has_frame = entry_of(name).may_read_pairs if loaded is None else loaded.has_frame
    has_chat = chats and bool(chat_roles(name))
    chosen = st.session_state[FRAME.name]
    offered = dict(FRAME.options)
    if not has_frame:  # nothing is put there by itself, so both are one
        plain = "typed" if chosen == "typed" else "own"
        offered = {plain: FRAME.options["typed"], "chat": FRAME.options["chat"]}
    if not has_chat:
        del offered["chat"]
    if len(offered) < 2 or chosen not in offered:
        return
    with st.popover(offered[chosen], key="which_frame"):
        controls.switch(FRAME, offered, on_change=_new_sentence)
        st.html(words.together(*(WORDS.html("frame.why", each) for each in offered if each != "own")))


def _is_chat(chats: bool) -> bool:
    """Whether the sentence is read as a chat: that is chosen, and the model has a template for it."""
    return chats and st.session_state[FRAME.name] == "chat" and bool(chat_roles(st.session_state["model"]))


def chat_roles(name: str) -> tuple[str, ...]:
    """Who may speak in a chat with a model: as its template says where it is loaded, until then as its entry does."""
    loaded = loading.model(name)
    if loaded is not None:
        return loaded.chat_roles
    return ROLES if entry_of(name).may_chat else ()


def _reads_pairs(name: str) -> bool:
    """Whether a model reads pairs: as its tokenizer says where it is loaded, until then as its entry does."""
    loaded = loading.model(name)
    return entry_of(name).may_read_pairs if loaded is None else loaded.reads_pairs


def _add_second() -> None:
    st.session_state[_ADDED] = True


def _remove_second() -> None:
    st.session_state["second_text"], st.session_state[_ADDED] = "", False
    _new_sentence()


def _which_model(offered: Sequence[str]) -> None:
    """A button that says what each model of the list is good for."""
    with st.popover(WORDS.text("which_model.button"), key="which_model", on_change="rerun") as place:
        if place.open:
            told = (CATALOGUE[name] for name in offered if name in CATALOGUE)
            st.html("".join(WORDS.html("which_model.line", title=entry.title, why=entry.why) for entry in told))


def _model_label(name: str) -> str:
    """Its title and shape; a model that cannot be had here stays visible, with the reason, a few seconds old."""
    return _label(name, int(time.monotonic() / LOOK_AGAIN)) if name in CATALOGUE else name


@lru_cache(maxsize=64)
def _label(name: str, _moment: int) -> str:
    """The label of a model of the catalogue; each look goes to the disk, and a page asks for twelve."""
    entry, (there, reason) = CATALOGUE[name], availability(name)
    layers = f"{entry.n_layers}+{entry.n_decoder_layers}" if entry.n_decoder_layers else entry.n_layers
    if there:
        return f"{entry.title} · {layers} × {entry.n_heads} heads"
    return f"{entry.title} · " + ("cannot be downloaded here" if entry.kind == "hub" else reason)


def _new_model(starter: str) -> None:
    """Another model may read another kind of text; then it takes its own first example, or the page's."""
    chosen = CATALOGUE.get(st.session_state["model"])
    reads_reactions = chosen is not None and chosen.reads == "reactions"
    if chosen is not None and reads_reactions and not is_reaction(st.session_state["text"]):
        _take_example(chosen.examples[0])
    elif is_reaction(st.session_state["text"]) and not reads_reactions:
        _take_example(starter)
    else:
        _new_sentence()


def use_model(name: str) -> None:
    st.session_state["model"] = name
    _new_sentence()


def _take_example(example: str | Example) -> None:
    """Take the sentence and, where one head shows it for one word, those; else the followed word is chosen anew."""
    turns.remember()
    st.session_state["text"] = example if isinstance(example, str) else example.text
    start_afresh()
    _another_text()
    if not isinstance(example, str):
        st.session_state["layer"], st.session_state["head"] = example.layer, example.head
        st.session_state["query"] = example.query


def take_back(own: Mapping[str, str]) -> None:
    """Callback: the visitor's own sentence, pair or chat again, in the model in which it stood."""
    st.session_state.update(own)
    start_afresh()
    _new_sentence()


def look_again() -> None:
    """Ask the disk again which models are here, at the next page."""
    _label.cache_clear()


def _another_text() -> None:
    """Another sentence by itself: a second one belonged to the one before, and so did the turns of a chat."""
    forget("second_text")
    forget("turns")
    st.session_state[_ADDED] = False
    _new_sentence()


def _new_sentence() -> None:
    """A position in one sentence is none in the next; `ui.followed_word` finds the followed word again."""
    forget("query")
    forget("key")
    forget("spans")
    own_sentence.remember()
