"""Compare heads (`pages/compare_heads.py`): two to four panels on one scale, across heads, sentences and models.

`specs.py` says what each panel shows, `panels.py` what they share, `differences.py` what is told of them; these three
hold no Streamlit and no cache. `params.py` is the link, `reading.py` runs the models, `fine_tuning.py` sets two of one
shape side by side, head by head; the other modules draw.
May import `ui.page`, `ui.stream`, `ui.stream_links`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.link`, `ui.words` and
`attn_core`; no other page's folder. Start with `pages/compare_heads.py`, then `panels.py`.
"""
