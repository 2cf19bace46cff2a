"""What holds for every test: no network, one thread a process, the settings of a local run."""

import os

# Set before torch and the hub's library are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("HEADLIGHT_MODE", None)
# Tests see no model that `make models` fetched, whatever this machine has; those marked `models` ask for its cache.
os.environ.setdefault("HEADLIGHT_REAL_CACHE", os.environ.get("HEADLIGHT_CACHE", ""))  # once, not again in a worker
os.environ["HEADLIGHT_CACHE"] = "build/tests/cache"

import gc
from collections.abc import Callable, Iterator

import pytest

# Collecting imports the large libraries and makes thousands of tests: to look for garbage in them takes seconds.
gc.disable()


def pytest_collection_finish() -> None:
    """What is there now stays to the end: it is not looked through again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def fetched() -> Iterator[Callable[[str], None]]:
    """`fetched("smollm2")`: use the machine's own cache, and skip the test where that model is not in it."""
    from attn_core import settings
    from attn_core.models.catalogue import CATALOGUE
    from attn_core.models.packages import fetched_folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADLIGHT_CACHE", os.environ["HEADLIGHT_REAL_CACHE"])
        settings.read_again()

        def check(name: str) -> None:
            if fetched_folder(CATALOGUE[name]) is None:
                pytest.skip(f"{name} was not fetched: make models MODELS={name}")

        yield check
    settings.read_again()


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
