"""What is looked at in every width and theme: each page once, as it shows most, and the views that look different."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PAGES = ["", *sorted(file.stem for file in (Path(__file__).parents[2] / "pages").glob("*.py"))]
STARTER = "a fluffy blue creature roamed the verdant forest"
TWO = "the cat saw the dog\nthe dog slept"


@dataclass(frozen=True)
class View:
    """A page, what its link asks for, and what must be seen of it: the cards, and so many links into other pages."""

    page: str
    asked: dict[str, object] = field(default_factory=dict)
    cards: str = ""
    links: int = 0

    def __str__(self) -> str:
        return " ".join([self.page or "all_heads", *(f"{name}={value}"[:20] for name, value in self.asked.items())])


_AS_THEY_SHOW_MOST = [
    View("", links=6),
    View("cross_attention", cards="lines cross kinds alignment delta", links=6),
    View("delta_e", {"measure": "end", "moves": "layer"}, "map layer parts from writes arrows numbers", links=5),
    View("patching", {"layer": 1, "head": 0}, "pair map row paths cautions more"),
    View("study", {"two_groups": 1, "other_sentences": TWO}, "sentences map ends groups list scatter"),
    View("why_there", {"layer": 5, "head": 3, "query": 4, "key": 2}, "matrix pairs next brought taken", links=4),
    View("word_senses", cards="board apart paths separation"),
]
_NAMED = {view.page for view in _AS_THEY_SHOW_MOST}
EVERY_PAGE = [*_AS_THEY_SHOW_MOST, *(View(page) for page in PAGES if page not in _NAMED)]

_CARD = {"why": "card", "model": "tiny-decoder", "layer": 1, "head": 3}
OTHERS = [
    View("", {"text": STARTER + " " + "verdant" * 8}),
    View("find_heads", {"find": "kinds", "off": "0.3"}, links=3),
    View("find_heads", {"find": "matter", "off": "0.3"}),
    View("parameters", {"own": 1, "beside": "gpt2,minilm,t5-small"}, "own boxes lesson shares thin growth costs table"),
    View("step_by_step", {"all_steps": 1, "breaks": "no-scale", "text": STARTER}, links=5),
    View("why_there", {"why": "flow", "query": 4}, "flow words"),
    View("why_there", {"why": "flow", "query": 4, "model": "tiny-decoder", "top": "next"}, "flow words"),
    View("why_there", _CARD, "scores reads writes composition near directions left_out"),
]
