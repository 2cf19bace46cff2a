"""What a page reads of one stream, beside the numbers that the pages' own tests hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ui import stream


def test_a_pass_is_timed_without_what_only_the_first_one_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn, imports, a model that is tried once: what is kept says how long the passes to come take."""
    clock, costs, asked = [0.0], iter([4.0, 0.25]), []
    monkeypatch.setattr(stream, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def run_once(without: list[tuple[str, int, int]]) -> None:
        asked.extend(without)
        clock[0] += next(costs)

    reader = SimpleNamespace(head_key=lambda layer, head: ("self", layer, head))
    viewed = SimpleNamespace(n_layers=6, reader=reader, run_once=run_once)
    assert stream._timed_pass(None, "self", 5, 5, example=viewed) == 0.25  # type: ignore[arg-type]
    assert asked == [("self", 3, 0)] * 2
