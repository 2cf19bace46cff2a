"""Find heads (`pages/find_heads.py`): paint what you look for, see each head's kind, switch heads off.

`search.py`, `kinds.py` and `ablation.py` compute and word one aspect each, without Streamlit; `words.toml` has the
sentences. `…_cards.py` and `ablation_map.py` draw them.
May import `ui.page`, `ui.stream`, `ui.stream_links`, `ui.drawing`, `ui.server`, `ui.link`, `ui.words` and `attn_core`;
no other page's folder. Start with `pages/find_heads.py`, then `search.py`.
"""
