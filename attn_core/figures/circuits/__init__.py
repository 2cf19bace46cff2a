"""Pictures of why a head looks there: a score in parts, the flow behind a word, the card of a head.

Each function takes arrays and words and gives a `ChartSpec`. May import what `figures.charts` may, and its `spec`.
Start with `score_parts`.
"""
