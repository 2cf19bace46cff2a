"""Parameters: how many numbers a model has, where they are, how they grow and what they cost.

Start with `counts.py` (what is counted, as the link says it) and `words.toml` (what is said; `sentences.py` fills it
without Streamlit). `controls` chooses, `charts`, `explanations` and `real_head` draw, on `cards`. May import
`attn_core`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`; no other page.
"""
