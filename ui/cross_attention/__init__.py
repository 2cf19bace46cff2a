"""Translate and transcribe (`pages/cross_attention.py`): an encoder reads, a decoder writes and looks across.

`translation.py` is what was read and written, with its sentences, without Streamlit; `inputs.py` asks for it;
`charts.py` and `contributions.py` draw. `recording.py`, `sound_inputs.py` and `sound_view.py` are the same for a
recording. `words.toml` has the sentences.
May import `ui.page`, `ui.drawing`, `ui.server`, `ui.shell`, `ui.link`, `ui.words` and `attn_core`; no other page's
folder. Start with `pages/cross_attention.py`, then `translation.py`.
"""
