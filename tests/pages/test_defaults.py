"""A shared link leaves out what has its default, so the defaults of a version must never change under it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from page_driver import PAGES, ROOT
from streamlit.testing.v1 import AppTest

from ui.link import VERSION

KNOWN = json.loads((Path(__file__).parent / "defaults-v1.json").read_text())


def defaults(page_name: str) -> dict[str, str]:
    """Every parameter of a page as it is when nobody has said anything, in the words of a link."""
    page = AppTest.from_file(str(ROOT / page_name), default_timeout=300)
    page.query_params["v"] = "1"  # with a version in it, the address bar is written out
    page.run()
    assert not page.exception
    return {name: value if isinstance(value, str) else value[0] for name, value in page.query_params.items()}


def test_every_question_that_the_app_asks_is_known_to_a_test() -> None:
    """A page that asks holds the answer back by a parameter. One that is new belongs here and into a test of its own,
    which finds the answer nowhere before the guess, in text, table or alt.
    """
    asking = re.compile("guess|told|painted|uncovered")
    found = {f"{page} {name}" for page, params in KNOWN.items() for name in params if asking.search(name)}
    assert found == {
        "pages/lesson.py stop_guess", "pages/lesson.py told",  # test_lesson: nothing on the screen answers a question …
        "pages/step_by_step.py key_guess", "pages/step_by_step.py guess_told",  # test_steps: nothing on the page …
        "pages/predict_first.py painted", "pages/predict_first.py uncovered",  # test_predict_first: nothing tells …
    }  # fmt: skip


@pytest.mark.parametrize("page_name", PAGES)
def test_the_defaults_of_version_1_are_what_they_were(page_name: str) -> None:
    assert VERSION == "1", "write the defaults of the new version down beside those of the old"
    assert defaults(page_name) == KNOWN[page_name], (
        "a new parameter: add its default to defaults-v1.json. A changed default: links would show something else, "
        "so raise VERSION and keep the old defaults for links of the old version"
    )
