"""SMILES: split as the authors' own splitter does, and who is bound to whom."""

from __future__ import annotations

import numpy as np
import pytest

from attn_core.text.smiles import is_reaction, read_atoms, split

# Recorded once from the splitter in the package rxnmapper 0.4.3.
RECORDED = [
    "C C ( C ) S . C N ( C ) C = O . F c 1 c c c n c 1 F . O = C ( [O-] ) [O-] . [K+] . [K+] "
    ">> C C ( C ) S c 1 n c c c c 1 F",
    "C C [O-] ~ [Na+] . Br C C . [Na+] ~ [H-] >> C C O C C",
    "C O C ( = O ) C C Br . O = C [O-] - > [K+] >> C O C ( = O ) C C O C ( = O ) C",
    "[1*] C = C . O >> * C C O",
    "C [C@@H] ( N ) C ( = O ) O . O = S ( Cl ) Cl >> F / C = C / %10 C C \\ C %10",
    "B 1 O C 1 . [nH] 1 c c c c 1 . I I . Cl C # N >> P = [Se]",
]  # fmt: skip


@pytest.mark.parametrize("recorded", RECORDED)
def test_it_splits_as_the_authors_splitter_does(recorded: str) -> None:
    assert split(recorded.replace(" ", "")) == recorded.split(" ")


def test_nothing_typed_is_lost() -> None:
    assert split("  CCx!C\n") == ["C", "C", "x!", "C"]
    assert split("") == [] and "".join(split("a fluffy blue creature")) == "a fluffy blue creature"


def bonds(text: str) -> set[tuple[int, int]]:
    found = read_atoms(split(text)).bonds
    assert np.array_equal(found, found.T) and not found.diagonal().any()
    return {(int(i), int(j)) for i, j in np.argwhere(np.triu(found))}


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("CCO", {(0, 1), (1, 2)}),
        ("CC(C)(N)O", {(0, 1), (1, 2), (1, 3), (1, 4)}),
        ("c1ccncc1", {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)}),
        ("C%10CC%10", {(0, 1), (1, 2), (0, 2)}),
        ("C.C", set()),
        ("C1CC2CC1C2", {(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (4, 5), (2, 5)}),
        ("C[O-]~[Na+]", {(0, 1), (1, 2)}),
        ("))C1((C", {(0, 1)}),  # nothing closes, one ring stays open
    ],
)
def test_bonds_follow_chains_branches_and_rings(text: str, bound: set[tuple[int, int]]) -> None:
    assert bonds(text) == bound


def test_atoms_have_their_place_and_element() -> None:
    found = read_atoms(["", *split("[13CH3]c[nH]=[Cl-]"), ""])
    assert found.positions == [1, 2, 3, 5] and found.elements == ["C", "C", "N", "Cl"]


def test_what_a_reaction_is() -> None:
    assert is_reaction("CC>>C") and is_reaction(" C.C >> CC")
    assert not any(map(is_reaction, ("CC", "CC>>", ">>", "CC>C", "1>>2", "a fluffy creature >> gone", "")))
