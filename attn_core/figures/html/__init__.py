"""Small pictures as HTML, for what is also a table or a few words: bars, arrows, dials, matrices drawn to scale.

All functions return `markupsafe.Markup`, and what they are given as text stays text. Colours come from the page's
stylesheet (assets/css/), by role, so that light and dark follow by themselves. Imports `text` alone.
Start with `bar_table.py`.
"""
