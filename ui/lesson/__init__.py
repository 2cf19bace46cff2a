"""The lesson in eight stops: one screen each, one live picture, one question, and the page behind it.

Start with `stop.py` (what a stop is); `stops_scores` and `stops_values` make the eight, `stops` holds their order,
`layout` shows one. May import `attn_core`, `ui.drawing`, `ui.server`, `ui.page`; no other page.
"""
