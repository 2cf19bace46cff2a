"""What stands on the page About (`pages/about.py`): what this is and who it is for, and the glossary.

It may import what lies beside and below `ui.page`, and no other page's folder.
Start with `layout.py`; the sentences are in `words.toml`.
"""
