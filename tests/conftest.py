"""What holds for every test: no network, one thread a process, the settings of a local run."""

import os

# Set before torch and the hub's library are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("HEADLIGHT_MODE", None)

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def operator_sets() -> Iterator[Callable[..., None]]:
    """Set environment variables as an operator would, `operator_sets(HEADLIGHT_MODE="public")`, until the test ends."""
    from attn_core import settings

    with pytest.MonkeyPatch.context() as patch:

        def change(**environment: str) -> None:
            for name, value in environment.items():
                patch.setenv(name, value)
            settings.read_again()

        yield change
    settings.read_again()
