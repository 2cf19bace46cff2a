"""Open a saved trace again, with its model or without."""

from __future__ import annotations

from pathlib import Path

from attn_core.capture.model import Model
from attn_core.capture.run import source_of
from attn_core.errors import HeadlightError
from attn_core.traces import saved
from attn_core.traces.trace import Trace


def open_trace(path: str | Path, model: Model | None = None) -> Trace:
    """The trace that `trace.save(path)` wrote.

    Without a model it has its patterns, scores and residual stream, and ΔE where it was saved `with_output`; what needs
    more raises NoModel. With the model, everything is as it was; a model with other weights is refused. Raises
    HeadlightError, in one sentence, for a file that is not there, foreign, cut, damaged or too large.
    """
    file = Path(path)
    try:
        if file.stat().st_size > saved.MOST_BYTES:
            raise HeadlightError(f"{file.name} is larger than any saved trace that is opened.")
        data = file.read_bytes()
    except OSError as error:
        raise HeadlightError(f"{file.name} cannot be read: {error.strerror or error}.") from None
    opened = saved.from_bytes(data)
    if model is None:
        return Trace.of_file(opened)
    trace = Trace.of_file(opened, source_of(model))
    _refuse_another(trace, opened.about, model)
    return trace


def _refuse_another(trace: Trace, about: saved.About, model: Model) -> None:
    """Raise HeadlightError where a model is not the one that a trace was made with, as far as the file knows."""
    if about.weights is not None and about.weights != saved.weights_hash(model.hf):
        raise HeadlightError(f"This trace was made with other weights of {about.name} than those of {model.name}.")
    modules = {name for name, _ in model.hf.named_modules()}
    named = {tap.module for layer in trace._all_layers() for tap in layer.site.taps}
    if not named | {layer.site.output.module for layer in trace._all_layers()} <= modules:
        raise HeadlightError(f"This trace was made with a model that is built in another way than {model.name}.")
