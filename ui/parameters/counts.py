"""What the parameter page counts: the chosen model, one of the visitor's own, and those beside it.

The link says everything: the preset, each number that may be changed, and what is shown. A number is read from the
link only where `own` is on; its default is always the preset's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from attn_core.errors import HeadlightError
from attn_core.figures.colours import Theme
from attn_core.parameters.architectures.families import FAMILIES, complete
from attn_core.parameters.costs import BYTES
from attn_core.parameters.count import count_parameters, read_config
from attn_core.parameters.latent_costs import LatentAttention, latent_attention
from attn_core.parameters.presets import ALIASES, PRESETS
from attn_core.parameters.scaling import KNOBS
from attn_core.parameters.shape import BOUNDS, Shape, editable, problems, shape_of, with_numbers
from attn_core.parameters.table import ParameterTable
from attn_core.parameters.tree import Node, tree
from attn_core.settings import is_public
from ui import words
from ui.drawing import gallery
from ui.link import forget
from ui.page import Page
from ui.param import Earlier, Param, choice, flag, whole
from ui.stream import STREAM

WORDS = words.beside(__file__)
MOST_BESIDE = 3
DERIVED = ("d_head", "n_groups", "d_ff")  # may be left empty: the model derives them
NUMBERS = tuple(BOUNDS)


def _known(raw: str, earlier: Earlier) -> str:
    if raw in PRESETS:
        return raw
    if is_public():
        raise ValueError("no numbers were published here under this name")
    try:
        count_parameters(raw)
    except HeadlightError as error:  # no folder, a damaged one, or numbers that are no model
        raise ValueError(str(error).rstrip(".")) from None
    return ALIASES.get(raw, raw)


def _beside(raw: str, earlier: Earlier) -> list[str]:
    names = [name for name in raw.split(",") if name]
    if len(names) > MOST_BESIDE or any(name not in PRESETS for name in names):
        raise ValueError(f"it must name at most {MOST_BESIDE} known models, with commas between")
    return names


def published(preset: str) -> dict[str, int | bool | None]:
    """The preset's numbers in our words; None where the model derives one, or its family has no such number."""
    config = complete(read_config(preset))
    if config is None:
        return dict.fromkeys((*NUMBERS, "tied"))
    words = FAMILIES[config["model_type"]].words
    return {name: config.get(words[name]) if name in words else None for name in (*NUMBERS, "tied")}


def _published(name: str) -> Callable[[Earlier], int | bool | None]:
    return lambda earlier: published(earlier["preset"])[name]


def _number(name: str) -> Param:
    """One of the model's sizes; None, "auto", where it is derived from others."""
    low, high = BOUNDS[name]
    label, helps = WORDS.text("own.labels", name), WORDS.table("own.help").get(name)
    return whole(name, low, high, _published(name), optional=True, label=label, help=helps)


def effective(earlier: Earlier) -> Mapping[str, object]:
    """The configuration that is counted: the preset's, with the visitor's numbers where they are on."""
    config = read_config(earlier["preset"])
    full = complete(config)
    if full is None or not earlier["own"]:
        return full or config
    return with_numbers(full, **{name: earlier[name] for name in editable(full)})


def _of_shape(what: str, otherwise: int) -> Callable[[Earlier], int]:
    """A limit or default that follows from the model's sizes; from the preset's while the visitor's are impossible."""

    def read(earlier: Earlier) -> int:
        config = complete(effective(earlier))
        if config is not None and problems(config):
            config = complete(read_config(earlier["preset"]))
        return otherwise if config is None else int(getattr(shape_of(config), what))

    return read


def _box(raw: str, earlier: Earlier) -> str:
    """The path of a box that has others in it, such as "block 3/self-attention"; empty is the whole model."""
    try:
        table = count_parameters(effective(earlier)) if raw else None
    except HeadlightError:
        table = None  # numbers that are no model have no boxes; the page says so
    nodes = tree(table, lesson=earlier["count"] == "lesson", inside=raw) if table else []
    if raw and tuple(raw.split("/")) not in {nodes[node.parent].path for node in nodes}:
        raise ValueError("this model has no such box")
    return raw


PRESET = Param(
    "preset",
    "gpt-3",
    _known,
    label="Count the parameters of",
    help=None if is_public() else WORDS.text("own.folder"),
    in_caption=False,
)
BESIDE = Param("beside", [], _beside, ",".join, label="Side by side with")
COUNT = choice("count", {"lesson": "matrices only", "all": "every number stored"}, label="How to count")
OWN = flag("own", label="Change its numbers")
SIZES = {name: _number(name) for name in NUMBERS}
TIED = flag("tied", lambda earlier: bool(_published("tied")(earlier)), label="one matrix for embedding and unembedding")
BARS = choice("bars", {"share": "share of each model", "numbers": "numbers, one scale"}, label="Bars show")
KNOB = choice("knob", {name: WORDS.text("own.labels", name) for name in KNOBS}, label="What grows")
GROWTH = choice("growth", {"parameters": "parameters", "reading": "multiply-adds to read"}, label="What is counted")
THIN = whole("thin", 1, _of_shape("d_model", 1), _of_shape("d_head", 1), label="d_head", in_caption=False)
DTYPE = choice("dtype", {name: name for name in BYTES}, "float16", label="Numbers are kept as")
CONTEXT = whole("tokens", 1, 10_000_000, _of_shape("context", 1_000), label="tokens in the context")
PARAMS = [
    *(PRESET, BESIDE, COUNT, OWN, *SIZES.values(), TIED),
    Param("inside", "", _box),
    *(BARS, KNOB, GROWTH, THIN),
    STREAM,  # of a real head, in a translator
    *(DTYPE, CONTEXT),
]


def start_again() -> None:
    """Callback: another preset brings its own numbers, boxes, sizes and context."""
    for name in (*NUMBERS, "tied", "inside", "thin", "tokens"):
        forget(name)


@dataclass(frozen=True)
class ModelCounts:
    """The page's models, counted."""

    page: Page

    @property
    def lesson(self) -> bool:
        return bool(self.page.state["count"] == "lesson")

    @property
    def theme(self) -> Theme:
        return gallery.theme()

    @cached_property
    def table(self) -> ParameterTable:
        """The chosen model's; raises ImpossibleModel for numbers of the visitor's that fit no model."""
        name = self.page.state["preset"]
        table = count_parameters(effective(self.page.state))
        title = PRESETS[name].title if name in PRESETS else Path(name).name
        notes = (PRESETS[name].note,) if name in PRESETS and PRESETS[name].note and not self.is_own else table.notes
        title = WORDS.text("lead.own", title=title) if self.is_own else title
        return ParameterTable(title, table.config, table.rows, table.source, notes)

    @property
    def is_own(self) -> bool:
        state = self.page.state
        return bool(state["own"]) and effective(state) != complete(read_config(state["preset"]))

    @cached_property
    def others(self) -> list[ParameterTable]:
        return [count_parameters(name) for name in self.page.state["beside"]]

    @cached_property
    def shape(self) -> Shape | None:
        """The chosen model's sizes; None for a family without a formula."""
        return shape_of(self.table.config) if self.table.source == "formula" else None

    @cached_property
    def latent(self) -> LatentAttention | None:
        """The chosen model's attention where it keeps one short list a token, as DeepSeek's does."""
        return latent_attention(self.table)

    @cached_property
    def boxes(self) -> list[Node]:
        """The chosen model as a tree of boxes, the root first."""
        return tree(self.table, lesson=self.lesson, inside=self.page.state["inside"])

    def total(self, table: ParameterTable) -> int:
        return table.lesson_total if self.lesson else table.total

    def attention(self, table: ParameterTable) -> int:
        return table.lesson_attention if self.lesson else table.attention
