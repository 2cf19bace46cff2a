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
    """The sheets as one element, read once."""
    sheets = ("style.css", "menu.css", "print.css")
    return "\n".join(f"<style>{(SHEETS / name).read_text(encoding='utf-8')}</style>" for name in sheets)
