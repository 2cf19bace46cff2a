"""What every snippet begins with: the lines that import, load and trace, as a page read them.

What a visitor typed goes through `repr`, so it can be nothing but a string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attn_core.traces.changes import model_in_python

if TYPE_CHECKING:
    from attn_core.traces.reader import Readable


@runtime_checkable
class HasNumberType(Protocol):
    """A live trace, which says in which number type its model computed; what is recorded is float32."""

    @property
    def precision(self) -> str: ...


def script(imports: Sequence[str], *lines: str) -> str:
    """A script: what it imports, an empty line, and its lines."""
    return "\n".join(["import attn_core as ac", *imports, "", *lines])


def traced(trace: Readable, name: str = "trace") -> str:
    """The line that makes a trace: its model, and the sentence or both of a translation."""
    return f"{name} = ac.trace({loaded(trace)}, {arguments(trace)})"


def loaded(trace: Readable) -> str:
    """The model of a trace, as it is loaded."""
    read = trace.stream("decoder" if trace.kind == "encoder-decoder" else None)
    dtype = read.precision if isinstance(read, HasNumberType) else "float32"
    return model_in_python(trace.model_name, trace.wrapped, dtype)


def arguments(trace: Readable, changed: bool = True) -> str:
    """What a trace read, as arguments of `ac.trace`: one sentence, or the source and the target of a translation, as
    they were given, text or ids; then where they were cut, and if `changed` what was changed."""
    changes = trace.changes.as_python() if changed else ""
    both = trace.kind == "encoder-decoder"
    read = [trace.stream(side).tokens for side in (("encoder", "decoder") if both else (None,))]
    if any(tokens.from_inputs for tokens in read):
        return f"inputs=inputs{changes}"  # what the tokenizer gave, which no trace keeps
    given = [name + tokens.as_python() for name, tokens in zip(("", "target="), read, strict=False)]
    is_typed = read[0].frame == "typed"
    given += ["frame='typed'"] if is_typed else []
    cut_at = [len(tokens) for tokens in read if tokens.dropped]
    given += [f"limit={max(cut_at)}"] if cut_at else []
    return ", ".join(given) + changes


def stream_of(name: str) -> str:
    """One stream of a trace as a value; a model that has one stream needs no name."""
    return "trace.stream()" if name == "self" else f"trace.stream({name!r})"


def and_stream(name: str) -> str:
    """The same as one more argument."""
    return "" if name == "self" else f", stream={name!r}"
