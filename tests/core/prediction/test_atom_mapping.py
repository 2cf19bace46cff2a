"""The mapping of a reaction's atoms by one head: worked out by hand on small patterns."""

from __future__ import annotations

import numpy as np
import pytest

from attn_core.errors import HeadlightError
from attn_core.prediction.atom_mapping import map_atoms
from attn_core.text.smiles import split


def pattern(tokens: list[str], looks: dict[tuple[int, int], float]) -> np.ndarray:
    found = np.zeros((len(tokens), len(tokens)), np.float32)
    for (query, key), weight in looks.items():
        found[query, key] = weight
    return found


def test_each_atom_goes_to_its_element_and_to_one_alone() -> None:
    tokens = ["", *split("CO>>OC"), ""]  # 1 C, 2 O, 3 >>, 4 O, 5 C
    found = map_atoms(pattern(tokens, {(4, 1): 0.9, (4, 2): 0.1, (5, 1): 0.2}), tokens)
    assert found.products.positions == [4, 5] and found.reactants.positions == [1, 2]
    assert found.partners.tolist() == [1, 0]  # the O is no C, whatever its weight
    assert found.confidences.tolist() == [1, 1] and found.confidence == 1 and found.n_mapped == 2


def test_both_directions_count_and_confidence_is_a_share() -> None:
    tokens = ["", *split("CC>>C"), ""]
    found = map_atoms(pattern(tokens, {(4, 1): 0.25, (1, 4): 0.5, (4, 2): 0.25}), tokens)
    assert found.weights.tolist() == [[0.75, 0.25]]
    assert found.partners.tolist() == [0] and found.confidence == pytest.approx(0.75)


def test_the_neighbours_of_what_was_mapped_count_more() -> None:
    tokens = ["", *split("NC.C>>NC"), ""]  # 1 N, 2 C beside it, 4 C alone; 6 N, 7 C
    looks = {(6, 1): 0.9, (7, 2): 0.1, (7, 4): 0.2}
    assert map_atoms(pattern(tokens, looks), tokens, neighbour=1).partners.tolist() == [0, 2]
    near = map_atoms(pattern(tokens, looks), tokens)
    assert near.partners.tolist() == [0, 1]
    assert near.confidences[1] == pytest.approx(90 * 0.1 / (90 * 0.1 + 0.2))


def test_an_atom_that_nothing_is_left_for_is_said() -> None:
    tokens = ["", *split("C>>CF"), ""]
    found = map_atoms(pattern(tokens, {(3, 1): 0.5}), tokens)
    assert found.partners.tolist() == [0, -1] and found.n_mapped == 1 and found.confidence == 1


@pytest.mark.parametrize("text", ["CC", "CC>>", ">>C"])
def test_what_is_no_reaction_is_one_sentence(text: str) -> None:
    tokens = ["", *split(text), ""]
    with pytest.raises(HeadlightError, match="reaction"):
        map_atoms(np.zeros((len(tokens),) * 2), tokens)
