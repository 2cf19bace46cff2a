"""What pages are drawn with: canvas pictures, the gallery of what can be saved, controls, cards, safe HTML.

May import `ui.param`, `ui.words` and `attn_core`; no page's folder and not `ui.server`.
Start reading with `widgets.py` (cards, headings) and `controls.py` (switches and pickers of the link's parameters);
`canvas.py` puts a packet on the page, `gallery.py` lets it be saved.
"""
