"""Why a head looks where it looks: a score split by its writers, the flow behind a word, the card of a head, patching.

May import heads, capture, models, traces, residual, text and the mathematics. Start with `score_parts` and
`value_parts`, which a trace's own methods call: `writers` says who wrote what into the residual stream, `head_maps`
what a head makes of it, with the matrices of `projections`. `head_card` is what holds for a head in every sentence,
from its weights and repeated tokens; `fine_tuning` lays the heads of two models beside each other.
"""
