"""Change one line at a time in a copy of the tree, and see whether a test notices: make mutants.

    python tests/mutants/mutation.py                 # every change of mutants.toml, two at a time
    python tests/mutants/mutation.py canvas/cells.js # those of files whose path ends so
    python tests/mutants/mutation.py --resume        # without those that the last run has noticed already

What a change needs is forked from one process that has imported the large libraries, so most take a second or two.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LAST = ROOT / "build" / "mutants.jsonl"  # what the last run found, a line a change
ENOUGH = 0.9
AT_ONCE = 2
SECONDS = 240  # a change that makes a test wait for ever is noticed
LARGE = ["numpy", "pytest", "torch", "transformers", "plotly.graph_objects", "streamlit.testing.v1"]  # none is ours


class Mutant(NamedTuple):
    """A change of one file, and what is run to notice it, as arguments of pytest; `equal` says why nothing can."""

    path: str
    was: str
    becomes: str
    tests: tuple[str, ...]
    equal: str = ""


def mutants(ending: str = "") -> Iterator[Mutant]:
    """Those of mutants.toml, in its order, of files whose path ends so."""
    listed = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
    for file in listed["file"]:
        if file["path"].endswith(ending):
            for was, becomes, *equal in file["changes"]:
                yield Mutant(file["path"], was, becomes, tuple(file["tests"]), *equal)


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
def nursery():
    """Where processes are forked from: one that has no thread, and the large libraries in memory."""
    context = get_context("forkserver")
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    context.set_forkserver_preload(LARGE)
    return context


def run_tests(tree: str, tests: tuple[str, ...]) -> None:
    """In a process of its own: end as pytest ends."""
    os.setsid()  # so that what the tests start is ended with them
    os.chdir(tree)
    sys.dont_write_bytecode = True
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    import pytest

    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests])
    os._exit(int(code))


def ends_with(tree: Path, tests: tuple[str, ...]) -> int:
    """Pytest's exit status; 1 for tests that were ended because they take too long, or died."""
    process = nursery().Process(target=run_tests, args=(str(tree), tests))
    process.start()
    process.join(SECONDS)
    code = process.exitcode
    if code is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return code if code is not None and code >= 0 else 1


def is_noticed(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests fail with the change; the tree is then as it was."""
    file = tree / mutant.path
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.was, mutant.becomes), encoding="utf-8")
    try:
        rc = ends_with(tree, mutant.tests)
    finally:
        file.write_text(text, encoding="utf-8")
    if rc not in (0, 1, 2):  # 2: a module cannot even be imported; others say that pytest found nothing to run
        raise SystemExit(f"pytest ended with {rc} on {' '.join(mutant.tests)}")
    return rc != 0


def noticed_last_time() -> set[Mutant]:
    lines = LAST.read_text(encoding="utf-8").splitlines() if LAST.exists() else []
    found = [json.loads(line) for line in lines]
    return {
        Mutant(*each["mutant"][:3], tuple(each["mutant"][3]), each["mutant"][4]) for each in found if each["noticed"]
    }


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("ending", nargs="?", default="")
    asked.add_argument("--resume", action="store_true")
    asked.add_argument("--at-once", type=int, default=AT_ONCE)
    given = asked.parse_args()
    found = list(mutants(given.ending))
    before = noticed_last_time() if given.resume else set()
    LAST.parent.mkdir(exist_ok=True)
    LAST.open("a" if given.resume else "w").close()
    with tempfile.TemporaryDirectory() as place:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(given.at_once):
            trees.put(copy_of_the_tree(Path(place) / str(number)))

        def with_a_tree(what, *given) -> bool:
            tree = trees.get()
            try:
                return what(*given, tree)
            finally:
                trees.put(tree)

        def fails(tests: tuple[str, ...], tree: Path) -> bool:
            return ends_with(tree, tests) != 0

        def run(mutant: Mutant) -> bool:
            if mutant in before:
                return True
            noticed = with_a_tree(is_noticed, mutant)
            with LAST.open("a", encoding="utf-8") as last:
                last.write(json.dumps({"mutant": mutant, "noticed": noticed}) + "\n")
            says = "noticed " if noticed else "EQUAL   " if mutant.equal else "SURVIVED"
            print(says, mutant.path, "|", mutant.was, "→", mutant.becomes, flush=True)
            return noticed

        with ThreadPoolExecutor(given.at_once) as pool:
            commands = list(dict.fromkeys(mutant.tests for mutant in found if mutant not in before))
            failed = pool.map(lambda tests: with_a_tree(fails, tests), commands)
            broken = [tests for tests, has_failed in zip(commands, failed, strict=True) if has_failed]
            if broken:
                raise SystemExit("These fail without any change: " + "; ".join(map(" ".join, broken)))
            noticed = sum(pool.map(run, found))
    print(f"{noticed} of {len(found)} changes were noticed: {100 * noticed / max(1, len(found)):.0f} %")
    return int(noticed < ENOUGH * len(found))


if __name__ == "__main__":
    sys.exit(main())
