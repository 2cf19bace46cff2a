"""SMILES, chemistry's way to write a molecule as text: split into tokens, which of them are atoms, and their bonds.

    split("CC(=O)O>>CCl")               # ['C', 'C', '(', '=', 'O', ')', 'O', '>>', 'C', 'Cl']
    read_atoms(split("c1ccncc1"))       # the positions of six atoms, their elements, and who is bound to whom

Every character that the grammar does not have stays in the text as a token of its own, so nothing typed is lost.
Source: Weininger 1988 (SMILES); Schwaller et al. 2019, "Molecular Transformer", for the tokens that models read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

REACTION = ">>"  # between what reacts and what comes of it
# An atom in brackets, one of the common elements (small letters are aromatic), a ring's two-digit number, or one sign.
# What stands in brackets has a longest length and no bracket, so that a million openers are read as fast as letters.
TOKEN = r"\[[^\[\]]{1,60}\]|Br|Cl|[BCNOPSFIbcnops*]|%[0-9]{2}|>>?|[().=#\-+\\/:~@?$]|[0-9]"
_TOKEN = re.compile(TOKEN)
_ELEMENT = re.compile(r"\[[0-9]*(se|as|te|[bcnops]|[A-Z][a-z]?|\*)")


class Atoms(NamedTuple):
    """The atoms of a text: their positions among its tokens, their elements ("C"), and bonds, bool [atom, atom]."""

    positions: list[int]
    elements: list[str]
    bonds: np.ndarray


def split(text: str) -> list[str]:
    """The tokens of a SMILES text, in order; joined they are the text, without the space around it.

    >>> split("[nH]1cc(Cl)c1")
    ['[nH]', '1', 'c', 'c', '(', 'Cl', ')', 'c', '1']
    """
    return [token for token in re.split(f"({TOKEN})", text.strip()) if token]


def is_reaction(text: str) -> bool:
    """Whether a text is written as a reaction: molecules, `>>`, and what comes of them."""
    left, arrow, right = text.partition(REACTION)
    return bool(arrow) and all(_is_written_in_smiles(split(side)) for side in (left, right))


def _is_written_in_smiles(tokens: Sequence[str]) -> bool:
    return all(_TOKEN.fullmatch(token) for token in tokens) and any(map(is_atom, tokens))


def is_atom(token: str) -> bool:
    """Whether a token is an atom; a model's own special tokens, such as [CLS], are none but look so.

    >>> [is_atom(token) for token in ("C", "[nH]", "*", "=", "1", ">>")]
    [True, True, True, False, False, False]
    """
    return bool(_TOKEN.fullmatch(token)) and (token[0].isalpha() or token[0] in "[*")


def element(token: str) -> str:
    """An atom's element, whatever its charge, isotope and hydrogens, aromatic or not.

    >>> [element(token) for token in ("c", "[nH]", "[13CH3]", "[Na+]", "Br")]
    ['C', 'N', 'C', 'Na', 'Br']
    """
    found = _ELEMENT.match(token)
    return (found[1] if found else token).capitalize()


def read_atoms(tokens: Sequence[str]) -> Atoms:
    """The atoms of a sequence of tokens and their bonds; those that are not written out, hydrogens, are left out.

    Branches and rings are followed; whatever is not closed, or closes nothing, binds nobody.
    """
    positions = [i for i, token in enumerate(tokens) if is_atom(token)]
    number = {position: atom for atom, position in enumerate(positions)}
    bonds = np.zeros((len(positions), len(positions)), bool)
    before: int | None = None  # the atom that the next one is bound to
    branches: list[int | None] = []
    rings: dict[str, int] = {}  # an open ring's number and the atom that it began with
    for i, token in enumerate(tokens):
        if i in number:
            _bind(bonds, before, number[i])
            before = number[i]
        elif token == "(":
            branches.append(before)
        elif token == ")" and branches:
            before = branches.pop()
        elif token in (".", REACTION):
            before = None
        elif token.lstrip("%").isdigit() and before is not None:
            _bind(bonds, rings.pop(token), before) if token in rings else rings.update({token: before})
    return Atoms(positions, [element(tokens[i]) for i in positions], bonds)


def _bind(bonds: np.ndarray, first: int | None, second: int) -> None:
    if first is not None and first != second:
        bonds[first, second] = bonds[second, first] = True
