"""Step by step: one head, from the words' vectors to E + ΔE, every number real.

Start with `subject.py` (what is walked through: a head of a model, or the pocket-size one); `start`, `vectors`,
`queries_and_keys`, `scores`, `pattern`, `values` and `ablations` draw the steps in that order, `layout` and `grids`
hold what they share. May import `attn_core`, `ui.drawing`, `ui.shell`, `ui.server`, `ui.page`; no other page.
"""
