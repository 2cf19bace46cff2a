"""Every panel's model is run over its sentence; what a panel shows of it is kept for everybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from markupsafe import Markup

from attn_core.heads import baselines
from ui import stream, words
from ui.compare_heads.panels import Panel, PanelSet
from ui.compare_heads.specs import LETTERS, PanelSpec
from ui.drawing import widgets
from ui.page import Page
from ui.server import shared
from ui.shell import known_words
from ui.stream import StreamView

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from ui.server.loading import Model

WORDS = words.beside(__file__)
SHUFFLES = 8


def read(page: Page, specs: Sequence[PanelSpec]) -> PanelSet:
    """Run every panel's model over its sentence."""
    panels = []
    for letter, spec in zip(LETTERS, specs, strict=False):
        real = page.model(spec.model)
        model = _with_random_weights(page, real) if spec.shows == "random" else real
        viewed = stream.of(page, None if letter == "a" else spec.text, model, writer=real)
        panels.append(Panel(letter.upper(), spec, viewed, _patterns_of(spec, viewed)))
    with page.remarks:
        _remark(panels)
    x, y = page.state["pair"]
    return PanelSet(panels, _by_words(panels), (LETTERS.index(x), LETTERS.index(y)), page.state["query"])


def _patterns_of(spec: PanelSpec, viewed: StreamView) -> Callable[[int], Floats]:
    """The patterns of a layer that a panel shows, [head, query, key]."""
    return partial(_shuffled, viewed) if spec.shows == "shuffled" else viewed.reader.patterns


def _shuffled(viewed: StreamView, layer: int) -> Floats:
    """The mean patterns of a layer over several orders of the words, kept for all layers at once."""

    def mean_of_orders() -> list[Floats]:
        traces = (viewed.shuffled(seed).trace for seed in range(SHUFFLES))
        return baselines.mean_patterns(traces, stream=viewed.stream)

    return shared.memoize(viewed.trace, ("shuffled", viewed.stream), mean_of_orders)[layer]


def _with_random_weights(page: Page, model: Model) -> Model:
    with page.problems():
        found = shared.get_or_compute((model.name, "random weights"), partial(baselines.random_weights, model))
    return cast("Model", found)  # a shared handle reads like the model


def _by_words(panels: Sequence[Panel]) -> bool:
    """Whether the panels meet in whole words, because their tokenizers differ."""
    first, *others = (panel.viewed.model.tokenizer for panel in panels)
    return any(other is not first and other.get_vocab() != first.get_vocab() for other in others)


def _remark(panels: Sequence[Panel]) -> None:
    """What to know about the sentences that are not at the top: where one was cut, which words are new to a model."""
    told = {(panels[0].spec.model, panels[0].spec.text)}
    for panel in panels[1:]:
        what_is_read = (panel.spec.model, panel.spec.text)
        if what_is_read in told:
            continue
        told.add(what_is_read)
        tokens = panel.viewed.trace.stream(panel.viewed.trace.streams[0]).tokens
        if tokens.is_cut:
            cut = WORDS.text("reading.cut", panel=panel.letter, tokens=tokens.cut_after, left_out=tokens.left_out)
            widgets.note(cut)
        known_words.explain_marks(panel.spec.model, tokens.labels)


def rule(panels: PanelSet) -> Markup:
    """How the axes were made."""
    whole_words = WORDS.html("panels.whole_words") if panels.by_words else ""
    return words.together(WORDS.html("panels.hint"), whole_words, stream.row_names(panels.panels[0].viewed))


def about(panels: PanelSet) -> Markup:
    """How many panels of how many models."""
    *some, last = dict.fromkeys(panel.model for panel in panels.panels)
    models = WORDS.text("panels.models_and", some=" and ".join(some), last=last) if some else last
    return WORDS.html("panels.models", panels=len(panels.panels), models=models)
