"""The page Training: the pattern is the checkpoint's own, sentence, marked change and table agree."""

from __future__ import annotations

import numpy as np
import pytest
from page_driver import array, checked, figure, html, lead, load, open_page, packets, table, text

import attn_core as ac
from attn_core.models.history import checkpoint, history_of
from attn_core.text.numbers import percent

HUNGRY = "a hungry fluffy blue creature"


@pytest.mark.parametrize("at", [0, 5, 11])
def test_the_pattern_and_the_headline_are_of_the_checkpoint(at: int) -> None:
    page = open_page("training", checkpoint=at, query=5)
    now = ac.trace(checkpoint("tiny-decoder", at), HUNGRY).pattern(1, 1)
    end = ac.trace(load("tiny-decoder"), HUNGRY).pattern(1, 1)
    header, cells = packets(page)["training_pattern"]
    for shown, true in zip(cells, (now, end), strict=True):
        assert np.allclose(np.nan_to_num(shown), true, atol=1e-6)
    steps = f"{history_of('tiny-decoder').steps[at]:,}"
    assert [panel["title"] for panel in header["panels"]][0] == f"after {steps} steps"
    gives = f"head 1.1 gives hungry {percent(float(now[5, 2]))} of creature’s weight"
    last = f"{history_of('tiny-decoder').steps[-1]:,}"
    assert (
        lead(page)
        == {
            0: f"Before any training, {gives}: its matrices are still random.",
            5: f"After {steps} of {last} steps, {gives}; in the end it will be {percent(float(end[5, 2]))}.",
            11: f"After all {last} steps, {gives}.",
        }[at]
    )


def test_the_lines_the_marked_change_and_the_table_say_the_same() -> None:
    found, page = history_of("tiny-decoder"), open_page("training", checkpoint=5, every_fold=True)
    lines = {name: figure(page, f"training_{name}") for name in ("skills", "moles", "loss")}
    assert np.allclose(array(lines["skills"]["data"][0]["y"]), found.induction.max(axis=(1, 2)))
    assert np.allclose(array(lines["skills"]["data"][1]["y"]), found.deciding_adjective[:, 1, 1])
    assert np.allclose(array(lines["moles"]["data"][1]["y"]), found.between_senses)
    assert np.allclose(array(lines["loss"]["data"][0]["y"]), found.loss)
    for each in lines.values():
        (band,) = [shape for shape in each["layout"]["shapes"] if shape["type"] == "rect"]
        assert (band["x0"], band["x1"]) == found.change == (5, 6)
        assert "the change" in [note["text"] for note in each["layout"]["annotations"]]
    assert "Between steps 1,400 and 1,500" in text(page) and "Olsson et al. (2022" in text(page)
    rows = table(page, "loss")
    assert list(rows["steps"]) == list(found.steps) and np.allclose(rows["loss"], found.loss, atol=5e-4)


@pytest.mark.parametrize("raw", ["12", "-1", "x", "1.5"])
def test_a_checkpoint_that_there_is_not_is_said(raw: str) -> None:
    assert "cannot be shown" in text(open_page("training", checkpoint=raw))


def test_the_lesson_and_the_kit_lead_here() -> None:
    for page, stop in (("lesson", {"stop": 5}), ("lesson", {"stop": 8}), ("teachers_kit", {}), ("about", {})):
        said = html(open_page(page, **stop))
        assert "Watch a head learn" in said, page


def test_a_sentence_of_ones_own_is_read_at_every_step() -> None:
    page = checked(open_page("training", checkpoint=6, text="a shy old zorple"))
    assert "zorple°" in [
        label for panel in packets(page)["training_pattern"][0]["panels"] for label in panel["query_labels"]
    ]
