"""The style sheets of every page."""

from __future__ import annotations

from functools import cache

import streamlit as st

from ui.shell.menu import ROOT

SHEETS = ROOT / "assets" / "css"


def draw() -> None:
    """The page as it is drawn, its menu, and on paper."""
    st.html(_every_page())


def enlarge() -> None:
    """Larger type and pictures, for a projector."""
    st.html(SHEETS / "presenter.css")


@cache
def _every_page() -> str:
    """The sheets as one element and one line, read once: Streamlit looks at the indent of every line of HTML."""
    sheets = ((SHEETS / name).read_text(encoding="utf-8") for name in ("style.css", "menu.css", "print.css"))
    return "".join(f"<style>{' '.join(sheet.split())}</style>" for sheet in sheets)
