"""What kind of head is each: the sentences, the map and the tables that follow from one classification. No Streamlit.

`table` is what `attn_core.heads.kinds.classify_heads` gives: one row a head.
"""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_kinds
from attn_core.heads import rules, samples
from attn_core.heads.kinds import COLUMNS
from attn_core.text.numbers import percent
from ui import words
from ui.words import how_many

WORDS = words.beside(__file__)


def headline(table: pd.DataFrame) -> Markup:
    """How many heads follow a simple rule, and which rule most."""
    named = table.kind[table.kind != rules.NO_PATTERN]
    if named.empty:
        return WORDS.html("kinds.lead.none", heads=len(table))
    counts = named.value_counts()
    kind, count = rules.KINDS[counts.index[0]], int(counts.iloc[0])
    best = table[table.kind == kind.name].sort_values(f"{kind.name} lift", ascending=False).iloc[0]
    return WORDS.html(
        "kinds.lead.found",
        how_many(count),
        named=len(named),
        heads=len(table),
        count=count,
        meaning=kind.meaning.replace("looks", "look") if count > 1 else kind.meaning,
        head=f"{best.layer:.0f}.{best['head']:.0f}",
    )


def cost(table: pd.DataFrame) -> Markup:
    """On what the heads were judged."""
    about = table.attrs
    return WORDS.html(
        "kinds.cost",
        sentences=about["sentences"],
        samples=about["samples"],
        length=about["length"],
        repeats=samples.REPEATS,
        seeds=", ".join(map(str, about["seeds"])),
    )


def packet(table: pd.DataFrame, n_layers: int) -> bytes:
    """Layers × heads by kind, with the rule that each head follows best."""
    shape = (n_layers, -1)
    titles = table.kind.map(rules.kind_title).to_numpy().reshape(shape).tolist()  # [layer][head]
    notes = table.apply(_note, axis=1).to_numpy().reshape(shape).tolist()
    return pack_kinds(titles, {kind.title: kind.meaning for kind in rules.KINDS.values()}, notes=notes)


def _note(row: pd.Series) -> str:
    """The rule that a head follows best, whether or not it is enough for a name."""
    lifts = {name: row[f"{name} lift"] for name in rules.KINDS if row[f"{name} lift"] == row[f"{name} lift"]}
    best = max(lifts, key=lambda name: lifts[name], default=None)
    sink = percent(row.sink)
    if best is None:
        return WORDS.text("kinds.note.sink", sink=sink)
    share, chance = percent(row[best]), percent(row[f"{best} chance"])
    return WORDS.text("kinds.note.rule", rule=rules.KINDS[best].title, share=share, chance=chance, sink=sink)


def measures_with_values(table: pd.DataFrame) -> list[str]:
    """The measures that mean something here: a decoder has no next token, two sentences have no distance."""
    return [name for name in COLUMNS if table[name].notna().any()]


def names(table: pd.DataFrame) -> list[str]:
    """Every head as people name it: "0.3"."""
    return [f"{row.layer}.{row.head}" for row in table.itertuples()]


def kind_titles(table: pd.DataFrame) -> list[str]:
    """Every head's kind, "" where it follows no rule."""
    return ["" if kind == rules.NO_PATTERN else rules.KINDS[kind].title for kind in table.kind]


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Every measure of every head, in the units of a table; columns without a number are left out."""
    found = pd.DataFrame({"head": names(table), "kind": table.kind.map(rules.kind_title).to_numpy()})
    for measure in COLUMNS.values():
        found[measure.title] = measure.factor * table[measure.name].to_numpy()
    return found.dropna(axis=1, how="all")


def definitions() -> pd.DataFrame:
    """What each kind means, from when on its name is given, and who described it."""
    rows = [(kind.title, kind.meaning, kind.threshold, kind.source) for kind in rules.KINDS.values()]
    return pd.DataFrame(rows, columns=["kind", "what it does", "named from", "source"])
