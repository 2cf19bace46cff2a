"""Step by step: one head in eight steps, from the words' vectors to E + ΔE, every number real.

Start with `subject.py` (what is walked through: a head of a model, or the pocket-size one), `strip.py` (which step) and
`words.toml` (what is said). `sentences_scores` and `sentences_values` fill the sentences without Streamlit, `pocket/`
is the head that comes first at each step; the other modules draw, a step or two each. May import `attn_core`,
`ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`; no other page.
"""
