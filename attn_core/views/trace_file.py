"""A trace that was kept as a file, as a view of the app: its sentence, which its model reads anew there."""

from __future__ import annotations

from typing import NamedTuple

from attn_core.capture.model import Model
from attn_core.errors import HeadlightError
from attn_core.traces.saved.contents import weights_hash
from attn_core.traces.saved.reading import from_bytes
from attn_core.traces.trace import Trace
from attn_core.views.view import View


class KeptView(NamedTuple):
    """Where a kept trace is shown: a page and its link; and the SHA-256 of its model's weights, where it says so."""

    page: str
    link: dict[str, str]
    model: str
    text: str
    weights: str | None


def weights_of(model: Model) -> str:
    """What `KeptView.weights` is held against: of the model that reads the sentence anew."""
    return weights_hash(model.hf)


def view_of(content: bytes) -> KeptView:
    """The page that shows what `Trace.save` wrote, and the link's parameters. No pattern is computed for that.

    Raises HeadlightError, in one sentence, for a file that is foreign, cut, damaged or too large, and for a trace whose
    model or input no link can say.
    """
    opened = from_bytes(content)
    trace = Trace.of_file(opened)
    made = _beyond_a_link(trace)
    if made:
        raise HeadlightError(
            f"This trace was made {made}, which no page can repeat: open it with ac.open_trace in Python."
        )
    view = View(trace) if trace.streams == ("self",) else _translation(trace)
    text = trace.stream(trace.streams[0]).tokens.text
    return KeptView(view.opens, view.address(), trace.model_name, text, opened.about.weights)


def _beyond_a_link(trace: Trace) -> str:
    """How a trace was made that only Python can make again; "" where a link says it."""
    read = [trace.stream(name).tokens for name in trace.streams]
    if trace.wrapped:
        return "with a model of your own"
    if any(tokens.from_ids or tokens.from_inputs for tokens in read):
        return "of ids or of inputs made ready"
    return "" if all(tokens.text for tokens in read) else "of something that was not typed"


def _translation(trace: Trace) -> View:
    """What one sentence reads of the other, on the translator's page."""
    source, target = (trace.stream(name).tokens.text for name in ("encoder", "decoder"))
    link = {"v": "1", "model": trace.model_name, "text": source, "target": target}
    return View(trace, stream="cross", page="cross_attention", link=link)
