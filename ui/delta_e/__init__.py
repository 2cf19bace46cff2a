"""The ΔE page: what each head adds to a word, where that came from, and where it takes the word.

Start with `token.py` (one token at one layer, computed once, no Streamlit) and `words.toml` (what is said).
`headline` and `sentences` fill the sentences; `head_map`, `charts`, `arrows` and `parts_table` draw, on `cards`. May
import `attn_core`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`, `ui.stream_links`; no other page.
"""
