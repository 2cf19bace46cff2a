"""What each panel of a comparison shows, and how panels come, go and change places.

A panel's model, sentence, layer and head may say "same": then they follow panel A. Panel A is what the whole app
shares, the sentence and the model at the top of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE, entry_of
from ui.link import Param, choice, whole

LETTERS = "abcd"
SAME = "same"
PAIR = ("the keys to the cabinet are on the table", "the keys to the cabinet is on the table")
SHOWS = {
    "head": "this head",
    "mean": "mean of its layer",
    "shuffled": "words shuffled",
    "random": "random weights",
}


@dataclass(frozen=True)
class Spec:
    """One panel: everything said out."""

    model: str
    text: str
    layer: int
    head: int
    shows: str = "head"

    @property
    def baseline(self) -> str:
        """What was taken away: "shuffled", "random", or nothing, ""."""
        return self.shows if self.shows in ("shuffled", "random") else ""

    @property
    def says(self) -> str:
        """How a sentence names it: "head 0.3"."""
        return {
            "head": f"head {self.layer}.{self.head}",
            "mean": f"the mean of layer {self.layer}",
            "shuffled": f"head {self.layer}.{self.head} over shuffled words",
            "random": f"head {self.layer}.{self.head} with random weights",
        }[self.shows]


def _model(view: Mapping[str, Any], letter: str) -> str:
    own = SAME if letter == "a" else view[f"{letter}_model"]
    return str(view["model"] if own == SAME else own)


def _known_model(raw: str, earlier: Mapping[str, Any]) -> str:
    """ "same", a catalogue's name or, in a local run, a folder; ValueError says what is wrong."""
    try:
        return raw if raw == SAME else entry_of(raw).name
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _numbers(letter: str, what: str) -> Callable[[Mapping[str, Any]], Sequence[str]]:
    return lambda view: (SAME, *map(str, range(getattr(entry_of(_model(view, letter)), what))))


def _other_sentence(view: Mapping[str, Any]) -> str:
    return PAIR[1] if view["text"] == PAIR[0] else ""


def _other_head(view: Mapping[str, Any]) -> str:
    """Beside the same sentence in the same model, the next head; else the same one."""
    if view["b_model"] != SAME or view["b_text"]:
        return SAME
    return str((view["head"] + 1) % entry_of(view["model"]).n_heads)


def _params(letter: str) -> list[Param]:
    return [
        Param(f"{letter}_model", SAME, _known_model),
        Param(f"{letter}_text", _other_sentence if letter == "b" else "", lambda raw, view: raw),
        choice(f"{letter}_layer", _numbers(letter, "n_layers")),
        choice(f"{letter}_head", _numbers(letter, "n_heads"), _other_head if letter == "b" else None),
        choice(f"{letter}_shows", tuple(SHOWS)),
    ]


PAIRS = tuple(x + y for i, x in enumerate(LETTERS) for y in LETTERS[i + 1 :])
PARAMS = [
    whole("panels", low=2, high=len(LETTERS)),
    choice("a_shows", tuple(SHOWS)),
    *(param for letter in LETTERS[1:] for param in _params(letter)),
    choice("pair", lambda view: [pair for pair in PAIRS if max(pair) <= LETTERS[view["panels"] - 1]]),
]


def specs(view: Mapping[str, Any]) -> list[Spec]:
    """All panels, said out, from the link's parameters or from the session."""
    first = Spec(view["model"], view["text"], view["layer"], view["head"], view["a_shows"])
    return [first, *(_spec(view, letter, first) for letter in LETTERS[1 : view["panels"]])]


def _spec(view: Mapping[str, Any], letter: str, first: Spec) -> Spec:
    def number(what: str, own: int) -> int:
        said = view[f"{letter}_{what}"]
        return own if said == SAME else int(said)

    entry = entry_of(_model(view, letter))
    return Spec(
        model=_model(view, letter),
        text=view[f"{letter}_text"] or first.text,
        layer=min(number("layer", first.layer), entry.n_layers - 1),
        head=min(number("head", first.head), entry.n_heads - 1),
        shows=view[f"{letter}_shows"],
    )


def write(panels: Sequence[Spec]) -> None:
    """For callbacks: make the link say these panels; what equals panel A follows it."""
    first = panels[0]
    said: dict[str, Any] = {"panels": len(panels), "pair": "ab", "query": None}
    said |= {"model": first.model, "text": first.text, "layer": first.layer, "head": first.head}
    said["a_shows"] = first.shows
    for letter, panel in zip(LETTERS[1:], panels[1:], strict=False):
        said[f"{letter}_model"] = SAME if panel.model == first.model else panel.model
        said[f"{letter}_text"] = "" if panel.text == first.text else panel.text
        said[f"{letter}_layer"] = SAME if panel.layer == first.layer else str(panel.layer)
        said[f"{letter}_head"] = SAME if panel.head == first.head else str(panel.head)
        said[f"{letter}_shows"] = panel.shows
    st.session_state.update(said)


def edit(change: Callable[[list[Spec]], list[Spec]]) -> None:
    """Callback: change the list of panels."""
    write(change(specs(st.session_state)))  # type: ignore[arg-type]


def added(panels: list[Spec]) -> list[Spec]:
    """One more: what the last panel shows, in the next head."""
    last = panels[-1]
    head = (last.head + 1) % entry_of(last.model).n_heads
    return [*panels, replace(last, head=head, shows="head")][: len(LETTERS)]


def duplicated(panels: list[Spec], at: int) -> list[Spec]:
    return [*panels[: at + 1], panels[at], *panels[at + 1 :]][: len(LETTERS)]


def removed(panels: list[Spec], at: int) -> list[Spec]:
    return panels if len(panels) <= 2 else [*panels[:at], *panels[at + 1 :]]


def moved(panels: list[Spec], at: int) -> list[Spec]:
    """The panel changes places with the one before it; the first with the last."""
    order = list(range(len(panels)))
    order[at], order[at - 1] = order[at - 1], order[at]
    return [panels[i] for i in order]


def with_head(panels: list[Spec], which: Sequence[int], layer: int, head: int) -> list[Spec]:
    """Some panels look at another head."""
    return [replace(p, layer=layer, head=head) if i in which else p for i, p in enumerate(panels)]


def two_heads(panels: list[Spec]) -> list[Spec]:
    first = replace(panels[0], shows="head")
    return [first, replace(first, head=(first.head + 1) % entry_of(first.model).n_heads)]


def two_sentences(panels: list[Spec]) -> list[Spec]:
    return [replace(panels[0], text=text, shows="head") for text in PAIR]


def two_models(panels: list[Spec]) -> list[Spec]:
    """The same sentence in the next model that can be had here."""
    from attn_core.models.catalogue import availability

    first = replace(panels[0], shows="head")
    alike = [n for n, entry in CATALOGUE.items() if n != first.model and entry.architecture != "encoder-decoder"]
    other = next((name for name in alike if availability(name)[0]), first.model)
    entry = entry_of(other)
    layer, head = min(first.layer, entry.n_layers - 1), min(first.head, entry.n_heads - 1)
    return [first, replace(first, model=other, layer=layer, head=head)]


def only_position(panels: list[Spec]) -> list[Spec]:
    return [replace(panels[0], shows=shows) for shows in ("head", "shuffled", "random")]


PRESETS = {
    "two heads": two_heads,
    "two sentences": two_sentences,
    "two models": two_models,
    "what is only position?": only_position,
}
