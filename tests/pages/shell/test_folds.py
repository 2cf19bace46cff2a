"""What is folded away is not made before it is opened; one switch opens all of it, for printing."""

from __future__ import annotations

import pytest
from page_driver import checked, html, open_page

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


def test_the_link_names_the_folds_that_are_open_and_opens_them():
    page = open_page("delta_e")
    page.session_state["numbers_words"] = True
    assert checked(page.run()).query_params["folds"] == "numbers_words"
    opened = open_page("delta_e", folds="numbers_words,numbers_of_another_day")
    assert len(opened.dataframe) == 3 and not opened.warning
    opened.session_state["numbers_words"] = False
    assert checked(opened.run()).query_params["folds"] == "numbers_of_another_day"
    assert len(opened.dataframe) == 2


def test_a_link_that_is_opened_later_closes_what_it_does_not_name():
    page = open_page("delta_e", folds="numbers_words")
    page.query_params["folds"] = "numbers_heads"
    assert len(checked(page.run()).dataframe) == 3
    assert page.session_state["numbers_heads"] and not page.session_state["numbers_words"]


@pytest.mark.parametrize("wrong", ["<b>", "a" * 41, ",".join(f"fold_{i}" for i in range(21))])
def test_a_link_with_folds_that_can_not_be_gets_one_sentence(wrong):
    page = open_page("delta_e", folds=wrong)
    assert len(page.dataframe) == 2 and "it names at most 20 folds of the page" in html(page)
