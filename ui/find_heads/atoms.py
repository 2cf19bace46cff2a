"""Which atom of a product was which: a reaction read off one head, as pictures, table and sentences. No Streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.prediction import atom_mapping
from attn_core.prediction.atom_mapping import AtomMapping
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import words
from ui.drawing import markup
from ui.words import how_many

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace

WORDS = words.beside(__file__)


def mapping(trace: Trace, layer: int, head: int) -> AtomMapping:
    """A trace's reaction, mapped by one head; raises HeadlightError where it is no reaction."""
    return atom_mapping.map_atoms(trace.pattern(layer, head), atom_mapping.reaction_tokens(trace.tokens))


def agreement(trace: Trace, layer: int, head: int) -> np.ndarray:
    """Every head by how many atoms it maps as the opened one does, [layer, head]."""
    return atom_mapping.agreement(trace.stream(), mapping(trace, layer, head))


def lines_packet(stream: StreamTrace, found: AtomMapping, name: str, drawn: str) -> bytes:
    """Lines from the product's tokens to the reactants': who was whom, or what the head itself puts there."""
    cells: np.ndarray = np.zeros((len(found.products.positions), len(found.reactants.positions)))
    if drawn == "weights":
        both = found.products.positions, found.reactants.positions
        layer, head = map(int, name.split("."))
        cells = np.asarray(stream.pattern(layer, head), np.float64)[np.ix_(*both)]
    else:
        mapped = np.flatnonzero(found.partners >= 0)
        cells[mapped, found.partners[mapped]] = found.confidences[mapped]
    return pack_links(
        cells[None],
        [stream.tokens.labels[i] for i in found.products.positions],
        [stream.tokens.labels[i] for i in found.reactants.positions],
        heads=[name],
        query_positions=found.products.positions,
        key_positions=found.reactants.positions,
        captions=(WORDS.text("atoms.product"), WORDS.text("atoms.reactants")),
    )


def heads_packet(shares: np.ndarray) -> bytes:
    """Layers × heads by how many atoms they map as the opened head does."""
    texts = [[percent(float(share)) for share in row] for row in shares]
    return pack_values(shares, texts, name=WORDS.text("atoms.heads.name"))


def table(tokens: Tokens, found: AtomMapping) -> pd.DataFrame:
    """Each atom of the product, what it was, how sure that is, and what the head puts between the two, in %."""
    rows = []
    for atom, position in enumerate(found.products.positions):
        partner = int(found.partners[atom])
        was = "–" if partner < 0 else _named(tokens, found.reactants.positions[partner])
        weight = 0.0 if partner < 0 else float(found.weights[atom, partner])
        rows.append((_named(tokens, position), was, 100 * float(found.confidences[atom]), 50 * weight))
    return pd.DataFrame(rows, columns=["product", "was", "sure", "weight"])


def _named(tokens: Tokens, position: int) -> str:
    return f"{visible(tokens.labels[position])} ({position})"


def headline(found: AtomMapping, name: str) -> Markup:
    """How much one head maps, and how sure it is, as HTML."""
    atoms, mapped = len(found.products.positions), found.n_mapped
    if not mapped:
        return WORDS.html("atoms.lead.none", head=name)
    sure = percent(found.confidence)
    if mapped == atoms:
        return WORDS.html("atoms.lead.all", how_many(atoms), head=name, atoms=atoms, sure=sure)
    return WORDS.html("atoms.lead.some", head=name, atoms=atoms, mapped=mapped, sure=sure)


def word_headline(tokens: Tokens, found: AtomMapping, query: int) -> Markup:
    """What the chosen atom of the product was, as HTML; nothing where no atom of the product is chosen."""
    if query not in found.products.positions:
        return Markup()
    atom = found.products.positions.index(query)
    partner = int(found.partners[atom])
    word = markup.query(_named(tokens, query))
    if partner < 0:
        return WORDS.html("atoms.chosen.none", word=word)
    was = markup.key(_named(tokens, found.reactants.positions[partner]))
    return WORDS.html("atoms.chosen.was", word=word, was=was, sure=percent(float(found.confidences[atom])))
