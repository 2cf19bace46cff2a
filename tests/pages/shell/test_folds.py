"""What is folded away is not made before it is opened; one switch opens all of it, for printing."""

from __future__ import annotations

import pytest
from page_driver import checked, open_page

from ui.shell.folds import EVERY

# page: (what its link says, tables of the page, folds and the tables in them)
PAGES = {
    "delta_e": ({}, 2, {"numbers_heads": 1, "numbers_sources": 1, "numbers_words": 1, "numbers_delta": 1}),
    "why_there": ({"layer": "3"}, 2, {"numbers_pairs": 1, "numbers_brought": 1}),
    "word_senses": ({}, 1, {"numbers_heads": 1, "numbers_cosines": 1, "numbers_paths": 1}),
    "step_by_step": ({"all_steps": 1}, 0, {f"numbers_{step}": 1 for step in range(1, 9) if step != 7}),
    "parameters": ({}, 1, {"numbers_parts": 1, "numbers_shares_one": 1}),
    "find_heads": ({"find": "kinds"}, 1, {"definitions": 1}),
}


def folds(page):
    return {block.proto.id: block.label for block in page.get("expander") if block.proto.id}


@pytest.mark.parametrize("name", PAGES)
def test_a_closed_fold_holds_nothing_and_says_what_it_will_hold(name):
    link, tables, _ = PAGES[name]
    page = open_page(name, **link)
    assert len(page.dataframe) == tables
    assert all(len(label) > len("The numbers") for label in folds(page).values())


@pytest.mark.parametrize("name", PAGES)
def test_every_fold_has_its_table_once_it_is_open(name):
    link, tables, inside = PAGES[name]
    page = open_page(name, **link)
    for key, count in inside.items():
        page.session_state[key] = True
        tables += count
    assert len(checked(page.run()).dataframe) == tables


def test_the_switch_in_save_opens_all_and_closes_what_it_opened():
    page = open_page("delta_e", menus=True)
    page.session_state["numbers_words"] = True  # one that the visitor opened
    assert len(checked(page.run()).dataframe) == 3
    (switch,) = [toggle for toggle in page.toggle if toggle.label == "Print with tables"]
    checked(switch.set_value(True).run())
    assert len(page.dataframe) == 6 and page.session_state[EVERY]
    (switch,) = [toggle for toggle in page.toggle if toggle.label == "Print with tables"]
    checked(switch.set_value(False).run())
    assert len(page.dataframe) == 3 and not page.session_state["numbers_heads"]
