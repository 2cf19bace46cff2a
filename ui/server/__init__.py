"""What visitors share: models, forward passes and what is derived from them, within budgets of bytes and places.

`cache` keeps values and hands out handles, `shared` holds the one state, `loading` brings models, `passes` runs them,
`derived` checks what pages compute from them.
May import `attn_core`, and no Streamlit: a browser may clear Streamlit's own caches. Start reading with `shared.py`.
"""
