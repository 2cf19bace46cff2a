"""Every way from page to page, the menu between all pairs and each link that a page offers, opens without a remark."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

import pytest
from page_driver import PAGES, ROOT, checked, html, menu_links, script_of
from streamlit.testing.v1 import AppTest

UNUSUAL = {  # own values that another page's parameter of the same name does not have
    "app.py": {"key": "2", "queries": "columns"},
    "pages/compare_heads.py": {"panels": "4", "panel_pair": "cd", "head_d": "5"},
    "pages/parameters.py": {"own": "1", "d_model": "96", "n_heads": "6", "d_head": "16", "stream": "cross"},
    "pages/lesson.py": {"stop": "3", "stop_guess": "2"},
    "pages/step_by_step.py": {"key_guess": "3", "from": "2"},
    "pages/word_senses.py": {"sense_pair": "1-2"},
    "pages/delta_e.py": {"axes": "3"},
    "pages/patching.py": {"direction": "noising", "part": "value", "through": "q"},
    "pages/why_there.py": {"compared": "zero", "opened": "1"},
    "pages/training.py": {"checkpoint": "5"},
    "pages/predict_first.py": {"painted": "2_3"},
}


def follow(page: AppTest, script: str, query: str) -> AppTest:
    """Another page, opened in the same session by the link that this one offers."""
    page.query_params.clear()
    for name, value in parse_qsl(query, keep_blank_values=True):
        page.query_params[name] = value
    page.switch_page(script)
    return checked(page.run())


def address(page: AppTest) -> dict[str, str]:
    return {name: said if isinstance(said, str) else said[-1] for name, said in page.query_params.items()}


def links(page: AppTest) -> list[tuple[str, str]]:
    """The page's links into other pages: their scripts, and what they say."""
    found = [(script_of(name), said) for name, said in menu_links(page)]
    for element in page.get("page_link"):
        name = element.proto.page
        found.append(("app.py" if name in ("", "app") else f"pages/{name}.py", element.proto.query_string))
    return list(dict.fromkeys(found))


def remarks(page: AppTest) -> list[str]:
    said = html(page)
    notes = re.findall(r'<div class="hl-note"[^>]*>(.*?)</div>', said)
    return [note for note in notes if "cannot be shown" in note or "not known on this page" in note] + (
        ["Something went wrong"] if "Something went wrong" in said else []
    )


def start(script: str, **params: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)  # a page that runs by itself has no links
    page.switch_page(script)
    for name, value in {"v": "1", **params}.items():
        page.query_params[name] = value
    return checked(page.run())


def round_trip(places: list[str], steps: Iterable[int]) -> list[str]:
    """A round that goes once each way from a place to those that stand so many places behind it."""
    n = len(places)
    ways = {here: [places[(at + step) % n] for step in steps] for at, here in enumerate(places)}
    stack, round_ = [places[0]], []
    while stack:
        if ways[stack[-1]]:
            stack.append(ways[stack[-1]].pop())
        else:
            round_.append(stack.pop())
    return round_[::-1]


@pytest.mark.parametrize(
    "steps", [(1, 4, 9), pytest.param(range(1, len(PAGES)), marks=pytest.mark.full)], ids=["three", "every"]
)
def test_the_menu_leads_from_every_page_to_others_without_a_remark(steps: Iterable[int]) -> None:
    """Also where both have a parameter of one name, such as `axes`; what was chosen is there when one comes back."""
    round_, been = round_trip(PAGES, steps), set()
    page = start(round_[0])
    for here, there in itertools.pairwise(round_):
        page.session_state["menu_open"] = True  # the drawer has every page
        checked(page.run())
        query = next(said for script, said in links(page) if script == there)
        if there not in been:
            query += "&" + urlencode(UNUSUAL.get(there, {}))
        follow(page, there, query)
        assert remarks(page) == [], f"{here} → {there}?{query}"
        been.add(there)
        now = {name: value for name, value in address(page).items() if name in UNUSUAL.get(there, {})}
        assert now == UNUSUAL.get(there, {}), f"{here} → {there}"


LINKING = [*PAGES, *(f"pages/lesson.py?stop={stop}" for stop in range(2, 9)), "app.py?model=tiny-decoder"]


@pytest.mark.parametrize("place", LINKING)
def test_every_link_that_a_page_offers_opens_what_it_says(place: str) -> None:
    script, _, query = place.partition("?")
    page = start(script, **dict(parse_qsl(query)))
    menu = {said for _, said in links(page)[:8]}
    assert len(links(page)) >= 8
    for other, said in links(page):
        if said not in menu:
            assert remarks(start(other, **dict(parse_qsl(said, keep_blank_values=True)))) == [], f"{other}?{said}"
