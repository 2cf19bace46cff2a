"""Activation patching: take something from sentence A, put it into B, and see how much of the answer moves over.

    effect = (d_patched − d_B) / (d_A − d_B)

0: nothing moves; 1: all of it. d is what `answers` measures at the end of a pass. "denoising" puts A's into B and asks
what is enough to bring A's answer back; "noising" puts B's into A and asks what A's answer can't do without, as the
share of it that goes: (d_A − d_patched) / (d_A − d_B). They differ where heads stand in for each other.

Source: Vig et al. 2020; Meng et al. 2022; Wang et al. 2023; Heimersheim & Nanda 2024, "How to use and interpret
activation patching".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.capture.patched_batches import Patch, patched_rows
from attn_core.capture.run import trace as run_trace
from attn_core.circuits.patching.answers import Answer, LogitDifference, NearerTo, Word, answer_of
from attn_core.circuits.patching.pairing import Pairs, pairs_for, taken
from attn_core.errors import HeadlightError
from attn_core.places import OF_A_HEAD, OF_A_LAYER, Place
from attn_core.tolerances import SAME_DIRECTION

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.capture.model import Model
    from attn_core.traces.trace import Trace

KINDS = (*OF_A_LAYER, *OF_A_HEAD)
DIRECTIONS = ("denoising", "noising")
ALIKE = 0.1  # of the larger d: two sentences that answer more alike have no effect to share out
TOKENS_A_PASS = 512  # of all rows of a batch together
COLUMNS = ["layer", "head", "position", "d_a", "d_b", "d_patched", "effect"]
Progress = Callable[[int, int], None]
Run = Callable[..., "Trace"]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two sentences, what is measured of them, and which of them is changed: `donor`'s tensors go into `base`."""

    a: Trace
    b: Trace
    answer: Answer
    direction: str
    d_a: float
    d_b: float

    @property
    def donor(self) -> Trace:
        return self.a if self.direction == "denoising" else self.b

    @property
    def base(self) -> Trace:
        return self.b if self.direction == "denoising" else self.a

    @property
    def alike(self) -> str:
        """Why there is no effect to share out, as a sentence; "" where there is one."""
        apart, larger = abs(self.d_a - self.d_b), max(abs(self.d_a), abs(self.d_b))
        same = isinstance(self.answer, NearerTo) and apart <= 2 * SAME_DIRECTION
        if apart >= ALIKE * larger and apart > 0 and not same:
            return ""
        return (
            f"A and B answer alike (d is {self.d_a:.3g} for A and {self.d_b:.3g} for B), so there is no difference to "
            "share out: the effect is NaN. Choose words or sentences that differ more."
        )

    def effect(self, patched: float) -> float:
        """How much of the difference moved over, 0 to 1; NaN where there is none."""
        if self.alike:
            return float("nan")
        before, after = (self.d_b, self.d_a) if self.direction == "denoising" else (self.d_a, self.d_b)
        return (patched - before) / (after - before)

    def row(self, place: Place, patched: float) -> tuple[Any, ...]:
        """One row of the table, by `COLUMNS`."""
        return place.layer, place.head, place.position, self.d_a, self.d_b, patched, self.effect(patched)


def contrast(
    model: Model,
    a: Any,
    b: Any,
    answer: Sequence[Word] | None = None,
    position: int | None = None,
    *,
    target: Any = None,
    direction: str = "denoising",
    run: Run = run_trace,
) -> Contrast:
    """Read two sentences and what they answer. Raises ValueError or HeadlightError, with a sentence, for bad input."""
    if direction not in DIRECTIONS:
        raise ValueError(f'direction must be "denoising" or "noising", got {direction!r}')
    if model.reads_sound:
        raise HeadlightError(f"{model.name} listens to speech; patching reads two sentences.")
    given = {} if target is None else {"target": target}
    read_a, read_b = (run(model, text, **given) for text in (a, b))
    measured = answer_of(model, read_a, read_b, answer, position)
    end = "decoder" if read_b.kind == "encoder-decoder" else "self"
    d_a, d_b = (
        float(measured.of(read.stream(end).final_embedding()[None], side)[0])
        for side, read in enumerate((read_a, read_b))
    )
    return Contrast(read_a, read_b, measured, direction, d_a, d_b)


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
    interval, `low` to `high` (Student's t). A column that does not apply is NA. Where A and B answer alike the effect
    is NaN, with a warning and in `frame.attrs["alike"]`.

    `batch` rows share a pass. `progress(done, passes)` is told how far it is; whatever it raises ends the work, as
    `attn_core.errors.Cancelled`. `run` stands in for `attn_core.trace`, and `turn` is held around each batch.
    """
    if at not in KINDS:
        raise ValueError(f"at must be one of {', '.join(KINDS)}; got {at!r}")
    each = at in OF_A_LAYER if by_position is None else by_position
    told = _sentences(a, b, answer, position, target)
    tables: list[tuple[Contrast, Pairs, list[Place], list[tuple[Any, ...]]]] = []
    for number, (of_a, of_b, words, where, written) in enumerate(told):
        found = contrast(model, of_a, of_b, words, where, target=written, direction=direction, run=run)
        name = found.base.stream(stream).name
        pairs = pairs_for(at, found.donor, found.base, name)
        places = list(_places(found.base, at, name, pairs if each else None, layer, head))
        _refuse_other_rows(tables, places)
        values = patched_values(
            model, found, [taken(found.donor, place, pairs) for place in places],
            batch=batch, turn=turn, progress=_share_of(progress, number, len(told)),
        )  # fmt: skip
        tables.append((found, pairs, places, [found.row(*pair) for pair in zip(places, values, strict=True)]))
    return _table(tables)


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


def batches(base: Trace, n_rows: int, batch: int | None) -> Iterator[tuple[int, int]]:
    """(first row, how many) of each pass; by default as many rows as `TOKENS_A_PASS` tokens have."""
    tokens = sum(len(base.tokens_of(stream)[0]) for stream in base.streams if stream != "cross")
    size = max(1, TOKENS_A_PASS // tokens) if batch is None else batch
    if size < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    return ((start, min(size, n_rows - start)) for start in range(0, n_rows, size))


def _sentences(a: Any, b: Any, answer: Any, position: Any, target: Any) -> list[tuple[Any, ...]]:
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


def _refuse_other_rows(tables: Sequence[tuple[Any, ...]], places: list[Place]) -> None:
    if tables and tables[0][2] != places:
        raise HeadlightError("These pairs have different positions: by position, all pairs need as many tokens.")


def _share_of(progress: Progress | None, number: int, of: int) -> Progress | None:
    """Progress over several pairs, each of which counts its own passes."""
    return None if progress is None else lambda done, passes: progress(number * passes + done, of * passes)


def _table(tables: Sequence[tuple[Contrast, Pairs, list[Place], list[tuple[Any, ...]]]]) -> pd.DataFrame:
    frame = table_of(tables[0][3]) if len(tables) == 1 else _means([rows for *_, rows in tables])
    contrasts = [found for found, *_ in tables]
    frame.attrs["direction"], frame.attrs["measures"] = contrasts[0].direction, contrasts[0].answer.says
    frame.attrs["alike"] = list(dict.fromkeys(found.alike for found in contrasts if found.alike))
    frame.attrs["left_out"] = [said for _, pairs, *_ in tables if (said := pairs.left_out())]
    frame.attrs["words"] = [f.answer.names for f in contrasts if isinstance(f.answer, LogitDifference)]
    for said in frame.attrs["alike"]:
        warnings.warn(said, stacklevel=3)
    return frame


def table_of(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows as a table; layer, head and position are whole numbers, NA where they do not apply."""
    import pandas as pd

    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[:3], "Int64"))


def _means(pairs: Sequence[list[tuple[Any, ...]]]) -> pd.DataFrame:
    """Means over pairs, of the effect with its interval; pairs that answer alike have no effect and are not in `n`."""
    numbers = np.array([[row[3:] for row in rows] for rows in pairs], dtype=float)  # [pair, row, number]
    means = numbers.mean(axis=0)
    effects = numbers[~np.isnan(numbers[:, 0, 3]), :, 3]  # [pair that answers differently, row]
    n = len(effects)
    mean = effects.mean(axis=0) if n else np.full(len(means), np.nan)
    half = half_interval(effects)
    frame = table_of([(*row[:3], *own[:3], effect) for row, own, effect in zip(pairs[0], means, mean, strict=True)])
    return frame.assign(n=n, low=mean - half, high=mean + half)


def half_interval(effects: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Half the 95 % interval of the mean over pairs, [pair, row] → [row], by Student's t; NaN for fewer than two."""
    from scipy.stats import t

    n = len(effects)
    if n < 2:
        return np.full(effects.shape[1], np.nan)
    half: np.ndarray[Any, Any] = t.ppf(0.975, n - 1) * effects.std(axis=0, ddof=1) / np.sqrt(n)
    return half
