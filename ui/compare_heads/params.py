"""The panels of a comparison in the link: their parameters, and the callbacks that change them.

A panel's model, sentences, layer and head may say "same": then they follow panel A. A panel with a sentence of its own
reads it with a second one of its own, or alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import entry_of
from ui import words
from ui.compare_heads.specs import EXAMPLE, LETTERS, SAME, SHOWS, PanelSpec
from ui.link import choose
from ui.param import Earlier, Param, choice, whole
from ui.shared_params import SCALE

WORDS = words.beside(__file__)
MOST = 1000  # layers or heads; a folder may ask for a hundred million of them, before it is refused


def _model(values: Earlier, letter: str) -> str:
    own = SAME if letter == "a" else values[f"model_{letter}"]
    return str(values["model"] if own == SAME else own)


def _known_model(raw: str, earlier: object) -> str:
    """ "same", a catalogue's name or, in a local run, a folder; ValueError says what is wrong."""
    try:
        return raw if raw == SAME else entry_of(raw).name
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _second_of(letter: str) -> Callable[[str, Earlier], str]:
    """Reads a panel's own second sentence; ValueError where its model reads no pairs."""

    def parse(raw: str, values: Earlier) -> str:
        entry = entry_of(_model(values, letter)) if raw and "model" in values else None
        if entry is not None and not entry.may_read_pairs:
            raise ValueError(f"{entry.title} reads one sentence, and no pair")
        return raw

    return parse


def _numbers(letter: str, what: str) -> Callable[[Earlier], Sequence[str]]:
    return lambda values: (SAME, *map(str, range(min(getattr(entry_of(_model(values, letter)), what), MOST))))


def _other_sentence(values: Earlier) -> str:
    return EXAMPLE[1] if values["text"] == EXAMPLE[0] else ""


def _other_head(values: Earlier) -> str:
    """Beside the same sentence in the same model, the next head; else the same one."""
    if values["model_b"] != SAME or values["text_b"]:
        return SAME
    return str((values["head"] + 1) % entry_of(values["model"]).n_heads)


def _params(letter: str) -> list[Param]:
    return [
        Param(f"model_{letter}", SAME, _known_model, label="Model"),
        Param(f"text_{letter}", _other_sentence if letter == "b" else "", lambda raw, values: raw, label="Sentence"),
        Param(f"second_text_{letter}", "", _second_of(letter), label=WORDS.text("specs.second")),
        choice(f"layer_{letter}", _numbers(letter, "n_layers"), label="Layer"),
        choice(f"head_{letter}", _numbers(letter, "n_heads"), _other_head if letter == "b" else None, label="Head"),
        choice(f"shows_{letter}", SHOWS, label="Shows"),
    ]


PAIRS = tuple(x + y for i, x in enumerate(LETTERS) for y in LETTERS[i + 1 :])


def pairs(n_panels: int) -> dict[str, str]:
    """The pairs of so many panels, and how the difference of each is read."""
    return {pair: f"{pair[0].upper()} − {pair[1].upper()}" for pair in PAIRS if max(pair) <= LETTERS[n_panels - 1]}


FIRST_SHOWS = choice("shows_a", SHOWS, label="Shows")
FURTHER = {letter: _params(letter) for letter in LETTERS[1:]}  # what each panel but the first takes
PAIR = choice("panel_pair", lambda values: list(pairs(values["panels"])), label="Difference")
PARAMS = [
    whole("panels", low=2, high=len(LETTERS)),
    FIRST_SHOWS,
    *(param for of_panel in FURTHER.values() for param in of_panel),
    PAIR,
    SCALE,
]


def specs(values: Earlier) -> list[PanelSpec]:
    """All panels, said out, from the link's parameters or from the session."""
    read = {"second": str(values["second_text"]).strip(), "frame": values["frame"]}
    first = PanelSpec(values["model"], values["text"], values["layer"], values["head"], values["shows_a"], **read)
    return [first, *(_spec(values, letter, first) for letter in LETTERS[1 : values["panels"]])]


def _spec(values: Earlier, letter: str, first: PanelSpec) -> PanelSpec:
    def number(what: str, own: int) -> int:
        said = values[f"{what}_{letter}"]
        return own if said == SAME else int(said)

    entry = entry_of(_model(values, letter))
    text, second = values[f"text_{letter}"], str(values[f"second_text_{letter}"]).strip()
    as_in_a = first.second if entry.may_read_pairs and not text else ""
    return PanelSpec(
        model=_model(values, letter),
        text=text or first.text,
        layer=min(number("layer", first.layer), entry.n_layers - 1),
        head=min(number("head", first.head), entry.n_heads - 1),
        shows=values[f"shows_{letter}"],
        second=second or as_in_a,
        frame=first.frame,
    )


def write(panels: Sequence[PanelSpec]) -> None:
    """For callbacks: make the link say these panels; what equals panel A follows it."""
    first = panels[0]
    said: dict[str, object] = {"panels": len(panels), PAIR.name: "ab", "query": None}
    said |= {"model": first.model, "text": first.text, "layer": first.layer, "head": first.head}
    said |= {"shows_a": first.shows, "second_text": first.second}
    for letter, panel in zip(LETTERS[1:], panels[1:], strict=False):
        said[f"model_{letter}"] = SAME if panel.model == first.model else panel.model
        becomes_pair = first.second and not panel.second and entry_of(panel.model).may_read_pairs
        follows = panel.text == first.text and not becomes_pair  # else it would take the second sentence from A, too
        said[f"text_{letter}"] = "" if follows else panel.text
        said[f"second_text_{letter}"] = "" if follows and panel.second == first.second else panel.second
        said[f"layer_{letter}"] = SAME if panel.layer == first.layer else str(panel.layer)
        said[f"head_{letter}"] = SAME if panel.head == first.head else str(panel.head)
        said[f"shows_{letter}"] = panel.shows
    choose(said)


def edit(change: Callable[[list[PanelSpec]], list[PanelSpec]]) -> None:
    """Callback: change the list of panels."""
    write(change(specs(cast(Earlier, st.session_state))))
