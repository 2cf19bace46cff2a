"""The page Why there?: one score of a head, split into who wrote the query × who wrote the key, and the next click.

Start with `score.py` (the score that the link names, computed once, no Streamlit) and `words.toml` (what is said).
`trail` is the way of clicks that led here, `sentences` the headline; `reading`, `pictures`, `next_click` and
`taken_out` draw. May import `attn_core`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`; no other page.
"""
