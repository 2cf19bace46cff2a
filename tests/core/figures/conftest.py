"""A recorder of canvas pictures for the tests of one run, and both themes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from canvas_recorder import Recorder


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    one = Recorder()
    yield one
    one.close()


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)
