"""The ΔE page: what each head adds to a word, where that came from, and where it takes the word.

Start with `token.py` (one token at one layer, computed once); `headline` says it in a sentence, `head_map`, `charts`,
`arrows` and `ledger_table` draw it. May import `attn_core`, `ui.drawing`, `ui.shell`, `ui.server`, `ui.page`; no
other page.
"""
