"""One head, or a mean of several, arranged as the link says, and the sentences about it. No Streamlit.

head = arranged_head(trace, page)
head.pattern, head.row                # [row, column], and the row that is read aloud
head.lead()                           # the headline, as HTML
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from markupsafe import Markup

from attn_core.heads.salience import most_salient_query
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.text.pairs import Segments
from attn_core.views import headlines
from attn_core.views.arrangement import Arrangement, Span, arrange, mean_may_look, mean_name, mean_pattern, spans_within
from attn_core.views.derived_checks import arranged_check, full_pattern
from ui import words
from ui.drawing import markup

if TYPE_CHECKING:
    from attn_core.heads.measures import Bools, Floats
    from attn_core.traces.reader import TraceReader
    from attn_core.views.derived_checks import DerivedCheck
    from ui.page import Page
    from ui.server.handles import OneStreamHandle

WORDS = words.beside(__file__)
SHORTEST = 4  # tokens; in shorter texts the first one gets most of the attention because there is little else


@dataclass(frozen=True)
class ArrangedHead:
    """One head, or a `mean` ("one" for none, see `arrangement.MEANS`), and the chosen word, as the link names them."""

    trace: OneStreamHandle[Any]
    arrangement: Arrangement
    layer: int
    head: int
    mean: str
    queries_in: str  # "rows" or "columns"
    query: int  # the position of the word that is followed
    whole_words: bool = False  # whether the pieces of a word are one
    spans: tuple[Span, ...] = ()  # the phrases that are one

    @cached_property
    def pattern(self) -> Floats:
        """[row, column]; rows sum to 1."""
        return self.arrangement.pattern(mean_pattern(self.trace, self.layer, self.head, self.mean))

    @cached_property
    def may_look(self) -> Bools:
        return self.arrangement.may_look(mean_may_look(self.trace, self.layer, self.mean))

    @cached_property
    def segments(self) -> Segments | None:
        """Of a pair: its two segments and their shares of attention in this pattern; None where there is one text."""
        return self.arrangement.segments(self.pattern)

    @cached_property
    def row(self) -> int:
        """The row of the followed word or, where it is hidden with the sink, of the most salient one that is left."""
        followed = self.arrangement.row_of(self.query)
        return most_salient_query(self.pattern, self.arrangement.special) if followed is None else followed

    @property
    def is_one(self) -> bool:
        return self.mean == "one"

    @property
    def name(self) -> str:
        """What a sentence calls it: "head 0.3", "the mean of all heads"."""
        return mean_name(self.layer, self.head, self.mean)

    @property
    def short_name(self) -> str:
        """As pictures name it: "0.3", or a mean's whole name."""
        return f"{self.layer}.{self.head}" if self.is_one else self.name

    @property
    def title(self) -> str:
        heads, layers = self.trace.n_heads, self.trace.n_layers
        return WORDS.text(
            "head.titles",
            self.mean,
            layer=self.layer,
            head=self.head,
            heads=heads,
            layers=layers,
            every=layers * heads,
        )

    @property
    def positions(self) -> list[int]:
        """The position that people count, one a row: that of its first token."""
        return [place[0] for place in self.arrangement.places]

    @property
    def key_positions(self) -> list[int]:
        """The same, one a column."""
        return [place[0] for place in self.arrangement.keys.places]

    @property
    def said_positions(self) -> list[str]:
        """The positions of each row as they are said: "3", and of a phrase "3–5"."""
        return [str(position) for position in self.arrangement.positions]

    @property
    def phrases(self) -> str:
        """The phrases that are one, as plain text, "‘a fluffy blue’"; "" where there are none."""
        return ", ".join(f"‘{visible(self.arrangement.labels[row])}’" for row in self.arrangement.spans)

    @property
    def word(self) -> str:
        """The word of the chosen row as it is read."""
        return visible(self.arrangement.labels[self.row])

    @property
    def token(self) -> str:
        """The word of the chosen row and its position, for captions."""
        return WORDS.text("head.token", word=self.word, position=self.said_positions[self.row])

    @property
    def sink_name(self) -> str:
        """What the sink is called here, as plain text: "[CLS] [SEP]"."""
        return sink_name(self.trace, self.arrangement)

    def lead(self) -> Markup:
        """The page's headline; it turns with the orientation."""
        keys = self.arrangement.keys
        labels = headlines.disambiguated_labels(keys.labels, self.key_positions)
        row = (self.pattern[self.row], labels, keys.special, self.row, self.name)
        if self.queries_in == "columns":
            return markup.say(headlines.lesson(*row))
        what: Literal["word", "phrase"] = "phrase" if self.row in self.arrangement.spans else "word"
        baseline, said = self.baseline(), headlines.lead(*row, what=what)
        if baseline:
            said = [(WORDS.text("head.lead", who=capitalised(self.name), baseline=baseline), ""), *said]
        return markup.say(said)

    def why_it_rests(self) -> Markup:
        """What it means that a head rests on special tokens, where that is the headline; else nothing."""
        row, special = self.pattern[self.row], np.asarray(self.arrangement.keys.special, bool)
        rests = special.any() and np.isfinite(row).all() and float(row[special].sum()) > 0.5
        return WORDS.html("head.rests") if rests else self.sink_of_layer()

    def sink_of_layer(self) -> Markup:
        """That a layer rests on its first token, measured over all of its heads and later words; else nothing."""
        if self.trace.kind != "decoder" or len(self.trace.tokens) < SHORTEST or self.mean not in ("one", "heads"):
            return Markup()
        on_first = self.trace.patterns(self.layer)[:, 1:, 0]  # [head, later query]
        share = float(on_first.mean())
        if not share > 0.5:
            return Markup()
        word = markup.key(visible(self.trace.tokens.labels[0]))
        return WORDS.html("head.sink_of_layer", layer=self.layer, share=percent(share), word=word)

    def baseline(self) -> str:
        """What this head does whatever the words are, or ""; judged over pieces, without the sink."""
        if not self.is_one:
            return ""
        pattern = self.trace.pattern(self.layer, self.head)
        return headlines.constant_look(pattern, self.trace.may_look(self.layer), self.arrangement.keys.sink)

    def read_aloud(self) -> Markup:
        """The chosen row as a sentence."""
        row, keys = self.pattern[self.row], self.arrangement.keys
        places = [*self.said_positions, *map(str, self.key_positions[len(self.positions) :])]
        return words.together(
            markup.say(headlines.reading(row, keys.labels, places, self.row, self.name)), self.joined()
        )

    def joined(self) -> Markup:
        """That the weights of a phrase are a sum and a mean, where the row that is read has one on either side."""
        spans, row = self.arrangement.spans, self.pattern[self.row]
        asks = WORDS.html("spans.asks", n=len(self.arrangement.places[self.row])) if self.row in spans else ""
        answers = WORDS.html("spans.answers") if any(row[key] > 0 for key in spans) else ""
        return words.together(asks, answers)

    def arranged(self) -> list[DerivedCheck]:
        """The check of what is hidden, joined or averaged; nothing where the head is shown as it is."""
        own = self.arrangement
        joined = any(len(place) > 1 for place in own.keys.places)
        hidden = own.keys.sink if own.hides_sink else None
        if not (own.hides_sink or joined or not self.is_one):
            return []
        full = full_pattern(self.trace, self.layer, self.head, self.mean)
        read = (self.trace.tokens, self.trace.key_tokens)
        return [arranged_check(self.pattern, full, *read, words=self.whole_words, hidden=hidden, spans=self.spans)]

    def hint(self) -> Markup:
        """How to read the picture; the orientation turns the words too."""
        turned = self.queries_in == "columns"
        query, key = Markup('<b class="hl-q">query</b>'), Markup('<b class="hl-k">key</b>')
        name = "columns" if turned else "rows"
        how = WORDS.html("head.hint", name, query=query, key=key)
        hidden = WORDS.html("head.hidden", sink=self.sink_name) if self.arrangement.hides_sink else ""
        phrases = WORDS.html("spans.hint", phrases=self.phrases) if self.phrases else ""
        return words.together(how, self.shared_key(), hidden, phrases)

    def shared_key(self) -> str:
        """Which heads share their key and value with this one, as plain text; "" where it has its own."""
        group = self.trace.key_group(self.layer, self.head) if self.is_one else ()
        return WORDS.text("head.share_keys", first=group[0], last=group[-1]) if len(group) > 1 else ""


def arranged_head(trace: OneStreamHandle[Any], page: Page) -> ArrangedHead:
    """The head that the link's parameters name, arranged as they say."""
    state, layer, head = page.state, page.layer, page.head
    tokens, whole, said = trace.tokens, state["unit"] == "words", spans_within(state["spans"], trace.tokens)
    arrangement = arrange(
        tokens,
        trace.key_tokens,
        causal=trace.kind == "decoder",
        words=whole,
        hide_sink=state["specials"] == "hide",
        spans=said,
    )
    query = page.followed(
        tokens, lambda: most_salient_query(mean_pattern(trace, layer, head, state["mean"]), tokens.special)
    )
    return ArrangedHead(trace, arrangement, layer, head, state["mean"], state["queries"], query, whole, said)


def sink_name(trace: TraceReader, arrangement: Arrangement) -> str:
    """What the sink is called in a sentence, as plain text: "[CLS] [SEP]"."""
    keys = zip(trace.key_tokens.labels, arrangement.keys.sink, strict=True)
    labels = [visible(label) for label, rests in keys if rests]
    return " ".join(dict.fromkeys(labels))


def capitalised(name: str) -> str:
    """ "the mean of all heads" → "The mean of all heads"."""
    return name[0].upper() + name[1:]
