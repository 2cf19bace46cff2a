"""Timing by turns, and results as a table on screen and in `benchmarks/results/`."""

from __future__ import annotations

import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
Row = Mapping[str, object]


def by_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, taken by turns, so that a busy machine is as hard on one as on the other."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def by_turns_cpu(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each way, the median over rounds; each round begins with another way, and a result is let go
    outside the clock. With one thread this is what a way costs, whoever else is busy on the machine."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for name in names * 3:
        ways[name]()
    gc.collect()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.process_time()
            result = ways[name]()
            seconds[name].append(time.process_time() - start)
            del result
    return {name: statistics.median(found) for name, found in seconds.items()}


def ratio(seconds: Mapping[str, Sequence[float]], way: str, base: str) -> float:
    """How many times as long a way takes: the median over rounds of the quotient within a round."""
    return statistics.median(a / b for a, b in zip(seconds[way], seconds[base], strict=True))


def report(name: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print a table and keep it, as Markdown and as JSON."""
    text = f"# {title}\n\n{markdown(rows, notes)}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps({"rows": list(rows)}, indent=1) + "\n", encoding="utf-8")
    print(text, flush=True)


def markdown(rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """The rows as a table, the notes and what machine it was below."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(_said(row[c]) for c in columns)} |" for row in rows]
    return "\n".join([*lines, "", *(f"* {note}" for note in notes), f"* {_machine()}"])


def _said(value: object) -> str:
    return (
        f"{value:.3f}".removesuffix("0")
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _machine() -> str:
    import torch

    load = Path("/proc/loadavg")
    busy = f", load {load.read_text().split()[0]}" if load.exists() else ""
    return f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}{busy}"
