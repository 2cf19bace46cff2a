"""The list of changes that tests must notice is true: each names one place, and tests that are there."""

from __future__ import annotations

import json
import subprocess

from mutation import ROOT, Mutant, mutants
from playwright._impl._driver import compute_driver_executable

# Reads sources, gives what is wrong with each as JavaScript.
PARSES = """
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const wrong = (source) => { try { new Function(source); return ""; } catch (error) { return String(error); } };
console.log(JSON.stringify(given.map(wrong)));
"""


def changed(mutant: Mutant) -> str:
    return (ROOT / mutant.path).read_text(encoding="utf-8").replace(mutant.was, mutant.becomes)


def test_every_change_names_one_place_and_its_tests() -> None:
    found = list(mutants())
    for mutant in found:
        text = (ROOT / mutant.path).read_text(encoding="utf-8")
        assert text.count(mutant.was) == 1, f"{mutant.path}: {mutant.was!r} is there {text.count(mutant.was)} times"
        assert mutant.becomes != mutant.was
        paths = [part for part in mutant.tests if part.endswith(".py") or "/" in part]
        assert paths and all((ROOT / path).exists() for path in paths), mutant.tests
    assert len({mutant[:3] for mutant in found}) == len(found) >= 200
    assert sum(mutant.path.endswith(".js") for mutant in found) >= 40


def test_every_change_is_a_mistake_and_no_slip_of_the_pen() -> None:
    """What does not even parse would be noticed by any test."""
    scripts = [mutant for mutant in mutants() if mutant.path.endswith(".js")]
    for mutant in mutants():
        if mutant.path.endswith(".py"):
            compile(changed(mutant), mutant.path, "exec")
    sources = [changed(mutant).partition("\nexport default ")[0].replace("\nexport ", "\n") for mutant in scripts]
    node, _ = compute_driver_executable()
    done = subprocess.run([node, "-e", PARSES], input=json.dumps(sources), capture_output=True, text=True, check=True)
    wrong = zip(scripts, json.loads(done.stdout), strict=True)
    assert [(mutant.path, mutant.becomes, said) for mutant, said in wrong if said] == []
