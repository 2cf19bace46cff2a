"""What the page Why there? says of a score: its headline, by the rule of `single_pair`. No Streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from attn_core.circuits import explanation
from attn_core.circuits.explanation import Pair
from attn_core.text.numbers import signed
from attn_core.traces.parts import Writer
from ui import words
from ui.drawing import markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)
MOST_PAIRS = 3  # that the headline names


def headline(asked: AskedScore) -> Markup:
    """Why the score is what it is: one pair where one explains it, else the largest after grouping by layer."""
    start, pair = _start(asked), explanation.single_pair(asked.parts)
    if pair is not None:
        return WORDS.html("lead.single", start=start, pair=_met(asked, pair))
    largest = explanation.grouped(asked.parts).largest(MOST_PAIRS)
    if not largest:
        return WORDS.html("lead.nothing", start=start)
    said = [_item(found) for found in largest]
    listed = f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else said[0]
    return WORDS.html("lead.several", start=start, pairs=listed)


def _start(asked: AskedScore) -> Markup:
    against = asked.against
    compared = "mean" if against == "mean" else "zero" if against is None else "key"
    sign = "more" if asked.parts.score >= 0 else "less"
    other = markup.key(markup.token_name(asked.viewed.keys.labels, against)) if isinstance(against, int) else ""
    than = WORDS.html("lead.than", f"{compared}_{sign}", other=other)
    score = f"{abs(asked.parts.score):.2f}"
    query, key = markup.query(asked.word("q")), markup.key(asked.word("k"))
    return WORDS.html("lead.more", head=asked.viewed.name, query=query, key=key, score=score, than=than)


def _met(asked: AskedScore, pair: Pair) -> Markup:
    if pair.key is None:
        return WORDS.html("lead.alone", pair.query.replace(" ", "_"))
    query = _who(asked.parts.query_writers, pair.query, markup.query(asked.word("q")))
    key = _who(asked.parts.key_writers, pair.key, markup.key(asked.word("k")))
    return WORDS.html("lead.met", query_writer=query, key_writer=key)


def _who(writers: Sequence[Writer], name: str, word: Markup) -> Markup:
    writer = next(each for each in writers if each == name)
    layer = "" if writer.layer is None else writer.layer
    return WORDS.html("writer", writer.kind, name=name, layer=layer, word=word)


def _item(pair: Pair) -> str:
    """A pair of groups as it stands in a list, plain text."""
    if pair.key is None:
        return WORDS.text("lead.item_bias", name=pair.query, part=signed(pair.part))
    return WORDS.text("lead.item", query=pair.query, key=pair.key, part=signed(pair.part))
