"""Which atom of a reaction's product came from which atom of the reactants, read off one head's pattern.

    found = map_atoms(trace.pattern(10, 5), reaction_tokens(trace.tokens))
    found.partners        # for each atom of the product, the reactants' atom that it was, −1 where none is left
    found.confidence      # the product over all atoms

Nobody taught the model this: it filled in hidden tokens of reactions, and one of its heads learnt to look from an atom
to where that atom was. Source: Schwaller, Hoover, Reymond, Strobelt and Laino 2021, "Extraction of organic chemistry
grammar from unsupervised learning of chemical reactions", Science Advances 7, eabe4166; the greedy rule is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.text.smiles import REACTION, Atoms, read_atoms, split

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.reader import TraceReader

NEIGHBOUR = 90.0  # how many times more atoms count whose neighbours were just mapped to each other


@dataclass(frozen=True)
class AtomMapping:
    """The atoms of both sides and who was whom.

    `reactants` and `products` hold positions among the sentence's tokens and elements; `weights` is what the head puts
    between them, both ways together, 0 between elements: float [product atom, reactant atom]. `partners` and
    `confidences` have one entry a product atom, −1 and 0 where nothing was left to map it to.
    """

    reactants: Atoms
    products: Atoms
    weights: np.ndarray
    partners: np.ndarray
    confidences: np.ndarray

    @property
    def confidence(self) -> float:
        """How sure the whole mapping is, 0 to 1: the product over the atoms that were mapped."""
        return float(np.prod(self.confidences[self.partners >= 0]))

    @property
    def n_mapped(self) -> int:
        return int((self.partners >= 0).sum())


def map_atoms(pattern: np.ndarray, tokens: Sequence[str], neighbour: float = NEIGHBOUR) -> AtomMapping:
    """Map a product's atoms to the reactants', the surest first, from a pattern [query, key] over a reaction's tokens.

    Atoms map to atoms of their element, each to one. Whenever two are mapped, their neighbours count `neighbour` times
    more between each other: 1 leaves the pattern alone to decide. Raises HeadlightError where the tokens are no
    reaction.
    """
    reactants, products = sides(tokens)
    weights = _between(pattern, reactants, products)
    partners, confidences = np.full(len(products.positions), -1), np.zeros(len(products.positions))
    factors = np.ones_like(weights)
    for _ in range(len(partners)):
        shares = _shares(weights * factors)
        product, reactant = np.unravel_index(shares.argmax(), shares.shape)
        if np.isclose(shares[product, reactant], 0):
            break
        partners[product], confidences[product] = reactant, shares[product, reactant]
        factors[np.ix_(products.bonds[product], reactants.bonds[reactant])] *= neighbour
        factors[product, :] = 0
        factors[:, reactant] = 0
    return AtomMapping(reactants, products, weights, partners, confidences)


def reaction_tokens(tokens: Tokens) -> list[str]:
    """A reaction's tokens as they were typed, also those that the model does not know; "" for [CLS] and [SEP]."""
    typed = iter(split(tokens.text))
    return ["" if special else next(typed, "") for special in tokens.special]


def agreement(stream: TraceReader, found: AtomMapping) -> np.ndarray:
    """How many of the mapped atoms each head would map to the same, by its pattern alone: shares, [layer, head]."""
    mapped = np.flatnonzero(found.partners >= 0)
    shares = np.zeros((stream.n_layers, stream.n_heads))
    for layer in range(stream.n_layers):
        for head, pattern in enumerate(stream.patterns(layer)):
            weights = _between(pattern, found.reactants, found.products)[mapped]
            likeliest = np.where(weights.max(axis=1) > 0, weights.argmax(axis=1), -1)
            shares[layer, head] = (likeliest == found.partners[mapped]).mean() if len(mapped) else 0
    return shares


def sides(tokens: Sequence[str]) -> tuple[Atoms, Atoms]:
    """The atoms of what reacts and of what comes of it, positions counted from the sentence's first token."""
    if REACTION not in tokens:
        raise HeadlightError("This is no reaction: type what reacts, >>, and what comes of it, in SMILES.")
    arrow = list(tokens).index(REACTION)
    reactants, products = read_atoms(tokens[:arrow]), read_atoms(tokens[arrow + 1 :])
    if not reactants.positions or not products.positions:
        raise HeadlightError("This reaction has no atom on one of its sides.")
    return reactants, products._replace(positions=[arrow + 1 + i for i in products.positions])


def _between(pattern: np.ndarray, reactants: Atoms, products: Atoms) -> np.ndarray:
    """What a head puts between atoms of one element, from either side to the other: [product atom, reactant atom]."""
    there = pattern[np.ix_(products.positions, reactants.positions)]
    back = pattern[np.ix_(reactants.positions, products.positions)]
    same = np.array(products.elements)[:, None] == np.array(reactants.elements)[None, :]
    weights: np.ndarray = np.where(same, there + back.T, 0).astype(np.float64)
    return weights


def _shares(weights: np.ndarray) -> np.ndarray:
    """Each product atom's weights as shares of their sum; 0 where there is none."""
    sums = weights.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(weights, sums, out=np.zeros_like(weights), where=sums != 0)
    return shares
