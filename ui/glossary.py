"""The glossary: every term of the app in plain words, as the video has it, and as papers have it; and terms that are
explained where they stand.

A sentence of a words.toml marks a term with a tag of HTML's own, and may word it as it needs:

    Rows are <dfn>layers</dfn>; where heads <dfn title="sink">rest</dfn>

`explained` turns it into a word that says what it means on hover, focus or tap. No Streamlit.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from html import escape

from markupsafe import Markup

from attn_core.settings import assets_folder

_MARKED = re.compile(r'<dfn(?: title=["\']([^"\']{1,40})["\'])?>((?:(?!</?dfn).){1,120})</dfn>')


@cache
def terms() -> tuple[dict[str, str], ...]:
    """Every term: `name`, `term`, `says` (in plain words), `papers` and `video` (where they speak of it)."""
    with (assets_folder() / "data" / "glossary.toml").open("rb") as file:
        return tuple(tomllib.load(file)["term"])


@cache
def _meanings() -> dict[str, str]:
    return {term["name"]: term["says"] for term in terms()}


def meaning(name: str) -> str:
    """What a term means, plain text. Raises KeyError for a name that the glossary does not have."""
    return _meanings()[name]


def term(name: str, said: str = "") -> Markup:
    """A term as HTML that explains itself on hover, focus or tap; `said` is how the sentence words it."""
    means = escape(meaning(name))
    return Markup(
        f'<span class="hl-term" tabindex="0" data-means="{means}" aria-description="{means}">'
        f"{said if isinstance(said, Markup) else escape(said or name)}</span>"
    )


def explained(sentence: str) -> str:
    """A sentence that is HTML, with its marked terms explained. Raises KeyError for an unknown one.

    A term without a title is looked up as it is worded, without a plural's s.
    """
    return _MARKED.sub(lambda found: term(_name(*found.groups()), Markup(found[2])), sentence)


def _name(title: str | None, said: str) -> str:
    said = said.lower()
    return title or (said if said in _meanings() else said.removesuffix("s"))


def table() -> str:
    """All terms as an HTML table."""
    rows = "".join(
        f'<tr><th scope="row">{escape(term["term"])}</th>'
        f"<td>{escape(term['says'])}</td>"
        f'<td data-by="In the video:">{escape(term.get("video", ""))}</td>'
        f'<td data-by="In papers:">{escape(term.get("papers", ""))}</td></tr>'
        for term in terms()
    )
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("Term", "In plain words", "In the video", "In papers and code")
    )
    return f'<table class="hl-glossary"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
