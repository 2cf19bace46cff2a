"""What stands around every page: menu, Save, Share, the sentence and the model, progress, badges.

May import `ui.link`, `ui.param`, `ui.drawing`, `ui.server` and `attn_core`; no page's folder.
Start reading with `menu.py`, which puts the rest in its place.
"""
