"""Predict first (`pages/predict_first.py`): paint where a word looks before the head is uncovered.

`code.py` writes a painting as digits and reads them; `question.py` compares paintings with a head; both without
Streamlit. `layout.py` draws what a pupil has, `teacher.py` what is on the projector; `words.toml` has the sentences.
It may import what lies beside and below `ui.page`, and no other page's folder. Start with `code.py`.
"""
