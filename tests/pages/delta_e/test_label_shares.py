"""Each head's share of a label on the page ΔE, and a head that is off on Find heads, for a fine-tuned classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import own_heads
import pytest
from families import TEXT
from page_driver import lead, notes, open_page, packets, table, text
from scipy.stats import entropy

import attn_core as ac
from attn_core.residual.label_attribution import label_attribution
from attn_core.text.numbers import percent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    own_heads.save("bert", folder)
    return folder


@pytest.fixture(scope="module")
def trace(folder: Path) -> ac.Trace:
    return ac.trace(ac.load(folder), TEXT)


def on_the_map(page) -> np.ndarray:
    return np.array(packets(page)["delta_map"][0]["values"])


def test_the_share_of_the_likeliest_label_is_on_every_head(folder: Path, trace: ac.Trace) -> None:
    page, said = open_page("delta_e", model=folder, text=TEXT, measure="label", query=3), trace.label_probabilities()
    best = int(said.probabilities.argmax())
    parts = label_attribution(trace.stream(), best)
    np.testing.assert_allclose(on_the_map(page), parts.heads, atol=1e-4)
    assert f"own logit of “{said.labels[best]}” is {said.logits[best]:+.3g} ✓ the same" in text(page)
    assert "where its head reads it: [CLS]" in text(page) and "a pooler’s tanh" in text(page)


def test_one_label_against_another(folder: Path, trace: ac.Trace) -> None:
    page = open_page("delta_e", model=folder, text=TEXT, measure="label", towards="Dull", against="fine")
    judge = label_attribution(trace.stream(), 0).heads - label_attribution(trace.stream(), 2).heads
    np.testing.assert_allclose(on_the_map(page), judge, atol=1e-4)
    assert "logit of “dull” minus that of “fine”" in text(page)


def test_a_name_that_is_no_label_gets_a_sentence_with_those_there_are(folder: Path) -> None:
    page = open_page("delta_e", model=folder, text=TEXT, measure="label", towards="<b>good</b>")
    assert "“<b>good</b>” is no label of this model. It has: dull, fair, fine." in notes(page)


def test_a_model_without_labels_is_not_asked_for_one() -> None:
    page = open_page("delta_e", measure="label")
    assert page.session_state["measure"] == "size"


def test_a_head_that_is_off_moves_the_labels(folder: Path, trace: ac.Trace) -> None:
    page = open_page("find_heads", find="matter", model=folder, text=TEXT, off="0.2", query=3)
    after = ac.trace(ac.load(folder), TEXT, without=[(0, 2)])
    p, q = (own.label_probabilities().probabilities for own in (trace, after))
    moved, names = int(np.abs(q - p).argmax()), trace.stream().own_head.labels
    shown = table(page, "label")
    assert sorted(shown["label"]) == sorted(names) and shown["label"][0] == names[int(p.argmax())]
    assert shown["with"][0] == pytest.approx(100 * p.max(), rel=1e-4)
    goes = f"{names[moved]} goes from {percent(p[moved])} to {percent(q[moved])}"
    assert lead(page) == f"Without head 0.2, the labels move by {entropy(p, q, base=2):.2f} bits: {goes}."
