"""The Streamlit code behind the pages: `app.py` and `pages/` hold the order on a page, and the rest is here.

Lives here: `page` (how every page begins), `link`, `param` and `shared_params` (the link is the state), `stream` (one
stream of a trace on a page), `words`; `shell/`, `server/` and `drawing/`, which pages share; and one folder a page.
May import `attn_core`; never `app.py`, `pages/` or the library's models. Start reading with `page.py`.
"""
