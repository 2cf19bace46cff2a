"""Ready views for a class (`pages/teachers_kit.py`): as links, as slides, as frames for a page, as a worksheet.

It may import what lies beside and below `ui.page`, and no other page's folder. No figure is typed: each is measured.
Start with `views.py` (what a view is, and all of them); `layout.py` draws them, `worksheet.py` is for paper.
"""
