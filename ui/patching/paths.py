"""Path patching on the page: which earlier heads reach the opened head, through its query, key or value alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.circuits.patching.cost import PATH
from ui import words
from ui.drawing import controls, widgets
from ui.patching import asked, maps, sentences
from ui.patching.computing import computed
from ui.patching.params import MLPS, THROUGH
from ui.patching.reading import Read
from ui.stream_links import open_head

if TYPE_CHECKING:
    import pandas as pd

WORDS = words.beside(__file__)


def into_opened(read: Read, values: np.ndarray | None) -> pd.DataFrame | None:
    """Every earlier head by its direct path into the opened one, with its table.

    In the first layer `values` [layer, head] say which head to open instead.
    """
    viewed = read.base
    if viewed.layer == 0 and viewed.stream != "cross":
        widgets.note(WORDS.text("paths.first_layer", head=viewed.name))
        later = None if values is None else sentences.strongest(values, later_than=0)
        if later is not None:
            label = WORDS.text("paths.open_later", head=sentences.named(later))
            st.button(label, key="open_later", on_click=open_head, args=later)
        return None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        through = controls.switch(THROUGH)
        mlps = controls.toggle(MLPS)
    senders = viewed.layer * viewed.n_heads if viewed.stream != "cross" else 2 * viewed.n_layers * viewed.n_heads
    n_passes = 2 * senders * read.asked.n_pairs
    table = computed(read, "paths", n_passes, PATH, asked.of_paths, (viewed.layer, viewed.head), through, mlps)
    if table is None or table["effect"].isna().all():
        return table
    if "stream" not in table:
        _map(read, table, through, "paths", "")
    else:
        for stream, part in table.groupby("stream", sort=False):
            _map(read, part, through, f"paths_{stream}", str(stream))
    maps.numbers(table, "paths")
    return table


def _map(read: Read, table: pd.DataFrame, through: str, key: str, stream: str) -> None:
    """The senders of one stream."""
    viewed = read.base
    shape = int(table["layer"].max()) + 1, int(table["head"].max()) + 1
    values = sentences.effects(table, layer=shape[0], head=shape[1])
    size = np.where(np.isnan(values), -1.0, np.abs(values))
    best = tuple(int(i) for i in np.unravel_index(size.argmax(), shape))
    said = sentences.path_reading(read.asked, table, (best[0], best[1]), float(values[best]), viewed.name, through)
    widgets.reading(said)
    name = WORDS.text("paths.name", head=viewed.name, through=WORDS.text("through", through))
    maps.head_map(read, values, key, f"{stream} {name}".strip(), WORDS.text("paths.picture", stream=stream).strip())
