"""What can be adjusted about panels: presets, and each panel's model, sentence, layer, head and place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import streamlit as st

from attn_core.models.catalogue import CATALOGUE, availability, entry_of
from attn_core.settings import is_public
from ui import words
from ui.compare_heads import params, specs
from ui.compare_heads.specs import LETTERS, SAME, SHOWS, PanelSpec
from ui.drawing import widgets
from ui.followed_word import start_afresh

WORDS = words.beside(__file__)
Number = TypeVar("Number", int, str)  # panel A's are numbers, the others' are words: they may say "same"


def presets() -> None:
    """Comparisons to start from, one click each; an embedded view is shown without."""
    if st.context.is_embedded:
        return
    with st.container(key="presets", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html(f'<span class="hl-try">{WORDS.html("specs.presets")}</span>', width="content")
        for name, make in specs.PRESETS.items():
            st.button(name, key=f"preset_{name}", on_click=_take_preset, args=(make,))


def _take_preset(make: Callable[[list[PanelSpec]], list[PanelSpec]]) -> None:
    start_afresh()
    params.edit(make)


def pair(n_panels: int) -> None:
    """Which two panels the difference is taken of, and the scale of all."""
    pairs = [p for p in params.PAIRS if max(p) <= LETTERS[n_panels - 1]]
    with st.container(horizontal=True, gap="small"):
        if len(pairs) > 1:
            widgets.switch("Difference", {p: f"{p[0].upper()} − {p[1].upper()}" for p in pairs}, "pair")
        widgets.switch("Scale", {"sqrt": "√ scale", "linear": "linear"}, "scale")


def panels(own_specs: list[PanelSpec]) -> None:
    """One column a panel; on a phone they stack."""
    for i, (column, spec) in enumerate(zip(st.columns(len(own_specs), gap="medium"), own_specs, strict=True)):
        with column:
            widgets.heading(f"Panel {LETTERS[i].upper()}")
            if i == 0:
                _first(spec)
            else:
                _further(LETTERS[i], spec)
            _buttons(i, len(own_specs))
    if len(own_specs) < len(LETTERS):
        st.button(
            "Add a panel",
            key="add_panel",
            on_click=params.edit,
            args=(specs.added,),
            type="tertiary",
            icon=":material/add:",
        )


def _first(spec: PanelSpec) -> None:
    st.html(f'<div class="hl-hint">{WORDS.html("specs.first")}</div>')
    entry = entry_of(spec.model)
    _which("a", "layer", "head", range(entry.n_layers), range(entry.n_heads), str)


def _model_label(name: str) -> str:
    if name == SAME:
        return "Model: as in A"
    if name not in CATALOGUE:
        return f"Model: {entry_of(name).title}"
    there, reason = availability(name)
    return f"Model: {CATALOGUE[name].title}" + ("" if there else f" · not here: {reason}")


def _further(letter: str, spec: PanelSpec) -> None:
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


def _which(
    letter: str,
    layer: str,
    head: str,
    layers: Sequence[Number],
    heads: Sequence[Number],
    named: Callable[[Number], str],
) -> None:
    """Layer, head, and what is shown of it, side by side."""
    with st.container(horizontal=True, gap="small"):
        st.selectbox("Layer", layers, key=layer, format_func=named, width=104)
        st.selectbox("Head", heads, key=head, format_func=named, width=104)
        st.selectbox("Shows", list(SHOWS), key=f"{letter}_shows", format_func=SHOWS.__getitem__, width=168)


def _buttons(i: int, n: int) -> None:
    """Swap with the panel before, duplicate, remove."""
    before = LETTERS[i - 1].upper() if i else LETTERS[n - 1].upper()

    def act(name: str, change: Callable[..., list[PanelSpec]], disabled: bool = False) -> None:
        edited = partial(change, at=i)
        st.button(name, key=f"{name}_{i}", on_click=params.edit, args=(edited,), disabled=disabled)

    with st.container(horizontal=True, gap="xsmall"):
        act(f"Swap with {before}", specs.moved)
        act("Duplicate", specs.duplicated, disabled=n == len(LETTERS))
        act("Remove", specs.removed, disabled=n == 2)
