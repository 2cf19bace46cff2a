"""What an answer sends: a click sends what it changed, and names what the visitor's browser has already."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosted import hosted

from attn_core.figures import scripts
from benchmarks.load import Visitor, headline

SENTENCE = "a fox ran over the hill"
TILE = {"layer": 4, "head": 5, "query": 0, "key": 0}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("answers")
    with hosted(folder) as running:
        yield running.address


@pytest.fixture
def visitor(address: str) -> Visitor:
    """A visitor whose front page stands open."""
    found = Visitor(address)
    assert "head 0.3" in headline(found.ask(text=SENTENCE))
    return found


def pictures(messages: list[Any]) -> set[str]:
    """The canvas pictures among an answer's messages, by the name of their component."""
    names = {message.delta.new_element.bidi_component.component_name for message in messages}
    return {name.removeprefix("headlight.") for name in names} & {"overview", "cells", "links"}


def test_another_head_sends_that_head_and_names_the_tiles(visitor: Visitor) -> None:
    assert pictures(visitor.whole) == {"overview", "cells", "links"}
    before = visitor.received
    assert "head 4.5" in headline(visitor.click("overview", "opened", TILE))
    assert pictures(visitor.messages) == {"overview", "cells", "links"}
    assert pictures(visitor.whole) == {"cells", "links"}
    assert visitor.received - before < 40_000


def test_another_word_names_the_tiles_and_the_lines_too(visitor: Visitor) -> None:
    before = visitor.received
    visitor.click("heatmap", "chosen", {"row": 2, "column": 0})
    assert pictures(visitor.messages) == {"overview", "cells", "links"}
    assert pictures(visitor.whole) == {"cells"}
    assert visitor.received - before < 40_000


def test_no_answer_carries_a_script(visitor: Visitor, address: str) -> None:
    """A picture's script is named by an address that follows from its content, and fetched once."""
    sent = [message.delta.new_element.bidi_component for message in visitor.whole]
    components = {each.component_name: each for each in sent if each.component_name}
    assert {"headlight.overview", "headlight.view"} <= set(components)
    assert not any(each.js_content for each in components.values())
    path = components["headlight.overview"].js_source_path
    with urllib.request.urlopen(f"{address}/_stcore/bidi-components/headlight.overview/{path}") as got:
        assert got.read().decode() == scripts.module("overview")
        assert "javascript" in got.headers["Content-Type"]
        assert got.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_what_every_page_has_is_few_parts(visitor: Visitor) -> None:
    """One style sheet for all pages, and one fragment for what opens from the menu; parts of a page cost CPU each."""
    elements = [message.delta.new_element for message in visitor.messages]
    styles = [
        element for element in elements if element.html.body.startswith("<style>") and ".hl-lead" in element.html.body
    ]
    fragments = {message.delta.fragment_id for message in visitor.messages if message.delta.fragment_id}
    assert (len(styles), len(fragments)) == (1, 1)
    assert len(visitor.messages) <= 100  # 94, and what is shown while a busy machine computes
