"""Training (`pages/training.py`): the small decoder at twelve steps of its own training, behind a slider.

`reading.py` has the numbers and the sentences, without Streamlit; `layout.py` draws; `words.toml` has the words.
It may import what lies beside and below `ui.page`, and no other page's folder. Start with `reading.py`.
"""
