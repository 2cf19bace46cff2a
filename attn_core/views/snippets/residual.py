"""Lines of Python for the residual stream: what a layer adds to a token, and the senses of a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attn_core.views.snippets.traced import and_stream, script, stream_of, traced

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable


def decomposition(trace: Readable, stream: str, block: str, layer: int, head: int, token: int) -> str:
    """ΔE: all that one layer adds to one token, where a head's part came from, and its full vectors.

    `block` is the stream whose blocks are followed: a decoder's holds its cross-attention, too.
    """
    return script(
        ["from attn_core.residual import decomposition"],
        traced(trace),
        f"block = decomposition.decompose_block({stream_of(block)}, {layer}, {token})",
        "{part.name: part.vector for part in block.parts}  # they add up to block.next_embedding",
        f"sources = decomposition.sources({stream_of(stream)}, {layer}, {head}, {token})",
        "sources.weights, sources.lengths, sources.along  # by source token",
        f"delta = trace.delta_e({layer}, {head}{and_stream(stream)})  # [token, d_model]",
    )


def senses(model: str, word: str, sentences: Mapping[str, tuple[str, Sequence[int]]], pair: tuple[str, str]) -> str:
    """Word senses: `sentences` gives each letter its sentence and the word's pieces; a `pair` is compared by heads."""
    spelt = "".join(f"    {letter!r}: ({text!r}, {list(pieces)!r}),\n" for letter, (text, pieces) in sentences.items())
    return script(
        ["from attn_core.residual import senses"],
        f"model = ac.load({model!r})",
        f"sentences = {{  # the pieces of {word!r}\n{spelt}}}",
        "found = {name: senses.read(ac.trace(model, text), pieces) for name, (text, pieces) in sentences.items()}",
        "cosines = senses.cosines_by_layer([one.route for one in found.values()])  # [pair, layer + 1]",
        f"separation = senses.separation(found[{pair[0]!r}], found[{pair[1]!r}])",
        "separation.heads  # [layer, head]",
    )
