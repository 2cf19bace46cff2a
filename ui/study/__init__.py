"""Study (`pages/study.py`): every head over many sentences, typed or from a file, with intervals and two groups.

`params` are what a link says, `asked` makes sentences and a rule of it, `reading` says what was found: no Streamlit.
`inputs` asks, `computing` reads with progress and a stop, `layout` and `cards` draw; `words.toml` has the sentences.
May import `ui.page`, `ui.stream`, `ui.stream_links`, `ui.drawing`, `ui.server`, `ui.shell`. Start with `layout.py`.
"""
