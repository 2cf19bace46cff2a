"""The container holds all that the app needs: every page runs from its files alone."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosted import Server, copy_image, hosted, image_environment
from page_driver import VIEWS
from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks.attacks.files import Saver
from benchmarks.load import Visitor, plain

PAGES = ["", *sorted(file.stem for file in (Path(__file__).parents[2] / "pages").glob("*.py"))]
MODELS = {"training": {"model": "tiny-decoder"}}  # the only one that it shows
OTHERS = [(Path(script).stem.removeprefix("app"), view) for script, views in VIEWS.items() for view in views]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("container")
    with hosted(folder, at=copy_image(folder / "app")) as server:
        yield server


@pytest.mark.parametrize(("page", "view"), [*((page, MODELS.get(page, {})) for page in PAGES), *OTHERS])
def test_every_page_runs_from_the_files_of_the_image(container: Server, page: str, view: dict[str, str]) -> None:
    said = plain(Visitor(container.address).ask(page, **view))
    assert len(said) > 200 and "Something went wrong" not in said and "cannot be shown" not in said
    nothing_is_wrong(container)


def nothing_is_wrong(container: Server) -> None:
    """Each line of the log, from the first to the last, is JSON, and none warns."""
    lines = [json.loads(line) for line in container.log.splitlines()]
    assert lines and [line for line in lines if line["level"] not in ("info", "debug")] == []


def test_what_is_saved_and_shared_is_made_from_the_files_of_the_image(container: Server) -> None:
    visitor = Saver(container.address)
    visitor.ask(text="a fluffy blue creature")
    opened = [WidgetState(id=visitor.widget(f"{menu}_open"), bool_value=True) for menu in ("save", "share")]
    assert "<svg" in (said := visitor.ask(text="a fluffy blue creature", holds=opened)) or "image/svg" in said  # the QR
    for kind in ("CSV", "JSON", "NPZ", "HTML"):
        visitor.download(kind)
        with urllib.request.urlopen(container.address + visitor.arrived(), timeout=60) as file:
            assert len(file.read()) > 200, kind
    nothing_is_wrong(container)


def test_the_image_says_that_strangers_use_it_and_that_nothing_is_downloaded() -> None:
    said = image_environment()
    assert (said["HEADLIGHT_MODE"], said["HF_HUB_OFFLINE"]) == ("public", "1")
