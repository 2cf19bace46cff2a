"""What can be adjusted about panels: presets, and each panel's model, sentence, layer, head and place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from attn_core.models.catalogue import CATALOGUE, availability, entry_of
from ui import words
from ui.compare_heads import params, specs
from ui.compare_heads.specs import LETTERS, SAME, PanelSpec
from ui.drawing import controls, widgets
from ui.followed_word import start_afresh
from ui.shared_params import HEAD, LAYER, SCALE

WORDS = words.beside(__file__)


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
    pairs = params.pairs(n_panels)
    with st.container(horizontal=True, gap="small"):
        if len(pairs) > 1:
            controls.switch(params.PAIR, pairs)
        controls.switch(SCALE)


def panels(own_specs: list[PanelSpec]) -> None:
    """One column a panel; on a phone they stack."""
    for i, (column, spec) in enumerate(zip(st.columns(len(own_specs), gap="medium"), own_specs, strict=True)):
        with column:
            widgets.heading(f"Panel {LETTERS[i].upper()}")
            if i == 0:
                _first(spec)
            else:
                _further(LETTERS[i], spec, own_specs[0])
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
    with st.container(horizontal=True, gap="small"):
        controls.pick(LAYER, range(entry.n_layers), str, width=104, labelled=True)
        controls.pick(HEAD, range(entry.n_heads), str, width=104, labelled=True)
        controls.pick(params.FIRST_SHOWS, width=168, labelled=True)


def _model_label(name: str) -> str:
    if name == SAME:
        return WORDS.text("model.same")
    if name not in CATALOGUE:
        return WORDS.text("model.there", title=entry_of(name).title)
    there, reason = availability(name)
    if there:
        return WORDS.text("model.there", title=CATALOGUE[name].title)
    return WORDS.text("model.not_here", title=CATALOGUE[name].title, reason=reason)


def _further(letter: str, spec: PanelSpec, first: PanelSpec) -> None:
    model, text, second, layer, head, shows = params.FURTHER[letter]
    entry = entry_of(spec.model)
    controls.sentence(text, "Sentence: as in A")
    if (first.second and entry.may_read_pairs) or st.session_state[second.name]:
        as_in_a, none = WORDS.text("specs.second_as_in_a"), WORDS.text("specs.no_second")
        controls.sentence(second, none if st.session_state[text.name] else as_in_a)
    controls.model_picker(model, (SAME, *CATALOGUE), _model_label)
    with st.container(horizontal=True, gap="small"):
        for param, n in ((layer, entry.n_layers), (head, entry.n_heads)):
            controls.pick(param, [SAME, *map(str, range(n))], _as_in_a, width=104, labelled=True)
        controls.pick(shows, width=168, labelled=True)


def _as_in_a(number: str) -> str:
    return "as in A" if number == SAME else number


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
