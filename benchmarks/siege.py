"""`make siege`: what one anonymous client can send, while four visitors work; on this machine alone, and bounded.

A server with the container's own settings is started, and four visitors ask it one question after the other. Their
usual time is measured first. Then each attack goes on for some seconds, and meanwhile every answer must be right, the
usual one at most three times as slow, `/_stcore/health` within a second, and the memory below the container's limit.

What needs more than one server is tried elsewhere: a frozen and a dead instance behind nginx in
tests/hosting/test_front.py; folders with forged configurations, which a public server never opens, in a local run by
tests/pages/test_odd_models.py; a hub that trickles, refuses or lies in tests/core/models/test_hub.py.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import WebSocketException

from benchmarks.attacks import ATTACKS
from benchmarks.attacks.client import Stop
from benchmarks.browser import app
from benchmarks.load import Visitor, headline, public_settings, resident, truth
from benchmarks.tables import report

SLOWER = 3.0  # times the usual
HEALTH = 1.0  # seconds
MEMORY = 1050  # megabytes, a fifth below the container's limit


@dataclass
class Seen:
    """What the four visitors, and whoever asks for health, saw during one part."""

    times: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def typical(self) -> float:
        return statistics.median(self.times) if self.times else float("inf")


def _visits(address: str, number: int, turns: list[tuple[str, int, int, str]], stop: Stop, seen: Seen) -> None:
    visitor = Visitor(address, comes_from=f"198.51.100.{number}")
    for turn in range(100_000):
        if turn and stop():  # each asks once, however slow the machine is
            visitor.socket.close()
            return
        text, layer, head, wanted = turns[turn % len(turns)]
        start = time.perf_counter()
        lead = headline(visitor.ask(text=text, layer=layer, head=head, query="auto"))
        seen.times.append(time.perf_counter() - start)
        if wanted not in lead:
            seen.wrong.append(f"wanted {wanted!r}, saw {lead!r}")
        _pause(0.5, stop)


def _pause(seconds: float, stop: Stop) -> None:
    """Read the answer for a while; nobody reads on after the end."""
    end = time.monotonic() + seconds
    while not stop() and time.monotonic() < end:
        time.sleep(0.02)


def _health(address: str, process: int, stop: Stop, seen: Seen) -> None:
    is_first = True
    while is_first or not stop():
        is_first, start = False, time.perf_counter()
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=30).close()
        seen.health.append(time.perf_counter() - start)
        seen.memory.append(resident(process))
        time.sleep(0.1)


def during(attack: Callable[[str, Stop], None] | None, address: str, process: int, turns: Any, seconds: float) -> Seen:
    """Four visitors for so many seconds, beside an attack or alone."""
    seen, end = Seen(), time.monotonic() + seconds

    def stop() -> bool:
        return time.monotonic() > end

    jobs = [threading.Thread(target=_visits, args=(address, n, own, stop, seen)) for n, own in enumerate(turns)]
    jobs.append(threading.Thread(target=_health, args=(address, process, stop, seen)))
    if attack is not None:
        jobs.append(threading.Thread(target=_undisturbed, args=(attack, address, stop, seen)))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(seconds + 120)
    return seen


def _undisturbed(attack: Callable[[str, Stop], None], address: str, stop: Stop, seen: Seen) -> None:
    try:
        attack(address, stop)
    except (WebSocketException, OSError, TimeoutError):
        pass  # the server ends who goes too far
    except Exception as error:  # an attack that fails by itself attacks nothing
        seen.wrong.append(f"the attack ended by itself: {error!r}")


def complaints(
    attack: str,
    seen: Seen,
    usual: float,
    slower: float = SLOWER,
    health: float = HEALTH,
    memory: int = MEMORY,
) -> list[str]:
    """What was not as it must be."""
    told = [f"{attack}: {line}" for line in seen.wrong[:3]]
    if seen.typical > slower * usual:
        told.append(f"{attack}: answers took {seen.typical:.2f} s instead of {usual:.2f} s")
    if max(seen.health) > health:
        told.append(f"{attack}: health took {max(seen.health):.2f} s")
    if max(seen.memory) > memory:
        told.append(f"{attack}: {max(seen.memory)} MB of memory")
    return told


def siege(
    seconds: float,
    slower: float = SLOWER,
    health: float = HEALTH,
    memory: int = MEMORY,
    attacks: Sequence[Callable[[str, Stop], None]] = ATTACKS,
) -> tuple[list[dict[str, object]], list[str]]:
    """(a row an attack, complaints)."""
    turns = [[truth(visitor, turn) for turn in range(3)] for visitor in range(4)]
    rows: list[dict[str, object]] = []
    told: list[str] = []
    with app("serve.py", **public_settings()) as (address, _, process):
        while not _ready(address):
            time.sleep(0.2)
        during(None, address, process, turns, min(3.0, seconds))  # everything is imported, and every sentence met
        usual = during(None, address, process, turns, seconds)
        for attack in (None, *attacks):
            name = "nothing" if attack is None else attack.__name__.replace("_", " ")
            # What is usual is measured again before each attack: others work on this machine, too.
            before = usual if attack is None else during(None, address, process, turns, seconds / 3)
            if attack is not None:
                Visitor(address).socket.close()  # raises where the attacker would find no place: it would try nothing
            seen = usual if attack is None else during(attack, address, process, turns, seconds)
            quiet = statistics.median([*usual.times, *before.times])
            told += complaints(name, seen, max(quiet, before.typical if before.times else 0.0), slower, health, memory)
            print(f"{name}: {len(seen.times)} answers, {seen.typical:.2f} s", flush=True)
            rows.append(
                {
                    "meanwhile one client": name,
                    "answers": len(seen.times),
                    "median s": seen.typical,
                    "health, slowest s": max(seen.health),
                    "memory MB": max(seen.memory),
                }
            )
        if not _ready(address):
            told.append("it is not ready any more")
    return rows, told


def _ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/ready", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def main(seconds: float) -> None:
    rows, told = siege(seconds)
    peak = max(int(str(row["memory MB"])) for row in rows)
    notes = [f"Four visitors work meanwhile; every answer was compared with the truth. Most memory: {peak} MB."]
    report("siege", "What one client can send", rows, [*notes, *told])
    if told:
        raise SystemExit("\n".join(told))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12, help="for each attack")
    main(parser.parse_args().seconds)
