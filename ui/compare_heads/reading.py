"""Every panel's model is run over its sentence; what a panel shows of it is kept for everybody."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from attn_core.heads import baselines
from attn_core.models.catalogue import entry_of
from attn_core.traces.parity import worst_parity
from ui import stream, words
from ui.compare_heads.panels import Panel, PanelSet
from ui.compare_heads.params import PAIR
from ui.compare_heads.specs import LETTERS, SHUFFLES, PanelSpec
from ui.drawing import widgets
from ui.page import Page
from ui.server import budget, loading, passes, shared
from ui.shell import known_words
from ui.shell.badges import parity_of
from ui.stream import StreamView

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from attn_core.traces.parity import Parity
    from attn_core.traces.stream import StreamTrace
    from ui.server.cache import Handle
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)


def read(page: Page, specs: Sequence[PanelSpec]) -> PanelSet:
    """Run every panel's model over its sentence; what is too much for one page is said before anything is run."""
    with page.problems():
        budget.hold_to(_reads(page, specs))
        _with_their_heads_off(page, specs)
    panels = []
    for letter, spec in zip(LETTERS, specs, strict=False):
        real = page.model(spec.model)
        model = _with_random_weights(page, real) if spec.shows == "random" else real
        read = () if letter == "a" else (spec.sentence, spec.how_read)
        viewed = stream.of(page, *read, model=model, writer=real)
        panels.append(Panel(letter.upper(), spec, viewed, *_shown(spec, viewed)))
    with page.remarks:
        _remark(panels)
    x, y = page.state[PAIR.name]
    shown = PanelSet(panels, _by_words(panels), (LETTERS.index(x), LETTERS.index(y)), page.state["query"])
    with page.problems():
        budget.hold_drawn((len(shown.axes[0][0]), len(shown.axes[0][1])), pictures=len(panels) + 1)
    return _following(page, shown)


def _with_their_heads_off(page: Page, specs: Sequence[PanelSpec]) -> None:
    """What switching the shown heads off changes is asked for at the end of the page: it comes from the same passes."""
    heads: dict[PanelSpec, list[tuple[int, int]]] = {}
    for spec in specs:
        if spec.shows == "head":
            read = replace(specs[0], model=spec.model, text=spec.text, second=spec.second)
            heads.setdefault(read, []).append((spec.layer, spec.head))
    for read, shown in heads.items():
        passes.trace_beside(page.model(read.model), read.sentence, list(dict.fromkeys(shown)), **read.how_read)


def _following(page: Page, panels: PanelSet) -> PanelSet:
    """The panels with the word that is followed; where panel A lacks it, there is none for other pages to carry on."""
    salient = panels.position(0, panels.salient_place)
    if salient is None:
        return panels
    return replace(panels, query=page.followed(panels.panels[0].viewed.queries, lambda: salient))


def _reads(page: Page, specs: Sequence[PanelSpec]) -> Iterator[tuple[int, int]]:
    """(tokens, how many passes) of every sentence that is read by a model, each counted once."""
    known: set[Hashable] = set()
    for spec in specs:
        what = (spec.model, spec.sentence, spec.shows == "random", spec.shows == "shuffled")
        model = page.model(spec.model)
        if what not in known and spec.text.strip():
            streams = 3 if model.kind == "encoder-decoder" else 1
            yield (
                sum(len(model.read(text)) for text in (spec.text, spec.second) if text),
                streams * (1 + SHUFFLES * (spec.shows == "shuffled")),
            )
        known.add(what)


@dataclass(frozen=True)
class MeanPatterns:
    """The mean patterns of all layers, one array [head, query, key] a layer, and the worst check of their passes."""

    layers: list[Floats]
    parity: Parity

    @property
    def n_bytes(self) -> int:
        return sum(layer.nbytes for layer in self.layers)


def _shown(spec: PanelSpec, viewed: StreamView) -> tuple[Callable[[int], Floats], Callable[[], Parity]]:
    """The patterns of a layer that a panel shows, [head, query, key], and how far they are from the model's own."""
    if spec.shows != "shuffled":  # the reader's own method would keep the whole trace
        return lambda layer: viewed.reader.patterns(layer), partial(parity_of, viewed.trace)
    # One handle a page: what the page has read of it stays to its end, so that no layer computes the mean again.
    mean = cache(partial(_shared_mean, viewed))
    return lambda layer: mean().value().layers[layer], lambda: mean().value().parity


def _shared_mean(viewed: StreamView) -> Handle[MeanPatterns]:
    return shared.share(_mean_of_orders, viewed)


def _mean_of_orders(viewed: StreamView) -> MeanPatterns:
    """The mean patterns over several orders of the words; each pass is checked while it is there."""
    checks: list[Parity] = []

    def streams() -> Iterator[StreamTrace]:
        for seed in range(SHUFFLES):
            stream = viewed.shuffled(seed)
            checks.append(stream.check())
            yield stream

    return MeanPatterns(baselines.mean_patterns(streams()), worst_parity(checks))


def _with_random_weights(page: Page, model: ModelHandle) -> ModelHandle:
    with page.problems():
        return loading.random_weights(model)


def _by_words(panels: Sequence[Panel]) -> bool:
    """Whether the panels meet in whole words, because their tokenizers differ."""
    first, *others = (panel.viewed.model.tokenizer for panel in panels)
    return any(other is not first and other.get_vocab() != first.get_vocab() for other in others)


def _remark(panels: Sequence[Panel]) -> None:
    """What to know about the sentences that are not at the top: where one was cut, which words are new to a model."""
    read = {(panels[0].spec.model, panels[0].spec.sentence)}
    for panel in panels[1:]:
        what_is_read = (panel.spec.model, panel.spec.sentence)
        if what_is_read in read:
            continue
        read.add(what_is_read)
        tokens = panel.viewed.trace.stream(panel.viewed.trace.streams[0]).tokens
        if tokens.is_cut:
            cut = WORDS.text("reading.cut", panel=panel.letter, tokens=tokens.cut_after, left_out=tokens.left_out)
            widgets.note(cut)
        if panels[0].spec.second and not entry_of(panel.spec.model).may_read_pairs:
            widgets.note(WORDS.text("reading.no_pair", panel=panel.letter, model=panel.model))
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
