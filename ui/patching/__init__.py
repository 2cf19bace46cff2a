"""The page Patching: take something of sentence A, put it into B, and see how much of the answer moves over.

Start with `layout`; then `asked` (what the link asks for, and what is computed of it for everybody, no Streamlit) and
`words.toml` (what is said). `params` are the page's own, `reading` reads both sentences, `computing` shows progress and
stops, `maps` and `paths` draw. May import `attn_core`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.page`, `ui.stream`,
`ui.stream_links`.
"""
