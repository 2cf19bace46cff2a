"""A view: which numbers of a trace are shown, and how. What is exported is exactly this."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from attn_core.figures.charts.heatmap import QueriesIn
from attn_core.figures.colours import Scale
from attn_core.views.arrangement import Arrangement, arrange, mean_name, mean_pattern


@dataclass(frozen=True, eq=False)
class View:
    """What is shown of a trace (or of a recorded result): one head, or a mean, and how.

    `stream` is needed for an encoder-decoder. `words` merges pieces and `hide_sink` takes special tokens out and
    renormalises; both are for a sentence that looks at itself. `query` is the chosen word, a token position. `link`
    holds the parameters that bring the app to this view on `page`; left out, it is made from the rest.
    """

    trace: Any
    layer: int = 0
    head: int = 0
    stream: str | None = None
    mean: str = "one"
    words: bool = False
    hide_sink: bool = False
    scale: Scale = "sqrt"
    queries_in: QueriesIn = "rows"
    query: int | None = None
    page: str = "all_heads"
    link: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def sides(self) -> tuple[Arrangement, Arrangement]:
        """What the rows and the columns stand for."""
        if self.stream is None:
            causal = self.trace.kind == "decoder"
            own = arrange(self.trace.tokens, causal=causal, words=self.words, hide_sink=self.hide_sink)
            return own, own
        asks, answers = (arrange(tokens, causal=False) for tokens in self.trace.tokens_of(self.stream))
        return asks, answers

    @property
    def same(self) -> bool:
        """Whether the sentence looks at itself."""
        return self.stream != "cross"

    @cached_property
    def pattern(self) -> np.ndarray:
        """The shown numbers, [query, key]."""
        if self.stream is None:
            return self.arranged(mean_pattern(self.trace, self.layer, self.head, self.mean))
        return self.trace.pattern(self.layer, self.head, stream=self.stream)

    @cached_property
    def may_look(self) -> np.ndarray:
        """Which query may look at which key, bool [query, key]."""
        return self.mask(self.layer)

    def arranged(self, pattern: np.ndarray) -> np.ndarray:
        """[…, query, key] over tokens → as shown."""
        return self.sides[0].pattern(pattern) if self.stream is None else pattern

    def mask(self, layer: int) -> np.ndarray:
        seen = self.trace.may_look(layer, stream=self.stream) if self.stream else self.trace.may_look(layer)
        return self.sides[0].may_look(seen) if self.stream is None else seen

    def patterns(self, layer: int) -> np.ndarray:
        """All heads of a layer as shown, [head, query, key]."""
        if self.stream is None:
            return self.arranged(self.trace.patterns(layer))
        return self.trace.patterns(layer, stream=self.stream)

    @property
    def n_layers(self) -> int:
        return self.trace.n_layers if self.stream is None else self.trace.n_layers_of(self.stream)

    @property
    def name(self) -> str:
        """The head in words: "head 0.3", "the mean of all heads"."""
        return mean_name(self.layer, self.head, self.mean)

    @property
    def text(self) -> str:
        """The sentence, or both of a translation."""
        if self.stream is None:
            return self.trace.tokens.text
        return " → ".join(dict.fromkeys(tokens.text for tokens in reversed(self.trace.tokens_of(self.stream))))

    def caption(self) -> str:
        """What it shows, in one line."""
        parts = [self.trace.model_name, f"{self.stream} attention" if self.stream else "", self.name]
        parts.append(f"“{textwrap.shorten(self.text, 160, placeholder=' …')}”")
        parts.append("whole words" if self.words else "")
        parts.append("special tokens hidden, renormalised" if self.hide_sink else "")
        parts.append(f"{'√' if self.scale == 'sqrt' else 'linear'} colour scale")
        return " · ".join([*filter(None, parts), f"Headlight {version()}"])

    def address(self) -> dict[str, str]:
        """The link's parameters."""
        if self.link or self.stream is not None:
            return {"v": "1", **self.link}
        return {
            "v": "1",
            "model": self.trace.model_name,
            "text": self.text,
            "layer": str(self.layer),
            "head": str(self.head),
            "query": "auto" if self.query is None else str(self.query),
            "mean": self.mean,
            "unit": "words" if self.words else "pieces",
            "specials": "hide" if self.hide_sink else "show",
            "scale": self.scale,
            "queries": self.queries_in,
        }

    def as_python(self) -> str:
        """The few lines that give this view in a notebook."""
        given = [repr(self.trace.tokens.text)] if self.stream is None else self._both_sentences()
        differs = [f for f in fields(self)[3:-2] if getattr(self, f.name) != f.default]
        options = "".join(f", {f.name}={getattr(self, f.name)!r}" for f in differs)
        return "\n".join(
            [
                "import attn_core as ac",
                "from attn_core.views.notebook import Showing",
                "from attn_core.views.view import View",
                "",
                f"trace = ac.trace(ac.load({self.trace.model_name!r}), {', '.join(given)})",
                f"view = View(trace, layer={self.layer}, head={self.head}{options})",
                "view.pattern  # what is shown, [query, key]",
                "Showing(view)",
            ]
        )

    def _both_sentences(self) -> list[str]:
        source, target = (self.trace.tokens_of(stream)[0] for stream in ("encoder", "decoder"))
        return [repr(source.text), f"target={target.text!r}"]


def version() -> str:
    """This program's version, installed or not."""
    try:
        return metadata.version("headlight-attention")
    except metadata.PackageNotFoundError:
        project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(project)["project"]["version"])
