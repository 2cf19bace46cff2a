"""All heads, the first page (`app.py`): every head of every layer at a glance, one of them opened.

`head.py` is the head as the link names it, with its sentences; `packets.py` what pictures hold; `words.toml` the words.
The other modules draw: `overview`, `head_charts`, `token_row`, `next_token` with `writing`,
`film` and `lens`, and `own_head`.
May import `ui.page`, `ui.drawing`, `ui.server`, `ui.link`, `ui.words` and `attn_core`; no other page's folder.
Start with `app.py`, then `head.py`.
"""
