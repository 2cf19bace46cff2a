"""Parameters: how many numbers a model has, where they are, how they grow and what they cost.

Start with `counts.py` (what is counted, as the link says it); `controls` chooses, `charts` and `explanations` show,
`real_head` looks at the weights of one head. May import `attn_core`, `ui.drawing`, `ui.shell`, `ui.server`,
`ui.page`; no other page.
"""
