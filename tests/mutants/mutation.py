"""Change one line at a time in a copy of the tree, and see whether a test notices: make mutants.

    python tests/mutants/mutation.py              # every change of mutants.toml, two at a time
    python tests/mutants/mutation.py parity.py    # those of files whose path ends so

The last line says which share was noticed; what was not stands above it. Fails below `ENOUGH`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ENOUGH = 0.9
AT_ONCE = 2
SECONDS = 240  # a change that makes a test wait for ever is noticed


class Mutant(NamedTuple):
    """A change of one file, and what is run to notice it, as arguments of pytest."""

    path: str
    was: str
    becomes: str
    tests: tuple[str, ...]


def mutants(ending: str = "") -> Iterator[Mutant]:
    """Those of mutants.toml, in its order, of files whose path ends so."""
    listed = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
    for file in listed["file"]:
        if file["path"].endswith(ending):
            yield from (Mutant(file["path"], *change, tuple(file["tests"])) for change in file["changes"])


def copy_of_the_tree(into: Path) -> Path:
    """The files that git knows, as they are on the disk, and the environment that stands beside them."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes((ROOT / name).read_bytes())
    return into


def is_noticed(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests fail with the change; the tree is then as it was."""
    file = tree / mutant.path
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.was, mutant.becomes), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *mutant.tests]
    try:
        rc = subprocess.run(command, cwd=tree, capture_output=True, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        rc = 1
    finally:
        file.write_text(text, encoding="utf-8")
    if rc not in (0, 1, 2):  # 2: a module cannot even be imported; others say that pytest found nothing to run
        raise SystemExit(f"pytest ended with {rc} on {' '.join(mutant.tests)}")
    return rc != 0


def main(ending: str = "") -> int:
    found = list(mutants(ending))
    with tempfile.TemporaryDirectory() as place:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(AT_ONCE):
            trees.put(copy_of_the_tree(Path(place) / str(number)))

        def run(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                noticed = is_noticed(mutant, tree)
            finally:
                trees.put(tree)
            print("noticed " if noticed else "SURVIVED", mutant.path, "|", mutant.was, "→", mutant.becomes, flush=True)
            return noticed

        with ThreadPoolExecutor(AT_ONCE) as pool:
            noticed = sum(pool.map(run, found))
    print(f"{noticed} of {len(found)} changes were noticed: {100 * noticed / max(1, len(found)):.0f} %")
    return int(noticed < ENOUGH * len(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
