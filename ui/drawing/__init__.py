"""What pages are drawn with: canvas pictures, the gallery of what can be saved, small widgets, safe HTML.

May import `ui.param`, `ui.words` and `attn_core`; no page's folder and not `ui.server`.
Start reading with `widgets.py`; `canvas.py` puts a packet on the page, `gallery.py` lets it be saved.
"""
