"""Word senses: one embedding, several meanings; where they separate, and which heads separate them.

Start with `board.py` (the word and its sentences, as the link says them), `comparison.py` (the same, read; no
Streamlit) and `words.toml` (what is said); `reading`, `charts` and `heads` draw, on `cards`. May import `attn_core`,
`ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`, `ui.stream_links`; no other page.
"""
