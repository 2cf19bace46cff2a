"""Answers a second of one worker with sixteen visitors who always ask, beside another checkout in the same run.

python -m benchmarks.crowd                    # this checkout
python -m benchmarks.crowd --beside FOLDER    # another one too, as it is and with `runner.postScriptGC` off

Every server runs the whole time; the visitors go from one to the next in short slots, so that a busy machine is as hard
on one as on the other. They speak Streamlit's protocol and ask about sentences of their own, All heads and ΔE by turns.
An answer that names no word of its sentence is counted as wrong. Visitors and server share the cores, so the visitors'
own CPU time stands in a column of its own.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.answers import OTHERS, cpu_seconds, new_sentence
from benchmarks.browser import ROOT, app
from benchmarks.load import Visitor, plain, public_settings
from benchmarks.tables import report

VISITORS = 16
PAGES = ("", "delta_e")


class Crowd:
    """Sixteen visitors of one server, and what they have got so far."""

    def __init__(self, address: str, process: int) -> None:
        self.process = process
        self.visitors = [Visitor(address) for _ in range(VISITORS)]
        self.turns = [number * 10_000 for number in range(VISITORS)]
        self.waited: list[float] = []  # seconds from a question to its answer
        self.seconds = self.server = self.own = 0.0
        self.wrong = 0
        for visitor in self.visitors:
            visitor.ask(text="a fox")
        self.visitors[0].ask("delta_e", text="a fox")

    def ask(self, seconds: float) -> None:
        """All ask until so many seconds are over; the last answers are waited for, and count."""
        begun, server, own = time.monotonic(), cpu_seconds(self.process), time.process_time()
        threads = [threading.Thread(target=self._ask, args=(n, begun + seconds)) for n in range(VISITORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds += time.monotonic() - begun
        self.server += cpu_seconds(self.process) - server
        self.own += time.process_time() - own

    def _ask(self, number: int, end: float) -> None:
        visitor = self.visitors[number]
        while time.monotonic() < end:
            self.turns[number] += 1
            page = PAGES[self.turns[number] % len(PAGES)]
            text = new_sentence(f"crowd {page}", self.turns[number])
            start = time.monotonic()
            said = visitor.ask(page, text=text)
            self.waited.append(time.monotonic() - start)
            self.wrong += not any(word in plain(said) for word in text.split())

    def row(self, name: str) -> dict[str, object]:
        n = len(self.waited)
        return {
            "server": name,
            "answers": n,
            "answers a second": n / self.seconds,
            "median s": statistics.median(self.waited),
            "server's CPU, ms an answer": round(self.server / n * 1000),
            "visitors' CPU, ms an answer": round(self.own / n * 1000),
            "wrong": self.wrong,
        }


def main(slots: int = 4, seconds: float = 15, beside: str | None = None) -> None:
    checkouts: dict[str, tuple[Path, dict[str, str]]] = {"this checkout": (ROOT, {})}
    if beside is not None:
        checkouts |= {name: (Path(beside), extra) for name, extra in OTHERS.items()}
    with ExitStack() as stack:
        crowds = {}
        for name, (folder, extra) in checkouts.items():
            address, _, process = stack.enter_context(app("serve.py", folder, **public_settings(), **extra))
            crowds[name] = Crowd(address, process)
        for _ in range(slots):
            for crowd in crowds.values():
                crowd.ask(seconds)
    rows = [crowd.row(name) for name, crowd in crowds.items()]
    notes = [f"{VISITORS} visitors who always ask, {slots} slots of {seconds:.0f} s for each server, by turns."]
    report("crowd", "Answers a second of one worker", rows, notes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--beside", help="a folder with another checkout of Headlight")
    own = parser.parse_args()
    main(own.slots, own.seconds, own.beside)
