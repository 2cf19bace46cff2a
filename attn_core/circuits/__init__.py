"""Why a head looks where it looks: a score split by who wrote the query and who wrote the key.

May import traces, residual, text and the mathematics. Start with `score_parts` and `value_parts`, which a trace's own
methods call; `writers` says who wrote what into the residual stream, `head_maps` what a head makes of it.
"""
