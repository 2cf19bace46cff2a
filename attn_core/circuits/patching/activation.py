"""Activation patching: take something from sentence A, put it into B, and see how much of the answer moves over.

    effect = (d_patched − d_B) / (d_A − d_B)

0: nothing moves; 1: all of it. d is what `answers` measures at the end of a pass. "denoising" puts A's into B and asks
what is enough to bring A's answer back; "noising" puts B's into A and asks what A's answer can't do without, as the
share of it that goes: (d_A − d_patched) / (d_A − d_B). They differ where heads stand in for each other.

Source: Vig et al. 2020; Meng et al. 2022; Wang et al. 2023; Heimersheim & Nanda 2024, "How to use and interpret
activation patching".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from attn_core.capture.patched_batches import Patch, patched_rows
from attn_core.capture.run import trace as run_trace
from attn_core.circuits.patching.contrast import Contrast, Run, contrast
from attn_core.circuits.patching.pairing import Pairs, pairs_for, taken
from attn_core.circuits.patching.table import PatchedPair, table_of_pairs
from attn_core.errors import HeadlightError
from attn_core.options import check_choice, check_flag, check_whole
from attn_core.places import OF_A_HEAD, OF_A_LAYER, Place

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.capture.model import Model
    from attn_core.traces.trace import Trace

PATCHED_PLACES = (*OF_A_LAYER, *OF_A_HEAD)
TOKENS_A_PASS = 512  # of all rows of a batch together
Progress = Callable[[int, int], None]


def patching(
    model: Model,
    a: Any,
    b: Any,
    answer: Any = None,
    *,
    position: Any = None,
    target: Any = None,
    at: str = "head",
    stream: str | None = None,
    by_position: bool | None = None,
    layer: int | None = None,
    head: int | None = None,
    direction: str = "denoising",
    batch: int | None = None,
    progress: Progress | None = None,
    run: Run = run_trace,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> pd.DataFrame:
    """Put A's tensors into B, place by place: layer, head, position, d_a, d_b, d_patched, effect.

    `answer` are two words or ids, A's and B's, of a language model (by default its own likeliest), whose logit
    difference is d; of an encoder `position`, of B, is where the vector is compared; of a translator `target` is what
    both passes read, and its log-probability is d. `at` is the place, as `ac.at` names it, at every layer and head, or
    at one `layer` and one `head`. `by_position` puts one position at a time, by default for "residual", "attention"
    and "mlp"; else all positions go at once. Positions are paired as on the page Compare; one without a partner keeps
    its own (`frame.attrs["left_out"]`).

    Lists of sentences in `a` and `b` give the mean of the effect, over `n` pairs that answer differently, and its 95 %
    interval, `low` to `high` (Student's t); by position, of pairs that are paired at the same positions. A column that
    does not apply is NA. Where A and B answer alike the effect is NaN, with a warning and in `frame.attrs["alike"]`.

    `batch` rows share a pass. `progress(done, passes)` is told how far it is; whatever it raises ends the work, as
    `attn_core.errors.Cancelled`. `run` stands in for `attn_core.trace`, and `turn` is held around each batch.
    """
    check_choice("at", at, PATCHED_PLACES)
    check_batch(batch)
    if by_position is not None:
        check_flag("by_position", by_position)
    if head is not None and at in OF_A_LAYER:
        raise ValueError(f"head= is for a place of a head, and {at!r} is one of a whole layer")
    each = at in OF_A_LAYER if by_position is None else by_position
    told = sentence_pairs(a, b, answer, position, target)
    done: list[PatchedPair] = []
    for number, (of_a, of_b, words, where, written) in enumerate(told):
        found = contrast(model, of_a, of_b, words, where, target=written, direction=direction, run=run)
        name = found.base.stream(stream).name
        pairs = pairs_for(at, found.donor, found.base, name)
        places = list(_places(found.base, at, name, pairs if each else None, layer, head))
        _refuse_other_positions(done, places, found, pairs)
        values = patched_values(
            model, found, [taken(found.donor, place, pairs) for place in places],
            batch=batch, turn=turn, progress=share_of(progress, number, len(told)),
        )  # fmt: skip
        rows = [found.row(*pair) for pair in zip(places, values, strict=True)]
        done.append(PatchedPair(found, pairs, places, rows))
    return table_of_pairs(done)


def patched_values(
    model: Model,
    contrast: Contrast,
    rows: Sequence[Patch],
    *,
    batch: int | None = None,
    progress: Progress | None = None,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[float]:
    """d of the base's sentence with every row's patch, several rows in one pass."""
    values: list[float] = []
    side = 1 if contrast.base is contrast.b else 0
    for start, size in batches(contrast.base, len(rows), batch):
        with turn():
            states = patched_rows(model, contrast.base, rows[start : start + size]).final
        values += [float(d) for d in contrast.answer.of(states.numpy(), side)]
        if progress is not None:
            progress(len(values), len(rows))
    return values


def check_batch(batch: int | None) -> None:
    """Raise TypeError or ValueError for what is no number of rows; None is as many as fit."""
    if batch is not None:
        check_whole("batch", batch, least=1)


def batches(base: Trace, n_rows: int, batch: int | None) -> Iterator[tuple[int, int]]:
    """(first row, how many) of each pass; by default as many rows as `TOKENS_A_PASS` tokens have."""
    tokens = sum(len(base.tokens_of(stream)[0]) for stream in base.streams if stream != "cross")
    size = max(1, TOKENS_A_PASS // tokens) if batch is None else batch
    return ((start, min(size, n_rows - start)) for start in range(0, n_rows, size))


def sentence_pairs(a: Any, b: Any, answer: Any, position: Any, target: Any) -> list[tuple[Any, ...]]:
    """(a, b, answer, position, target) of each pair: lists of sentences are several."""
    if not _several(a) and not _several(b):
        return [(a, b, answer, position, target)]
    if not (_several(a) and _several(b) and len(a) == len(b)):
        raise ValueError("a and b must be two sentences, or two lists of as many sentences")
    n = len(a)
    answers = answer if answer is not None and any(not isinstance(word, str | int) for word in answer) else [answer] * n
    positions = position if isinstance(position, list | tuple) else [position] * n
    targets = target if _several(target) else [target] * n
    if not len(answers) == len(positions) == len(targets) == n:
        raise ValueError(f"{n} pairs need {n} answers, positions and targets, or one for all of them")
    return list(zip(a, b, answers, positions, targets, strict=True))


def _several(text: Any) -> bool:
    """Whether it is a list of sentences; a list of numbers is one sentence."""
    return isinstance(text, list | tuple) and len(text) > 0 and isinstance(text[0], str | list | tuple)


def _places(
    base: Trace, kind: str, stream: str, pairs: Pairs | None, layer: int | None, head: int | None
) -> Iterator[Place]:
    """The places of a table in order: layers, heads, and positions where `pairs` is given."""
    own = base.stream(stream)
    positions: list[int | None] = [None] if pairs is None else [at for _, at in pairs.positions]
    for number in range(own.n_layers) if layer is None else (layer,):
        of_layer: list[int | None] = [None]
        if kind in OF_A_HEAD:
            of_layer = list(range(own.n_heads)) if head is None else [head]
        for one in of_layer:
            yield from (Place(kind, stream, number, one, at) for at in positions)


def _refuse_other_positions(done: Sequence[PatchedPair], places: list[Place], found: Contrast, pairs: Pairs) -> None:
    """Raise HeadlightError, which names the pair, where its positions are not those of the first."""
    first = done[0].pairs if done else None
    if first is not None and done[0].places != places:
        a, b = (shorten(read.stream(read.streams[0]).tokens.text, 50, placeholder=" …") for read in (found.a, found.b))
        raise HeadlightError(
            f"Pair {len(done) + 1}, “{a}” and “{b}”, has other positions than the first: {_positions(pairs)} against "
            f"{_positions(first)}. Word by word, the mean is over pairs whose words stand at the same positions."
        )


def _positions(pairs: Pairs) -> str:
    said = f"{len(pairs.base)} tokens"
    return f"{said} ({len(pairs.positions)} of them in pairs)" if pairs.alone else said


def share_of(progress: Progress | None, number: int, of: int) -> Progress | None:
    """Progress over several pairs, each of which counts its own passes."""
    return None if progress is None else lambda done, passes: progress(number * passes + done, of * passes)
