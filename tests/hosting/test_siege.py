"""The short form of `make siege`: each attack for a second, while four visitors work."""

from __future__ import annotations

import pytest

from benchmarks import siege


@pytest.mark.timeout(900)
def test_nothing_that_one_client_sends_stops_the_others() -> None:
    # Other tests run beside this one, so an answer may take longer here than `make siege` allows.
    rows, told = siege.siege(1.0, slower=20.0, health=10.0)
    assert told == []
    assert len(rows) == 1 + len(siege.ATTACKS) and all(row["answers"] for row in rows)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_siege() -> None:
    rows, told = siege.siege(12.0)
    assert told == []
