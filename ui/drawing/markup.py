"""Words as HTML in the colours of their roles. What a visitor may have typed is escaped here, once.

    markup.query("creature"), markup.key("fluffy"), markup.say([("To update ", ""), ("creature", "query")])

All are `markupsafe.Markup`, so they fill a slot of a page's sentences (`ui.words`) as they are. No Streamlit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from attn_core.text.decoding import aloud, visible
from attn_core.text.numbers import unbroken

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # of ASCII: Markdown takes a backslash before each


def tok(label: str, role: str = "") -> Markup:
    """A token as HTML that cannot be anything but text, in its role's colour: q query, k key, v value, d ΔE."""
    return _span(f"hl-tok {f'hl-{role}' if role else ''}", label)


def query(label: str) -> Markup:
    """The word that asks, as HTML."""
    return _span("hl-q", label)


def key(label: str) -> Markup:
    """A word that answers, as HTML."""
    return _span("hl-k", label)


def _span(css: str, label: str) -> Markup:
    """A word; one with a sign that no voice says, such as that of a line break, has a name to be read by."""
    name = "" if aloud(label) == label else f' role="img" aria-label="{escape(aloud(label))}"'
    return Markup(f'<span class="{css}"{name}>{escape(label)}</span>')


def say(sentence: Sequence[tuple[str, str]]) -> Markup:
    """A sentence of `attn_core.views.headlines`, (text, role) pairs, as HTML in the roles' colours."""
    parts = [_span(f"hl-{role[0]}", text) if role else escape(text) for text, role in sentence]
    return unbroken(Markup("".join(parts)))


def badge(text: str, kind: str = "", why: str = "") -> str:
    """A small label as HTML; `kind` is "", "ok", "toy" or "bad"; `why` is shown on hover."""
    title = f' title="{escape(why)}"' if why else ""
    return f'<span class="hl-badge {kind}"{title}>{escape(text)}</span>'


def in_label(text: str) -> str:
    """What was typed, for the label of a button: Markdown shows it as it is, and no address becomes a link.

    >>> in_label("**bold** :smile:")
    '\\\\*\\\\*bold\\\\*\\\\* \\\\:smile\\\\:'
    """
    escaped = _PUNCTUATION.sub(r"\\\1", text)
    return escaped.replace(r"\:\/\/", "\\:\N{WORD JOINER}\\/\\/").replace("www", "w\N{WORD JOINER}ww")


def token_name(labels: Sequence[str], position: int) -> str:
    """A token as it is read, plain text; with its position where another one reads the same."""
    name = visible(labels[position])
    return name if labels.count(labels[position]) == 1 else f"{name} ({position})"
