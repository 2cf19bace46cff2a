"""Word senses: one embedding, several meanings; where they separate, and which heads separate them.

Start with `board.py` (the word and its sentences, as the link says them) and `reading.py` (the same, read by the
model); `charts` and `heads` draw it. May import `attn_core`, `ui.drawing`, `ui.shell`, `ui.server`, `ui.page`; no
other page.
"""
