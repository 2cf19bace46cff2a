"""The list of changes that tests must notice is true: each names one place, and tests that are there."""

from __future__ import annotations

from mutation import ROOT, mutants


def test_every_change_names_one_place_and_its_tests() -> None:
    found = list(mutants())
    for mutant in found:
        text = (ROOT / mutant.path).read_text(encoding="utf-8")
        assert text.count(mutant.was) == 1, f"{mutant.path}: {mutant.was!r} is there {text.count(mutant.was)} times"
        assert mutant.becomes != mutant.was
        paths = [part for part in mutant.tests if part.endswith(".py") or "/" in part]
        assert paths and all((ROOT / path).exists() for path in paths), mutant.tests
    assert len({mutant[:3] for mutant in found}) == len(found) >= 100
