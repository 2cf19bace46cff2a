"""The simulated queue behind docs/capacity.md is the one that queueing theory knows."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from hosted import ROOT

from benchmarks import answers, capacity


def test_waits_are_those_of_pollaczek_and_khinchine() -> None:
    # M/D/1 at half load: a question waits ρ / (2 (1 − ρ)) service times, on average half of one.
    chance, now, arrivals = random.Random(1), 0.0, []
    for _ in range(200_000):
        now += chance.expovariate(0.5)
        arrivals.append(now)
    taken = capacity.waits(arrivals, [1.0] * len(arrivals))
    assert statistics.mean(taken) == pytest.approx(1.5, rel=0.02)


def test_more_visitors_are_served_later_and_dearer_pages_serve_fewer() -> None:
    cheap, dear = [0.05, 0.1], [0.2, 0.4]
    assert capacity.served(20, cheap) > capacity.served(400, cheap)
    few, many = capacity.visitors_per_worker(dear), capacity.visitors_per_worker(cheap)
    assert 2 * few < many
    assert capacity.served(many, cheap) >= capacity.SHARE > capacity.served(many + 12, cheap)


def test_a_class_waits_in_one_line() -> None:
    """Forty pupils at once, a tenth of a second each: the twentieth is in time, the last has waited for all."""
    share, last = capacity.lesson(1, [0.001], pupils=40, first=0.1)
    assert share == pytest.approx(0.5, abs=0.06) and last == pytest.approx(4.0, abs=0.05)
    assert capacity.lesson(150, [0.1], pupils=40, first=0.1)[0] < share, "others ask meanwhile"


def test_a_crowd_gets_as_many_workers_as_its_class_needs() -> None:
    pages = {"front page, new sentence": 0.1, "lesson": 0.05}
    few, last = capacity.workers_for(100, pages)
    each = -(-100 // (few - 1))  # one more than that many share the crowd, as one may be away
    assert capacity.lesson(each, list(pages.values()), round(capacity.fullest(few - 1) + 0.5), 0.1)[1] == last
    assert 2 < few < capacity.workers_for(10_000, pages)[0]


def test_the_page_tells_what_was_measured() -> None:
    rows = [{"workers": 1, "answers a second": 8.0, "CPU s an answer": 0.1, "MB a worker": 700.0}]
    told = capacity.page({"front page, new sentence": 0.1, "lesson": 0.05}, rows)
    assert "| lesson | 50 |" in told and "| 1 | 8.0 | 100 | 700 |" in told
    assert "| 10,000 |" in told and "http" not in told


def test_every_page_is_asked_for_what_it_costs() -> None:
    class Asked:
        """Remembers which pages were opened."""

        page_name = link = ""

        def __init__(self) -> None:
            self.pages: set[str] = set()

        def ask(self, page: str = "", **view: object) -> None:
            self.pages.add(page)

    visitor = Asked()
    for question in answers.QUESTIONS.values():
        question(0)(visitor)  # type: ignore[arg-type]
    assert visitor.pages == {"", *(file.stem for file in (ROOT / "pages").glob("*.py"))}


def test_the_page_is_the_one_that_follows_from_the_results() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "capacity.json").read_text())
    assert (ROOT / "docs" / "capacity.md").read_text() == capacity.page(found["pages"], found["rows"])
    assert set(found["pages"]) == set(answers.QUESTIONS), "measure it again: python -m benchmarks.capacity"
