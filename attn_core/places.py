"""Where a pass can be patched: `ac.at` names the places, `ac.trace(…, patch={place: what is put there})` uses them.

A place is a tensor of one layer, of one head of it or of the whole layer, at all positions or at one. In the order in
which a block computes them:

    residual(l)        E, the stream that enters layer l, or with l = n_layers leaves the last   [token, d_model]
    query(l, h)        as it is scored, after any rotation                                       [query, d_head]
    key, value(l, h)   of this head alone, also where heads of one group share them              [key, d_head]
    pattern(l, h)      the weights; every row sums to 1                                          [query, key]
    head(l, h)         pattern · value, before W_O                                               [query, d_head]
    attention(l)       what attention adds to the stream, after any norm of its own              [query, d_model]
    after_attention(l) the stream behind it, in post-norm blocks after their LayerNorm           [query, d_model]
    mlp(l)             what the MLP adds to the stream                                           [token, d_model]
    memory()           what "cross" reads of an encoder, after any final norm                    [key, d_model]
"""

from __future__ import annotations

from typing import NamedTuple

OF_A_HEAD = ("query", "key", "value", "pattern", "head")
OF_A_LAYER = ("residual", "attention", "mlp")
OF_A_STREAM = (*OF_A_LAYER, "after_attention", "memory")  # everything that is of no single head


class Place(NamedTuple):
    """One place of a pass; `position` is a row of its tensor, None all of them. Made by `ac.at`.

    >>> print(at.mlp(2, position=4), "and", at.query(0, 3, stream="cross"))
    mlp 2 at position 4 and query of cross head 0.3
    """

    kind: str
    stream: str
    layer: int
    head: int | None = None
    position: int | None = None

    def __str__(self) -> str:
        """In words, for captions."""
        stream = "" if self.stream == "self" else f"{self.stream} "
        if self.kind in _IN_WORDS:
            said = f"{stream}{_IN_WORDS[self.kind].format(layer=self.layer)}"
        elif self.head is None:
            said = f"{stream}{self.kind} {self.layer}"
        else:
            name = f"{stream}head {self.layer}.{self.head}"
            said = name if self.kind == "head" else f"{self.kind} of {name}"
        return said if self.position is None else f"{said} at position {self.position}"

    def as_python(self) -> str:
        """The call that makes it.

        >>> at.pattern(1, 2, position=0).as_python()
        'ac.at.pattern(1, 2, position=0)'
        """
        given = [] if self.kind == "memory" else [str(self.layer)]
        given += [] if self.head is None else [str(self.head)]
        given += [] if self.position is None else [f"position={self.position}"]
        given += [] if self.stream == "self" else [f"stream={self.stream!r}"]
        return f"ac.at.{self.kind}({', '.join(given)})"

    @property
    def tensor(self) -> Place:
        """The same place at all positions."""
        return self._replace(position=None)


_IN_WORDS = {
    "residual": "stream entering layer {layer}",
    "after_attention": "stream after attention of layer {layer}",
    "memory": "output",
}


class at:
    """The places of a pass: `ac.at.head(0, 3)`, `ac.at.mlp(2, position=4)`, `ac.at.residual(5, stream="decoder")`.

    An encoder-decoder needs `stream`. Whether a model has the place is checked when it is used.
    """

    @staticmethod
    def residual(layer: int, *, position: int | None = None, stream: str = "self") -> Place:
        """E, the residual stream that enters a layer, or with `n_layers` leaves the last one: [token, d_model]."""
        return Place("residual", stream, layer, None, position)

    @staticmethod
    def attention(layer: int, *, position: int | None = None, stream: str = "self") -> Place:
        """What attention adds to the residual stream, bias and any norm after it included: [query, d_model]."""
        return Place("attention", stream, layer, None, position)

    @staticmethod
    def after_attention(layer: int, *, position: int | None = None, stream: str = "self") -> Place:
        """The stream between attention and MLP, after its LayerNorm in post-norm blocks: [query, d_model].

        No parallel block has one.
        """
        return Place("after_attention", stream, layer, None, position)

    @staticmethod
    def mlp(layer: int, *, position: int | None = None, stream: str = "self") -> Place:
        """What the MLP adds to the residual stream: [token, d_model]."""
        return Place("mlp", stream, layer, None, position)

    @staticmethod
    def memory(*, position: int | None = None, stream: str = "encoder") -> Place:
        """What an encoder ends with, after any final norm, and every layer of "cross" reads: [key, d_model]."""
        return Place("memory", stream, 0, None, position)

    @staticmethod
    def head(layer: int, head: int, *, position: int | None = None, stream: str = "self") -> Place:
        """What a head gives: its pattern · value, before W_O mixes the heads: [query, d_head]."""
        return Place("head", stream, layer, head, position)

    @staticmethod
    def query(layer: int, head: int, *, position: int | None = None, stream: str = "self") -> Place:
        """A head's queries as they are scored, after any rotation: [query, d_head]."""
        return Place("query", stream, layer, head, position)

    @staticmethod
    def key(layer: int, head: int, *, position: int | None = None, stream: str = "self") -> Place:
        """A head's keys as they are scored; other heads of its group keep theirs: [key, d_head]."""
        return Place("key", stream, layer, head, position)

    @staticmethod
    def value(layer: int, head: int, *, position: int | None = None, stream: str = "self") -> Place:
        """The values that a head mixes; other heads of its group keep theirs: [key, d_head]."""
        return Place("value", stream, layer, head, position)

    @staticmethod
    def pattern(layer: int, head: int, *, position: int | None = None, stream: str = "self") -> Place:
        """A head's attention pattern, or with `position` one query's row of it: [query, key]; rows sum to 1."""
        return Place("pattern", stream, layer, head, position)
