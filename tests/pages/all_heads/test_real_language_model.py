"""All heads on a real language model: what its heads share, where they rest, and its own examples."""

from __future__ import annotations

import pytest
from page_driver import checked, lead, load, open_page, packets, text
from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.models


def explained(page: AppTest) -> str:
    """What stands above the opened head's picture."""
    (found,) = [header["explains"] for header, _ in packets(page).values() if "explains" in header]
    return found


def test_all_heads_of_a_real_language_model(fetched):
    fetched("smollm2")
    load("smollm2")
    page = open_page("all_heads", model="smollm2", text="The capital of France is", layer=20, head=1)
    said = " ".join(text(page).split())
    assert "4-bit weights, dequantised" in said and "270 heads" in said
    assert "Heads 0–2 share one key and value." in explained(page)
    assert "of all attention rests on The, the first token: a sink" in said and "In layer 20 " in said
    (example,) = [each for each in page.button if each.label.startswith("When Mary and John")]
    page = checked(example.click().run())
    assert "Heads 3–5 share one key and value." in explained(page)
    assert lead(page) == "To update to₁₃, head 24.4 looks at Mary (81 %)."
