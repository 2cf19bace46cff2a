"""Change one line at a time in a copy of the tree, and see whether a test notices: make mutants.

    python tests/mutants/mutation.py                 # every change of mutants.toml, two at a time
    python tests/mutants/mutation.py canvas/cells.js # those of files whose path ends so
    python tests/mutants/mutation.py --resume        # without those that the last run has noticed already

What a change needs is forked from one process that has imported the large libraries, so most take a few seconds.
The last line says which share was noticed; what was not stands above it. Fails below `ENOUGH`.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

ROOT = Path(__file__).parents[2]
LAST = ROOT / "build" / "mutants.jsonl"  # what the last run found, a line a change
ENOUGH = 0.9
AT_ONCE = 2
SECONDS = 240  # a change that makes a test wait for ever is noticed
LARGE = ["numpy", "pytest", "torch", "transformers", "plotly.graph_objects", "streamlit.testing.v1"]  # none is ours
PYTEST = ["-q", "-x", "--tb=no", "-p", "no:cacheprovider", "--no-header"]

Tests = tuple[str, ...]
T = TypeVar("T")
R = TypeVar("R")


class Mutant(NamedTuple):
    """A change of one file, and what is run to notice it, as arguments of pytest; `equal` says why nothing can."""

    path: str
    was: str
    becomes: str
    tests: Tests
    equal: str = ""


def mutants(ending: str = "") -> Iterator[Mutant]:
    """Those of mutants.toml, in its order, of files whose path ends so."""
    listed = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
    for file in listed["file"]:
        if file["path"].endswith(ending):
            for was, becomes, *equal in file["changes"]:
                yield Mutant(file["path"], was, becomes, tuple(file["tests"]), *equal)


# --- Running tests in a copy of the tree ------------------------------------------------------------------------------


def copy_of_the_tree(into: Path) -> Path:
    """The files that git knows, as they are on the disk, compiled once: what changes later is known by its content."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes((ROOT / name).read_bytes())
    compileall.compile_dir(into, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return into


@cache
def nursery() -> ForkServerContext:
    """Where processes are forked from: one that has no thread, and the large libraries in memory."""
    context = get_context("forkserver")
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    context.set_forkserver_preload(LARGE)
    return context


def run_tests(tree: str, tests: Tests) -> None:
    """In a process of its own: end as pytest ends."""
    os.setsid()  # so that what the tests start is ended with them
    os.chdir(tree)
    sys.dont_write_bytecode = False  # pytest keeps what it has made of a test file
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    import pytest

    os._exit(int(pytest.main([*PYTEST, *tests])))


def ends_with(tests: Tests, tree: Path) -> int:
    """Pytest's exit status; 1 for tests that were ended because they take too long, or died."""
    process = nursery().Process(target=run_tests, args=(str(tree), tests))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None and process.pid:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode if process.exitcode is not None and process.exitcode >= 0 else 1


def is_noticed(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests fail with the change; the tree is then as it was."""
    file = tree / mutant.path
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.was, mutant.becomes), encoding="utf-8")
    try:
        rc = ends_with(mutant.tests, tree)
    finally:
        file.write_text(text, encoding="utf-8")
    if rc not in (0, 1, 2):  # 2: a module cannot even be imported; others say that pytest found nothing to run
        raise SystemExit(f"pytest ended with {rc} on {' '.join(mutant.tests)}")
    return rc != 0


# --- One run ----------------------------------------------------------------------------------------------------------


class Run:
    """Some changes, each in one of the copies that are free, in the order of the list."""

    def __init__(self, place: Path, at_once: int) -> None:
        self._trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(at_once):
            self._trees.put(copy_of_the_tree(place / str(number)))
        self._pool = ThreadPoolExecutor(at_once)

    def each(self, what: Callable[[T, Path], R], of: Iterable[T]) -> Iterator[R]:
        """`what(one, tree)` of each, several at once."""

        def with_a_tree(one: T) -> R:
            tree = self._trees.get()
            try:
                return what(one, tree)
            finally:
                self._trees.put(tree)

        return self._pool.map(with_a_tree, of)

    def check(self, commands: list[Tests]) -> None:
        """Raises SystemExit where tests fail without any change: they would notice everything."""
        statuses = zip(commands, self.each(ends_with, commands), strict=True)
        broken = [" ".join(tests) for tests, status in statuses if status]
        if broken:
            raise SystemExit("These fail without any change: " + "; ".join(broken))


def told(mutant: Mutant, tree: Path) -> bool:
    """Whether a change is noticed; said on the screen, and kept for a run that is resumed."""
    noticed = is_noticed(mutant, tree)
    with LAST.open("a", encoding="utf-8") as last:
        last.write(json.dumps({"mutant": mutant, "noticed": noticed}) + "\n")
    says = "noticed " if noticed else "EQUAL   " if mutant.equal else "SURVIVED"
    print(says, mutant.path, "|", mutant.was, "→", mutant.becomes, flush=True)
    return noticed


def noticed_last_time() -> set[Mutant]:
    lines = LAST.read_text(encoding="utf-8").splitlines() if LAST.exists() else []
    found = (json.loads(line) for line in lines)
    each = (one["mutant"] for one in found if one["noticed"])
    return {Mutant(path, was, becomes, tuple(tests), equal) for path, was, becomes, tests, equal in each}


def main() -> int:
    asked = argparse.ArgumentParser(description="Change one line at a time, and see whether a test notices.")
    asked.add_argument("ending", nargs="?", default="", help="only files whose path ends so")
    asked.add_argument("--resume", action="store_true", help="leave out what the last run has noticed")
    asked.add_argument("--at-once", type=int, default=AT_ONCE)
    given = asked.parse_args()
    found = list(mutants(given.ending))
    before = noticed_last_time() if given.resume else set()
    left = [mutant for mutant in found if mutant not in before]
    LAST.parent.mkdir(exist_ok=True)
    if not given.resume:
        LAST.write_text("", encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        run = Run(Path(place), given.at_once)
        run.check(list(dict.fromkeys(mutant.tests for mutant in left)))
        noticed = len(found) - len(left) + sum(run.each(told, left))
    print(f"{noticed} of {len(found)} changes were noticed: {100 * noticed / max(1, len(found)):.0f} %")
    return int(noticed < ENOUGH * len(found))


if __name__ == "__main__":
    sys.exit(main())
