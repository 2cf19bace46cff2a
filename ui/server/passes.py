"""Forward passes for everybody: a few at a time on the machine, and each result made once and shared.

    passes.trace(model, "a sentence")        # one forward pass, or the one that somebody ran before
    passes.run_uncached(model, "a sentence") # a pass that nobody will ask for again

Who waits too long for a place gets `Busy`, a clear sentence instead of a page that hangs.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attn_core.errors import HeadlightError, TextWasCut
from ui.server import shared
from ui.server.cache import CROWDED, Busy, address_of_page, frozen, key_of
from ui.server.handles import ModelHandle, TraceHandle

if TYPE_CHECKING:
    from attn_core import Model
    from attn_core.prediction.translation import Written
    from attn_core.text.tokens import Tokens
    from attn_core.traces.parts import ScoreParts, Writer
    from attn_core.traces.trace import Trace

T = TypeVar("T")
log = logging.getLogger("headlight")
warnings.simplefilter("ignore", TextWasCut)  # pages say themselves what was cut


class Place(Protocol):
    """A lock, or a semaphore: what a thread waits for and gives back."""

    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...

    def release(self) -> None: ...


# What is read: two are a pair, and None is nothing, where `messages=` takes its place.
Text = str | list[int] | tuple[str, str] | tuple[list[int], list[int]] | None


def trace(loaded: ModelHandle, text: Text, **options: Any) -> TraceHandle:
    """A handle of the trace of a text (or pair, or token ids) through a model; `options` go to `attn_core.trace`.

    Raises Busy when the queue is too long, and what `attn_core.trace` raises.
    """
    key = (key_of(loaded), frozen(text), frozen(options))
    return TraceHandle.of(shared.get_or_compute(key, partial(_run, loaded, text, options)))


def trace_all(loaded: ModelHandle, texts: Sequence[str]) -> None:
    """Have the traces of several sentences kept, those that are not yet from one pass: three cost half of three passes.

    What cannot be read together is left to `trace`, which then says why.
    """
    keys = {text: _plain_key(loaded, text) for text in texts}
    missing = [text for text, key in keys.items() if shared.STATE.traces.get(key) is None]
    if len(missing) > 1:
        with suppress(HeadlightError):
            shared.get_or_compute(keys[missing[0]], partial(_together, loaded, missing))


def _together(loaded: ModelHandle, texts: Sequence[str]) -> Trace:
    """The first of several traces from one pass; the others are kept."""
    import attn_core as ac

    first, *others = _in_turn(loaded, lambda: list(ac.trace_many(loaded.value(), texts)))
    for text, made in zip(texts[1:], others, strict=True):
        shared.STATE.traces.put(_plain_key(loaded, text), made, made.n_bytes)
    return first


def trace_beside(loaded: ModelHandle, text: Text, heads: Sequence[tuple[int, int]], **read: Any) -> None:
    """Have the trace of a text kept, and those of its tokens without one head each, all from one pass.

    `read` are options of `attn_core.trace` about how the text is read. Where the trace is there already nothing is
    done, and what cannot be read together is left to `trace` and `trace_again`.
    """
    if loaded.kind != "encoder-decoder":
        with suppress(HeadlightError, IndexError):
            shared.get_or_compute(_plain_key(loaded, text, **read), partial(_beside, loaded, text, heads, read))


def _beside(loaded: ModelHandle, text: Text, heads: Sequence[tuple[int, int]], read: dict[str, Any]) -> Trace:
    """The plain trace; those without a head are kept."""
    from attn_core.heads.ablation import run_without_each

    plain, *changed = _in_turn(loaded, lambda: run_without_each(loaded.value(), text, heads, **read))
    for head, made in zip(heads, changed, strict=True):
        key = _changed_key(loaded, plain, {"without": [head]})
        shared.STATE.traces.put(key, made, made.n_bytes)
    return plain


def _changed_key(loaded: ModelHandle, plain: TraceHandle | Trace, changes: Mapping[str, object]) -> Hashable:
    """By ids, and in a chat by who said them: the same ids may be typed without a template."""
    source = plain.tokens.as_ids if plain.kind != "encoder-decoder" else plain.stream("encoder").tokens.ids
    messages = () if plain.kind == "encoder-decoder" else plain.tokens.messages
    return key_of(loaded), frozen(source), messages, frozen(changes)


def _plain_key(loaded: ModelHandle, text: Text, **read: Any) -> Hashable:
    return key_of(loaded), frozen(text), frozen(read)


def trace_again(loaded: ModelHandle, plain: TraceHandle, **changes: Any) -> TraceHandle:
    """A handle of the same tokens once more with something changed; `changes` go to `attn_core.trace`.

    Nothing below the first change is computed again, see `attn_core.capture.again`.
    """
    source, target = sentences_of(plain)
    key = _changed_key(loaded, plain, {**target, **changes})
    return TraceHandle.of(shared.get_or_compute(key, partial(_run, loaded, source, changes, plain)))


def run_uncached(loaded: ModelHandle, text: Text, **options: Any) -> Trace:
    """As `trace`, for a pass that nobody will ask for again: it takes its turn, and is not kept."""
    return _run(loaded, text, options)


def read_uncached(loaded: ModelHandle, texts: Sequence[str | tuple[str, str]]) -> list[Trace]:
    """The traces of a batch of sentences, or of (source, target) pairs, in one turn; they are not kept."""
    from attn_core.study.run import read_batch

    return _in_turn(loaded, lambda: list(read_batch(loaded.value(), texts)))


def scores_without(
    trace: Trace,
    loaded: ModelHandle,
    parts: ScoreParts,
    writers: Sequence[Writer],
    *,
    progress: Callable[[float], object],
) -> list[float]:
    """A score of a trace in passes with nothing where one writer wrote, in one turn; for `shared.memoize`."""
    from attn_core.circuits import explanation

    def told(done: int) -> None:
        progress(done / len(writers))

    return _in_turn(loaded, lambda: explanation.scores_without(loaded.value(), trace, parts, writers, progress=told))


def run_again_uncached(loaded: ModelHandle, plain: TraceHandle, **changes: Any) -> Trace:
    """As `trace_again`, for a pass that nobody will ask for again."""
    return _run(loaded, sentences_of(plain)[0], changes, plain)


def sentences_of(trace: TraceHandle) -> tuple[Text, dict[str, list[int]]]:
    """The ids that a trace read, of a pair those of both, and of an encoder-decoder's target as an option of a pass."""
    if trace.kind != "encoder-decoder":
        return trace.tokens.as_ids, {}
    return trace.stream("encoder").tokens.ids, {"target": trace.stream("decoder").tokens.ids}


def translated(loaded: ModelHandle, source: Tokens) -> Written:
    """A translator's own translation, written once for everybody; word by word, it is one long pass."""
    return shared.memoize(loaded, _translated, loaded, source)


def _translated(_: Model, loaded: ModelHandle, source: Tokens) -> Written:
    from attn_core.prediction import translation

    return _in_turn(loaded, lambda: translation.greedy(loaded.value(), source))


def _run(loaded: ModelHandle, text: Text, options: dict[str, Any], plain: TraceHandle | None = None) -> Trace:
    """One pass, when it is its turn; with `plain`, the tokens of that trace once more, changed."""
    import attn_core as ac  # it takes a second or two, and the first screen needs no model
    from attn_core.heads import ablation

    if plain is None:
        return _in_turn(loaded, lambda: ac.trace(loaded.value(), text, **options))
    before = plain.value()  # brought back, where it must be, before it is our turn: that takes a turn, too
    return _in_turn(loaded, lambda: ablation.runner(loaded.value(), before)(**options))


def _in_turn(loaded: ModelHandle, compute: Callable[[], T]) -> T:
    """What a pass gives, once it is its turn; how long it waited and took goes into the log."""
    came = time.perf_counter()
    with in_turn(loaded):
        began = time.perf_counter()
        result = compute()
    ended = time.perf_counter()
    numbers = {"model": loaded.name, "waited_s": round(began - came, 4), "pass_s": round(ended - began, 4)}
    numbers |= {"traces_kept": len(shared.STATE.traces), "bytes": getattr(result, "n_bytes", 0)}
    log.info("forward pass", extra={"numbers": numbers})
    return result


@contextmanager
def in_turn(loaded: ModelHandle) -> Iterator[None]:
    """Hold a place of the queue for work of a model, be it a trace or one word of those that it writes.

    Waits for the model and for one of the machine's few places, but not for ever, and not behind too many others.
    """
    state, wait = shared.STATE, shared.STATE.longest_wait
    with place(state.queue, 0), _in_line(loaded), place(state.passes, wait):
        yield


@contextmanager
def _in_line(loaded: ModelHandle) -> Iterator[None]:
    """Hold the model, for which addresses take turns."""
    with ExitStack() as held:
        try:
            line = shared.STATE.line(loaded.name, side_by_side=loaded.side_by_side)
            held.enter_context(line.place(address_of_page(), shared.STATE.longest_wait))
        except Busy:
            _note_busy()
            raise
        yield


@contextmanager
def place(lock: Place, longest_wait: float, said: str = CROWDED) -> Iterator[None]:
    """Hold a lock, or a place of a semaphore, after at most so many seconds; Busy says `said` where none came free."""
    if not lock.acquire(timeout=longest_wait) if longest_wait else not lock.acquire(blocking=False):
        _note_busy()
        raise Busy(said)
    try:
        yield
    finally:
        lock.release()


def _note_busy() -> None:
    log.info("busy", extra={"numbers": {"traces_kept": len(shared.STATE.traces)}})
