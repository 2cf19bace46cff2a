"""What can be adjusted about panels: presets, and each panel's model, sentence, layer, head and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from attn_core.models.catalogue import CATALOGUE, availability, entry_of
from attn_core.settings import is_public
from ui.compare_heads import specs as panel_specs
from ui.compare_heads.specs import LETTERS, SAME, SHOWS, Spec
from ui.drawing import widgets

if TYPE_CHECKING:
    from ui.page import Page


def presets() -> None:
    """Comparisons to start from, one click each; an embedded view is shown without."""
    if st.context.is_embedded:
        return
    with st.container(key="presets", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html('<span class="hl-try">Start from:</span>', width="content")
        for name, make in panel_specs.PRESETS.items():
            st.button(name, key=f"preset_{name}", on_click=panel_specs.edit, args=(make,))


def pair(page: Page, n_panels: int) -> None:
    """Which two panels the difference is taken of, and the scale of all."""
    pairs = [p for p in panel_specs.PAIRS if max(p) <= LETTERS[n_panels - 1]]
    with st.container(horizontal=True, gap="small"):
        if len(pairs) > 1:
            widgets.switch("Difference", {p: f"{p[0].upper()} − {p[1].upper()}" for p in pairs}, "pair")
        widgets.switch("Scale", {"sqrt": "√ scale", "linear": "linear"}, "scale")


def controls(specs: list[Spec]) -> None:
    """One column a panel; on a phone they stack."""
    for i, (column, spec) in enumerate(zip(st.columns(len(specs), gap="medium"), specs, strict=True)):
        with column:
            widgets.heading(f"Panel {LETTERS[i].upper()}")
            if i == 0:
                _first(spec)
            else:
                _further(LETTERS[i], spec)
            _buttons(i, len(specs))
    if len(specs) < len(LETTERS):
        st.button(
            "Add a panel",
            key="add_panel",
            on_click=panel_specs.edit,
            args=(panel_specs.added,),
            type="tertiary",
            icon=":material/add:",
        )


def _first(spec: Spec) -> None:
    st.html('<div class="hl-hint">Its sentence and its model are those at the top.</div>')
    entry = entry_of(spec.model)
    _which("a", "layer", "head", range(entry.n_layers), range(entry.n_heads), str)


def _model_label(name: str) -> str:
    if name == SAME:
        return "Model: as in A"
    if name not in CATALOGUE:
        return f"Model: {entry_of(name).title}"
    there, reason = availability(name)
    return f"Model: {CATALOGUE[name].title}" + ("" if there else f" · not here: {reason}")


def _further(letter: str, spec: Spec) -> None:
    own = st.session_state[f"{letter}_model"]
    models = [SAME, *CATALOGUE, *([] if own in (SAME, *CATALOGUE) else [own])]
    entry = entry_of(spec.model)
    layers, heads = ([SAME, *map(str, range(n))] for n in (entry.n_layers, entry.n_heads))
    st.text_input("Sentence", key=f"{letter}_text", placeholder="Sentence: as in A", label_visibility="collapsed")
    st.selectbox(
        "Model",
        models,
        key=f"{letter}_model",
        format_func=_model_label,
        label_visibility="collapsed",
        accept_new_options=not is_public(),
    )
    _which(letter, f"{letter}_layer", f"{letter}_head", layers, heads, lambda n: "as in A" if n == SAME else n)


def _which(letter: str, layer: str, head: str, layers: Sequence[Any], heads: Sequence[Any], named: Any) -> None:
    """Layer, head, and what is shown of it, side by side."""
    with st.container(horizontal=True, gap="small"):
        st.selectbox("Layer", layers, key=layer, format_func=named, width=104)
        st.selectbox("Head", heads, key=head, format_func=named, width=104)
        st.selectbox("Shows", list(SHOWS), key=f"{letter}_shows", format_func=SHOWS.__getitem__, width=168)


def _buttons(i: int, n: int) -> None:
    """Swap with the panel before, duplicate, remove."""
    before = LETTERS[i - 1].upper() if i else LETTERS[n - 1].upper()

    def act(name: str, change: Any, **options: Any) -> None:
        st.button(name, key=f"{name}_{i}", on_click=panel_specs.edit, args=(lambda p: change(p, i),), **options)

    with st.container(horizontal=True, gap="xsmall"):
        act(f"Swap with {before}", panel_specs.moved)
        act("Duplicate", panel_specs.duplicated, disabled=n == len(LETTERS))
        act("Remove", panel_specs.removed, disabled=n == 2)
