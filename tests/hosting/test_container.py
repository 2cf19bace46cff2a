"""The container holds all that the app needs: every page runs from its files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosted import Server, copy_image, hosted, image_environment

from benchmarks.load import Visitor, plain

PAGES = ["", *sorted(file.stem for file in (Path(__file__).parents[2] / "pages").glob("*.py"))]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("container")
    with hosted(folder, at=copy_image(folder / "app")) as server:
        yield server


@pytest.mark.parametrize("page", PAGES)
def test_every_page_runs_from_the_files_of_the_image(container: Server, page: str) -> None:
    said = plain(Visitor(container.address).ask(page))
    assert len(said) > 200 and "Something went wrong" not in said and "cannot be shown" not in said
    lines = [json.loads(line) for line in container.log.splitlines() if line.startswith("{")]
    assert lines and [line for line in lines if line["level"] not in ("info", "debug")] == []


def test_the_image_says_that_strangers_use_it_and_that_nothing_is_downloaded() -> None:
    said = image_environment()
    assert (said["HEADLIGHT_MODE"], said["HF_HUB_OFFLINE"]) == ("public", "1")
