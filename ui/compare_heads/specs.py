"""What each panel of a comparison shows, and how panels come, go and change places. No Streamlit.

Panel A is what the whole app shares: the sentence and the model at the top of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attn_core.models.catalogue import CATALOGUE, availability, entry_of
from ui import words
from ui.sentences import KEYS

WORDS = words.beside(__file__)

LETTERS = "abcd"
SAME = "same"
SHUFFLES = 8  # orders of the words, whose mean is shown
EXAMPLE = (KEYS, "the keys to the cabinet is on the table")
SHOWS = WORDS.table("specs.shows")


@dataclass(frozen=True)
class PanelSpec:
    """One panel: everything said out."""

    model: str
    text: str
    layer: int
    head: int
    shows: str = "head"
    second: str = ""  # the second sentence of a pair
    frame: str = "own"

    @property
    def sentence(self) -> str | tuple[str, str]:
        """What it reads: its sentence, or a pair."""
        return (self.text, self.second) if self.second else self.text

    @property
    def how_read(self) -> dict[str, str]:
        """How it is read, as options of `attn_core.trace`; a pair always has its model's own frame."""
        return {"frame": "typed"} if self.frame == "typed" and not self.second else {}

    @property
    def in_link(self) -> dict[str, object]:
        """Its model and what it reads, as a link to another page says them."""
        said: dict[str, object] = {"model": self.model, "text": self.text}
        said |= {"second_text": self.second} if self.second else {}
        return said | self.how_read

    @property
    def baseline(self) -> str:
        """What was taken away: "shuffled", "random", or nothing, ""."""
        return self.shows if self.shows in ("shuffled", "random") else ""

    @property
    def says(self) -> str:
        """How a sentence names it: "head 0.3"."""
        return WORDS.text("specs.says", self.shows, layer=self.layer, head=self.head)


def added(panels: list[PanelSpec]) -> list[PanelSpec]:
    """One more: what the last panel shows, in the next head."""
    last = panels[-1]
    head = (last.head + 1) % entry_of(last.model).n_heads
    return [*panels, replace(last, head=head, shows="head")][: len(LETTERS)]


def duplicated(panels: list[PanelSpec], at: int) -> list[PanelSpec]:
    return [*panels[: at + 1], panels[at], *panels[at + 1 :]][: len(LETTERS)]


def removed(panels: list[PanelSpec], at: int) -> list[PanelSpec]:
    return panels if len(panels) <= 2 else [*panels[:at], *panels[at + 1 :]]


def moved(panels: list[PanelSpec], at: int) -> list[PanelSpec]:
    """The panel changes places with the one before it; the first with the last."""
    order = list(range(len(panels)))
    order[at], order[at - 1] = order[at - 1], order[at]
    return [panels[i] for i in order]


def with_head(panels: list[PanelSpec], which: Sequence[int], layer: int, head: int) -> list[PanelSpec]:
    """Some panels look at another head."""
    return [replace(p, layer=layer, head=head) if i in which else p for i, p in enumerate(panels)]


def two_heads(panels: list[PanelSpec]) -> list[PanelSpec]:
    first = replace(panels[0], shows="head")
    return [first, replace(first, head=(first.head + 1) % entry_of(first.model).n_heads)]


def two_sentences(panels: list[PanelSpec]) -> list[PanelSpec]:
    return [replace(panels[0], text=text, second="", shows="head") for text in EXAMPLE]


def two_models(panels: list[PanelSpec]) -> list[PanelSpec]:
    """The same sentence in the next model that can be had here."""
    first = replace(panels[0], shows="head")
    alike = [n for n, entry in CATALOGUE.items() if n != first.model and entry.architecture != "encoder-decoder"]
    other = next((name for name in alike if availability(name)[0]), first.model)
    entry = entry_of(other)
    layer, head = min(first.layer, entry.n_layers - 1), min(first.head, entry.n_heads - 1)
    return [first, replace(first, model=other, layer=layer, head=head)]


def only_position(panels: list[PanelSpec]) -> list[PanelSpec]:
    return [replace(panels[0], shows=shows) for shows in ("head", "shuffled", "random")]


PRESETS = {
    "two heads": two_heads,
    "two sentences": two_sentences,
    "two models": two_models,
    "what is only position?": only_position,
}
