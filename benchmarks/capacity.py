"""How many visitors a worker serves: docs/capacity.md, from measured answers and a simulated queue.

python -m benchmarks.capacity                 # measures one, two and four workers behind nginx, then writes the page
python -m benchmarks.capacity --keep          # writes it again from benchmarks/results/capacity.json

A worker is one process and works on about one core at a time. Its visitors arrive by chance, and its answers come one
after the other: a queue whose service times are the measured CPU times of the pages.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.answers import QUESTIONS, cpu_seconds
from benchmarks.browser import ROOT, app
from benchmarks.load import Visitor, public_settings, resident
from benchmarks.tables import RESULTS, report

PACE = 20.0  # seconds between a visitor's questions
WITHIN, SHARE = 2.0, 0.95  # so many answers within so many seconds
CLASS = 40  # pupils who open one link at once
CROWDS = (100, 1_000, 10_000)
PAGE = """# How many visitors a host serves

Computed by `python -m benchmarks.capacity`; the figures move with the machine, the method does not.

## What an answer costs

| page | CPU, ms |
| --- | --- |
{pages}

## Workers behind nginx, always asked

| workers | answers a second | CPU an answer, ms | memory of a worker, MB |
| --- | --- | --- | --- |
{rows}

## Visitors of a worker

A worker is one process and uses about one core. Where each visitor asks every {pace} seconds, by chance, and pages are
opened alike, one worker serves **{each} visitors** with {share} of the answers within {within} seconds.

| visitors at once | workers | cores | memory | a class of {pupils} opens one link at once on top: last answer |
| --- | --- | --- | --- | --- |
{crowds}

The crowd's questions and the class are one simulated queue: also while the class is answered, {share} of the answers of
the worker that gets most of it are in time. Memory is a quarter more than measured; a worker's limit in
`deploy/` is what `make siege` needs, and a quarter. One worker is counted on top, because one may be starting.

## Where the limit is then, and what to do

* **CPU first.** A session costs four file descriptors and little memory. Add workers: they share nothing, so twice as
  many serve twice as many.
* **Sticky sessions.** A visitor stays with one worker by a cookie, so a class that comes at once meets unevenly: of
  {pupils} pupils on four workers the fullest one has {fullest}.
* **Model copies.** Each worker holds its own copy of the models that its visitors chose: `HEADLIGHT_MODELS` keeps them
  few, and `HEADLIGHT_MODEL_MB` bounds them.
* **Links** hold the whole view, so a worker that ends costs its visitors a second and nothing else.
* **nginx** carries thousands of sockets; its limits for one address (`deploy/nginx/`) fit a class of {pupils}. Beyond
  10,000 visitors use several behind one name.
* The HorizontalPodAutoscaler adds a worker at 60 % of a core, which is before answers begin to queue, up to those for
  the largest crowd above.
"""


def measured(workers: int, seconds: float) -> dict[str, float]:
    """Answers a second and CPU seconds an answer of so many workers behind nginx, without the visitors' own CPU."""
    sys.path.insert(0, str(ROOT / "tests" / "hosting"))
    from hosted import behind_nginx

    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = [stack.enter_context(app("serve.py", **public_settings())) for _ in range(workers)]
        processes = [process for _, _, process in servers]
        ports = [int(address.rsplit(":", 1)[1]) for address, _, _ in servers]
        address = stack.enter_context(behind_nginx(Path(folder), ports))
        visitors = [Visitor(own) for own, _, _ in servers] + [Visitor(address) for _ in range(2 * workers)]
        for visitor in visitors:
            visitor.ask(text="a fox")
        before, answers, end = sum(map(cpu_seconds, processes)), [0] * len(visitors), time.monotonic() + seconds

        def work(number: int) -> None:
            turn = number * 10_000
            while time.monotonic() < end:
                list(QUESTIONS.values())[turn % len(QUESTIONS)](turn)(visitors[number])
                answers[number] += 1
                turn += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(visitors))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu = sum(map(cpu_seconds, processes)) - before
        return {
            "workers": workers,
            "answers a second": sum(answers) / seconds,
            "CPU s an answer": cpu / max(1, sum(answers)),
            "MB a worker": statistics.mean(map(resident, processes)),
        }


def page_costs(rounds: int) -> dict[str, float]:
    """CPU seconds of an answer, page by page."""
    from benchmarks.answers import costs

    return {what: cpu for what, cpu, _ in costs(ROOT, rounds, **public_settings())}


def waits(arrivals: Sequence[float], costs: Sequence[float]) -> list[float]:
    """Seconds from each question to its answer, where one worker answers them in order.

    >>> waits([0.0, 0.0, 5.0], [1.0, 1.0, 1.0])
    [1.0, 2.0, 1.0]
    """
    free, seconds = 0.0, []
    for came, cost in zip(arrivals, costs, strict=True):
        free = max(free, came) + cost
        seconds.append(free - came)
    return seconds


def served(visitors: int, costs: Sequence[float], *, hours: float = 2.0, seed: int = 0) -> float:
    """The share of answers within `WITHIN` seconds, where so many visitors of one worker ask every `PACE` seconds."""
    arrivals, wanted = _questions(visitors, costs, hours, seed)
    return _in_time(waits(arrivals, wanted))


def lesson(visitors: int, costs: Sequence[float], pupils: int, first: float, *, seed: int = 0) -> tuple[float, float]:
    """(the share of answers in time while `pupils` who open one link at once are answered, the wait of the last).

    So many other visitors of the worker ask as ever: who comes before the last pupil has an answer counts, too. A
    pupil's answer costs `first` seconds.
    """
    begins = 600.0
    arrivals, wanted = _questions(visitors, costs, 0.2, seed)
    asked = sorted([*zip(arrivals, wanted, (False for _ in arrivals), strict=True), *[(begins, first, True)] * pupils])
    taken = waits([came for came, _, _ in asked], [cost for _, cost, _ in asked])
    last = max(wait for (_, _, is_pupil), wait in zip(asked, taken, strict=True) if is_pupil)
    return _in_time([w for (came, *_), w in zip(asked, taken, strict=True) if begins <= came <= begins + last]), last


def _questions(visitors: int, costs: Sequence[float], hours: float, seed: int) -> tuple[list[float], list[float]]:
    """When questions arrive, by chance, and what each of them costs."""
    chance = random.Random(seed)
    arrivals, now = [], 0.0
    while now < hours * 3600:
        now += chance.expovariate(visitors / PACE)
        arrivals.append(now)
    return arrivals, [chance.choice(costs) for _ in arrivals]


def _in_time(waited: Sequence[float]) -> float:
    return sum(seconds <= WITHIN for seconds in waited) / len(waited)


def visitors_per_worker(costs: Sequence[float]) -> int:
    """The most visitors of one worker of whom `SHARE` get their answers in time."""
    low, high = 1, math.ceil(PACE / statistics.mean(costs))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if served(middle, costs) >= SHARE else (low, middle - 1)
    return low


def fullest(workers: int, tries: int = 500) -> float:
    """How many of a class meet on the fullest worker, on average: their cookies send them there by chance."""
    chance = random.Random(0)
    return statistics.mean(max(Counter(chance.randrange(workers) for _ in range(CLASS)).values()) for _ in range(tries))


def workers_for(crowd: int, pages: dict[str, float]) -> tuple[int, float]:
    """(workers that a crowd needs, the last pupil's wait when a class comes on top); one more, as one may be away.

    Also while a class is answered `SHARE` of the answers of the worker that gets most of it are in time.
    """
    costs, first = list(pages.values()), pages["front page, new sentence"]
    workers = max(1, math.ceil(crowd / visitors_per_worker(costs)))
    while (found := lesson(math.ceil(crowd / workers), costs, math.ceil(fullest(workers)), first))[0] < SHARE:
        workers += 1
    return workers + 1, found[1]


def page(pages: dict[str, float], rows: list[dict[str, float]]) -> str:
    """docs/capacity.md."""
    costs = list(pages.values())
    each, memory = visitors_per_worker(costs), max(row["MB a worker"] for row in rows)
    crowds = []
    for crowd in CROWDS:
        workers, last = workers_for(crowd, pages)
        gigabytes = workers * memory * 1.25 / 1000
        crowds.append(f"| {crowd:,} | {workers} | {workers} | {gigabytes:.1f} GB | {last:.1f} s |")
    return PAGE.format(
        pages="\n".join(f"| {name} | {cpu * 1000:.0f} |" for name, cpu in pages.items()),
        rows="\n".join(
            f"| {row['workers']:.0f} | {row['answers a second']:.1f} | {row['CPU s an answer'] * 1000:.0f} "
            f"| {row['MB a worker']:.0f} |"
            for row in rows
        ),
        pace=f"{PACE:.0f}",
        each=each,
        share=f"{SHARE:.0%}",
        within=f"{WITHIN:.0f}",
        crowds="\n".join(crowds),
        pupils=CLASS,
        fullest=f"{fullest(4):.0f}",
    )


def main(seconds: float, rounds: int, workers: Sequence[int], keep: bool) -> None:
    if keep:
        found: dict[str, Any] = json.loads((RESULTS / "capacity.json").read_text(encoding="utf-8"))
        pages, rows = found["pages"], found["rows"]
    else:
        pages, rows = page_costs(rounds), [measured(n, seconds) for n in workers]
        report("capacity", "Workers behind nginx", rows, [f"{seconds:.0f} s each."])
        found = {"pages": pages, "rows": rows}
        (RESULTS / "capacity.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (ROOT / "docs" / "capacity.md").write_text(page(pages, rows), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=16, help="answers of each page")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--keep", action="store_true", help="measure nothing")
    own = parser.parse_args()
    main(own.seconds, own.rounds, own.workers, own.keep)
