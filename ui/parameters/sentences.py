"""What Parameters says of a count, of growth and of costs, in whole sentences. No Streamlit: numbers in, HTML out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from attn_core.parameters import costs, scaling
from attn_core.parameters.low_rank import Factored
from attn_core.parameters.presets import PRESETS
from attn_core.text.numbers import percent, tenths_of_percent, unbroken
from ui import words
from ui.words import together

if TYPE_CHECKING:
    from ui.parameters.counts import ModelCounts

WORDS = words.beside(__file__)
GROUPS = {
    "attention": ("query", "key", "value", "output", "fused"),
    "MLP": ("up", "gate", "down", "mlp"),
    "embedding and unembedding": ("embedding", "unembedding"),
    "the rest": ("position", "bias", "norm", "other"),
}


def headline(counts: ModelCounts) -> Markup:
    """What the eye should see first; it follows the chosen model and way of counting."""
    total, attention = counts.total(counts.table), counts.attention(counts.table)
    share = attention / total
    said = unbroken(tenths_of_percent(share) if share > 0.001 else percent(share))
    if 0.3 < share < 0.36:
        return WORDS.html("lead.third", attention=attention, total=total, title=counts.table.title, share=said)
    return WORDS.html("lead.share", attention=attention, total=total, title=counts.table.title, share=said)


def provenance(counts: ModelCounts) -> str:
    """How it was counted and where the numbers come from, as HTML."""
    name = counts.page.state["preset"]
    how = WORDS.text("lead.counted", "formula" if counts.table.source == "formula" else "class")
    source = PRESETS[name].source if name in PRESETS and not counts.is_own else ""
    return escape(f"{how} · {source}" if source else how)


def way(counts: ModelCounts) -> str:
    """How the numbers are counted, for captions."""
    return WORDS.text("how", "lesson" if counts.lesson else "all")


def read_aloud(counts: ModelCounts) -> Markup | str:
    """One head, one block, all blocks; and why GPT-3's attention is a third."""
    table, shape = counts.table, counts.shape
    if shape is None or shape.kind == "encoder-decoder" or shape.n_groups != shape.n_heads:
        return ""
    every = table.lesson_attention
    block = every // max(1, shape.n_layers)
    up = {line.role: line.count for line in table.lesson}.get("up")
    return together(
        WORDS.html("lesson.aloud", head=block // shape.n_heads, block=block, n=shape.n_layers, all=every),
        WORDS.html("lesson.third") if up == every else "",
    )


def shares_aloud(title: str, parts: dict[str, int]) -> Markup:
    """One bar of shares as a sentence."""
    total = sum(parts.values())
    sums = {name: sum(parts.get(role, 0) for role in roles) for name, roles in GROUPS.items()}
    said = ", ".join(f"{name} {percent(count / total)}" for name, count in sums.items() if count)
    return WORDS.html("shares.aloud", title=title, shares=said)


def thin_aloud(pair: Factored, d_model: int, d_head: int) -> Markup:
    """What the two thin matrices save, if they save anything."""
    return WORDS.html(
        "thin.saves",
        "yes" if pair.times > 1 else "no",
        d_model=d_model,
        full=pair.full,
        d_head=d_head,
        thin=pair.thin,
        times=pair.times,
        query_and_key=pair.query_and_key,
    )


def growth_aloud(grown: scaling.Growth, across: str) -> Markup:
    """Which parts follow which law."""
    laws: dict[str, list[str]] = {}
    for curve in grown.curves:
        laws.setdefault(curve.law or "other", []).append(part_name(curve))
    said = [
        WORDS.text("growth.laws", law, parts=_listed(laws[law]))
        for law in ("quadratic", "linear", "constant", "other")
        if law in laws
    ]
    return WORDS.html("growth.aloud", across=across, laws="; ".join(said))


def part_name(curve: scaling.Curve) -> str:
    """A part as it is read."""
    return {"mlp": "MLP", "norm": "norms", "position": "positions"}.get(curve.part, curve.part)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def costs_aloud(counts: ModelCounts) -> Markup:
    """From where on looking around costs more than projecting, and what shared keys and values save."""
    shape, latent = counts.shape, counts.latent
    if shape is None:
        assert latent is not None
        whole = latent.query + latent.value
        return WORDS.html("costs.latent", latent=latent.latent, whole=whole, factor=f"{latent.saves:.3g}")
    even, saving = WORDS.html("costs.even", even=costs.even_point(shape)), costs.grouping_saves(shape)
    if saving is None:
        return even
    grouped = WORDS.html(
        "costs.grouped",
        heads=saving.heads,
        groups=saving.groups,
        formula=saving.formula,
        parameters=saving.parameters,
        factor=saving.cache_factor,
    )
    return together(even, grouped)
