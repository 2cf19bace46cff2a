"""Open a saved trace again, with its model or without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attn_core.capture.assembling import source_of
from attn_core.capture.model import Model, model_of
from attn_core.errors import HeadlightError
from attn_core.traces.saved import contents, reading
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace


def open_trace(path: str | Path, model: Model | str | Path | None = None) -> Trace:
    """The trace that `trace.save(path)` wrote.

    Without a model it has its patterns, scores and residual stream, and ΔE where it was saved `with_output`; what needs
    more raises NoModel. With the model, everything is as it was; a model with other weights is refused. Raises
    HeadlightError, in one sentence, for a file that is not there, foreign, cut, damaged or too large.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_file():  # a folder; or a device or a pipe, which may have no end
            raise HeadlightError(f"{file.name} cannot be read: it is no file.")
        if file.stat().st_size > contents.MOST_BYTES:
            raise HeadlightError(f"{file.name} is larger than any saved trace that is opened.")
        opened = reading.from_file(file)
    except OSError as error:
        raise HeadlightError(f"{file.name} cannot be read: {error.strerror or error}.") from None
    if model is None:
        return Trace.of_file(opened)
    model = model_of(model)
    trace = Trace.of_file(opened, source_of(model))
    _refuse_another(trace, opened.about, model)
    return trace


def _refuse_another(trace: Trace, about: contents.About, model: Model) -> None:
    """Raise HeadlightError where a model is not the one that a trace was made with, as far as the file knows."""
    if about.weights is not None and about.weights != contents.weights_hash(model.hf):
        raise HeadlightError(f"This trace was made with other weights of {about.name} than those of {model.name}.")
    modules = {name for name, _ in model.hf.named_modules()}
    if not {name for stream in trace._streams.values() for name in _modules_of(stream)} <= modules:
        raise HeadlightError(f"This trace was made with a model that is built in another way than {model.name}.")


def _modules_of(stream: StreamTrace) -> Iterator[str]:
    """The names of all modules of a model that readers of a stream ask for."""
    if stream._final_norm is not None:
        yield stream._final_norm
    for site in (layer.site for layer in stream._layers):
        yield from (tap.module for tap in site.taps)
        yield from (site.output.module, *site.to_x, *site.to_mlp)
        yield from (part.linear.module for part in (site.query, site.key, site.value) if part is not None)
