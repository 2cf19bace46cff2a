"""The short form of `make siege`: attacks of each kind for a second, while four visitors work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks import siege
from benchmarks.attacks import files, links, messages
from benchmarks.siege import Seen

# What costs a server most; how the protocol is broken is in test_guard.py, and `test_the_siege` tries all of them.
OFTEN = (
    messages.sends_giant_texts,
    links.compares_four_long_sentences,
    links.asks_for_much_and_reads_nothing,
    messages.forges_what_widgets_hold,
    files.uploads_as_much_as_it_may,
)
QUIET = Seen([0.5, 3.0, 9.0], [], [0.2, 1.0], [siege.MEMORY])  # as slow, as late and as large as may be


def test_what_is_just_within_its_bounds_is_no_complaint() -> None:
    assert siege.complaints("storm", QUIET, usual=1.0) == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"times": [0.1, 3.1, 9.0]}, "storm: answers took 3.10 s instead of 1.00 s"),
        ({"times": []}, "storm: answers took inf s instead of 1.00 s"),
        ({"health": [0.2, 1.1, 0.2]}, "storm: health took 1.10 s"),
        ({"memory": [10, 1051, 10]}, "storm: 1051 MB of memory"),
        ({"wrong": ["wanted 'a', saw 'b'"]}, "storm: wanted 'a', saw 'b'"),
    ],
)
def test_what_is_beyond_one_of_them_is_one_complaint(what: dict[str, list[Any]], told: str) -> None:
    assert siege.complaints("storm", replace(QUIET, **what), usual=1.0) == [told]


@pytest.mark.timeout(900)
def test_nothing_that_one_client_sends_stops_the_others() -> None:
    # Other tests run beside this one, on any machine: here the answers count, and `make siege` bounds their times.
    rows, told = siege.siege(1.0, slower=100.0, health=60.0, memory=2 * siege.MEMORY, attacks=OFTEN)
    assert told == []
    assert len(rows) == 1 + len(OFTEN) and all(row["answers"] for row in rows)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_siege() -> None:
    rows, told = siege.siege(12.0)
    assert told == []
