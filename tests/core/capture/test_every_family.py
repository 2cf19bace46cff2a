"""docs/families.md is what a run over every text family of the library found, and still finds."""

from __future__ import annotations

import re

import every_family
import pytest
import transformers
from families import FAMILIES, OUTSIDE

SAMPLE = ["bert", "gpt2", "mt5", "deepseek_v3", "fnet", "gpt_oss", "bloom", "whisper"]  # of every kind and reason


def test_the_page_is_the_current_result() -> None:
    result = every_family.written()
    assert (every_family.DOCS / "families.md").read_text() == every_family.page(result)
    assert result["transformers"] == transformers.__version__, "python tests/core/capture/every_family.py"
    assert {each["is"] for each in result["families"].values()} == {"read", "refused", "not built"}
    known = {name for name in FAMILIES if name in result["families"]}  # those that other tests look at closely
    assert len(known) > 30 and {result["families"][name]["is"] for name in known} == {"read"}
    assert {result["families"][name]["is"] for name in OUTSIDE} == {"refused"}
    n_read = sum(each["is"] == "read" for each in result["families"].values())
    costs = (every_family.DOCS / "costs.md").read_text()
    assert f"[{n_read} of {len(result['families'])} text families are read](families.md)" in costs
    reasons = {each["why"].replace(name, "") for name, each in result["families"].items() if each["is"] == "refused"}
    assert not [reason for reason in reasons if re.search("damaged|IndexError|must match", reason)]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_family_is_what_the_page_says(name: str) -> None:
    _same(every_family.outcome(name), every_family.written()["families"][name])


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_every_family_is_what_the_page_says() -> None:
    now, then = every_family.everything()["families"], every_family.written()["families"]
    assert list(now) == list(then)
    for name, each in now.items():
        _same(each, then[name])


def _same(now: dict | None, then: dict) -> None:
    """Errors may differ by their last bits, and stay within the tolerance: `is` says so."""
    assert now is not None and {**now, "errors": None} == {**then, "errors": None}
