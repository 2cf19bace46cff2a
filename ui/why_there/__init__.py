"""The page Why there?: one score of a head, who wrote the query × who wrote the key; flow, and the card of a head.

Start with the views, `score_view`, `flow_view` and `card_view`; then `score.py` (the score that the link names, no
Streamlit) and `words.toml` (what is said). `trail` is the way of clicks, `sentences` the headline; `reading`,
`pictures`, `next_click` and `taken_out` draw; `card` says what a head's card says. May import `attn_core`,
`ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`, `ui.stream_links`; no other page.
"""
