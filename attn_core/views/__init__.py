"""What can be taken away: a `View` says which numbers of a trace are shown, and how; everything saved is made from it.

`arrangement` merges pieces and hides the sink, `headlines` puts a row into words, `files` and `html_page` write files,
`notebook` shows a trace in Jupyter, `snippets` are lines of Python for a page, `recorded` is the stored first screen.
May import everything in `attn_core` but `tiny`; `ui` imports it. Start with `view.py`.
"""
