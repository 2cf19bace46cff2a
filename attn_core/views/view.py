"""A view: which numbers of a trace are shown, and how. What is exported is exactly this."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from attn_core.errors import check_index
from attn_core.figures.charts.heatmap import QueriesIn
from attn_core.figures.colours import Scale
from attn_core.heads.salience import salient_query_of
from attn_core.options import check_choice, check_flag, check_mapping, check_whole
from attn_core.settings import VERSION
from attn_core.text.chat import turns_in_link, turns_of
from attn_core.text.pairs import Segments, second_of, segment_rows, segment_shares_of_blocks
from attn_core.views.arrangement import (
    MEANS,
    Arrangement,
    Bools,
    Floats,
    arrange,
    check_spans,
    mean_may_look,
    mean_name,
    mean_pattern,
    spans_in_link,
)
from attn_core.views.snippets import traced as snippets

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.reader import Readable, TraceReader

# Of the app, in the order of its menu
PAGES = (
    *("all_heads", "step_by_step", "delta_e", "why_there", "word_senses", "compare_heads", "find_heads", "study"),
    *("patching", "cross_attention", "lesson", "training", "parameters", "predict_first", "teachers_kit", "about"),
)
IN_FRAME = {"own": "", "typed": "as typed, without the model's own frame", "chat": "as a chat"}


def _typed(tokens: Tokens) -> dict[str, str]:
    """What was typed, as a link says it: a sentence, both of a pair, or the turns of a chat, and how they are read."""
    if tokens.messages:
        text, turns = turns_of(tokens.messages)
        return {"text": text, "frame": "chat", "turns": turns_in_link(turns)}
    second = {"second_text": tokens.second_text} if tokens.second_text else {}
    return {"text": tokens.text, **second, **({"frame": "typed"} if tokens.frame == "typed" else {})}


@dataclass(frozen=True, eq=False)
class View:
    """What is shown of a trace (or of a recorded result): one head, or a mean, and how.

    `stream` is one of three for an encoder-decoder. `words` merges pieces and `hide_sink` takes special tokens out and
    renormalises; `spans` are phrases, (first, last) token, each shown as one row and one column: its weights are summed
    over its keys and averaged over its queries. All three are for a sentence that looks at itself. `query` is the
    chosen word, a token position. `link` holds the parameters that bring the app to this view on `page`; left out, it
    is made from the rest.
    """

    trace: Readable
    layer: int = 0
    head: int = 0
    stream: str = "self"
    mean: str = "one"
    words: bool = False
    hide_sink: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    scale: Scale = "sqrt"
    queries_in: QueriesIn = "rows"
    query: int | None = None
    page: str = "all_heads"
    link: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be shown, at once and by name. Raises ValueError or IndexError."""
        if not hasattr(self.trace, "stream"):
            raise TypeError(f"a view is of a trace, got {self.trace!r}")
        choices = {"mean": MEANS, "scale": get_args(Scale), "queries_in": get_args(QueriesIn), "page": PAGES}
        for name, known in choices.items():
            check_choice(name, getattr(self, name), known)
        for name in ("words", "hide_sink"):
            check_flag(name, getattr(self, name))
        check_mapping("link", self.link, '{"text": "a bird"}')
        check_index("layer", self.layer, self.reader.n_layers)
        check_whole("head", self.head)
        self.reader.key_group(self.layer, self.head)  # raises IndexError, naming the range
        if self.query is not None:
            check_index("query", self.query, len(self.reader.tokens))
        if self.spans and not self.has_one_sentence:
            raise ValueError("spans are for a sentence that looks at itself")
        check_spans(self.spans, self.reader.tokens)

    @property
    def reader(self) -> TraceReader:
        """The stream that is shown. Not kept: the app's buttons hold a view for hours, and it would hold the trace."""
        return self.trace.stream(self.stream)

    @property
    def has_one_sentence(self) -> bool:
        """Whether the model reads one sentence: its tokens can then be merged into words, and the sink hidden."""
        return self.reader.name == "self"

    @cached_property
    def sides(self) -> tuple[Arrangement, Arrangement]:
        """What the rows and the columns stand for."""
        if self.has_one_sentence:
            causal = self.reader.kind == "decoder"
            read = self.reader.tokens, self.reader.key_tokens
            how: dict[str, Any] = {"words": self.words, "hide_sink": self.hide_sink, "spans": self.spans}
            own = arrange(*read, causal=causal, **how)
            return own, own.keys
        return arrange(self.reader.tokens, causal=False), arrange(self.reader.key_tokens, causal=False)

    @property
    def same(self) -> bool:
        """Whether the sentence looks at itself, and at nothing else."""
        return self.reader.name != "cross" and len(self.reader.key_tokens) == len(self.reader.tokens)

    @cached_property
    def pattern(self) -> Floats:
        """The shown numbers, [query, key]."""
        if self.has_one_sentence:
            return self.arranged(mean_pattern(self.reader, self.layer, self.head, self.mean))
        return self.reader.pattern(self.layer, self.head)

    @cached_property
    def may_look(self) -> Bools:
        """Which query may look at which key, bool [query, key]."""
        if not self.has_one_sentence:
            return self.mask(self.layer)
        return self.sides[0].may_look(mean_may_look(self.reader, self.layer, self.mean))

    def arranged(self, pattern: Floats) -> Floats:
        """[…, query, key] over tokens → as shown."""
        return self.sides[0].pattern(pattern) if self.has_one_sentence else pattern

    def mask(self, layer: int) -> Bools:
        """Which query may look at which key in a layer, as shown, bool [query, key]."""
        may_look = self.reader.may_look(layer)
        return self.sides[0].may_look(may_look) if self.has_one_sentence else may_look

    def patterns(self, layer: int) -> Floats:
        """All heads of a layer as shown, [head, query, key]."""
        return self.arranged(self.reader.patterns(layer))

    def blocks(self, layer: int, head: int | None = None) -> Iterator[tuple[slice, Floats]]:
        """The same in blocks of rows, (rows, [head, row, column]), or of one head, [row, column]; NaN where masked."""
        reader, (asks, answers) = self.reader, self.sides
        n_heads = reader.n_heads if head is None else 1
        for rows, tokens, own in replace(asks, columns=answers).blocks(n_heads * len(reader.key_tokens)):
            patterns = reader.patterns(layer, tokens) if head is None else reader.pattern(layer, head, tokens)
            yield rows, np.where(own.may_look(reader.may_look(layer, tokens)), own.pattern(patterns), np.nan)

    @property
    def n_layers(self) -> int:
        return self.reader.n_layers

    @property
    def name(self) -> str:
        """The head in words: "head 0.3", "the mean of all heads"."""
        return mean_name(self.layer, self.head, self.mean)

    @property
    def text(self) -> str:
        """The sentence, both of a translation, or both of a pair."""
        return " → ".join(dict.fromkeys((self.reader.key_tokens.said, self.reader.tokens.said)))

    @cached_property
    def segments(self) -> Segments | None:
        """Of a pair: its two segments and the shares of attention in what is shown; None where one text was read."""
        at = second_of(*self.sides)
        if at is None or self.mean != "one":
            return self.sides[0].segments(self.pattern) if at else None
        sides = (segment_rows(second, len(side.places)) for second, side in zip(at, self.sides, strict=True))
        return Segments(*at, segment_shares_of_blocks(self.blocks(self.layer, self.head), *sides))

    def with_followed_word(self) -> View:
        """The same view with a word to follow: the chosen one or, where there is none, the most salient."""
        if self.query is not None:
            return self
        pattern = self.reader.pattern(self.layer, self.head)
        if self.has_one_sentence:
            pattern = mean_pattern(self.reader, self.layer, self.head, self.mean)
        return replace(self, query=salient_query_of(self.reader, pattern))

    def caption(self) -> str:
        """What it shows, in one line."""
        parts = [self.reader.model_name, "" if self.has_one_sentence else f"{self.reader.name} attention", self.name]
        parts.append(f"“{textwrap.shorten(self.text, 160, placeholder=' …')}”")
        parts.append(f"changed: {self.trace.changes}" if self.trace.changes else "")
        parts.append(IN_FRAME[self.reader.tokens.frame])
        parts.append("" if self.segments is None else self.segments.said)
        parts.append("whole words" if self.words else "")
        parts.append(self._spans_said)
        parts.append("special tokens hidden, renormalised" if self.hide_sink else "")
        parts.append(f"{'√' if self.scale == 'sqrt' else 'linear'} colour scale")
        return " · ".join([*filter(None, parts), f"Headlight {VERSION}"])

    @property
    def _spans_said(self) -> str:
        """Which phrases are one, and how: "‘a fluffy blue’ as one: summed over keys, averaged over queries"."""
        phrases = [f"‘{self.sides[0].labels[row]}’" for row in (self.sides[0].spans if self.spans else ())]
        return f"{', '.join(phrases)} as one: summed over keys, averaged over queries" if phrases else ""

    @property
    def opens(self) -> str:
        """The page of the app that the link opens: heads that were switched off are so again on "find_heads"."""
        return "find_heads" if self._is_ablation else self.page

    @property
    def _is_ablation(self) -> bool:
        """Whether the app's own link can say what was changed: heads of the one stream are off, and that is all."""
        changes = self.trace.changes
        others = changes.forced or changes.patches
        return bool(changes.without) and not others and self.has_one_sentence and not self.link

    def address(self) -> dict[str, str]:
        """The link's parameters, for the page that it `opens`. Changes that no page can repeat stand there in words."""
        changes = self.trace.changes
        said = {"changes": str(changes)} if changes and not self._is_ablation else {}
        if self.link or not self.has_one_sentence:
            return {"v": "1", **self.link, **said}
        opened = {
            "v": "1",
            "model": self.reader.model_name,
            **_typed(self.reader.tokens),
            "layer": str(self.layer),
            "head": str(self.head),
            "query": "auto" if self.query is None else str(self.query),
        }
        if self._is_ablation:
            off = "_".join(f"{layer}.{head}" for _, layer, head in changes.without)
            return {**opened, "find": "matter", "off": off, "fill": changes.replacement}
        return {
            **opened,
            "mean": self.mean,
            "unit": "words" if self.words else "pieces",
            "specials": "hide" if self.hide_sink else "show",
            **({"spans": spans_in_link(self.spans)} if self.spans else {}),
            "scale": self.scale,
            "queries": self.queries_in,
            **said,
        }

    def as_python(self) -> str:
        """The few lines that give this view in a notebook."""
        differs = [f for f in fields(self)[3:-2] if getattr(self, f.name) != f.default]
        options = "".join(f", {f.name}={getattr(self, f.name)!r}" for f in differs)
        return "\n".join(
            [
                "import attn_core as ac",
                "from attn_core.views.notebook import Showing",
                "from attn_core.views.view import View",
                "",
                snippets.traced(self.trace),
                f"view = View(trace, layer={self.layer}, head={self.head}{options})",
                "view.pattern  # what is shown, [query, key]",
                "Showing(view)",
            ]
        )
