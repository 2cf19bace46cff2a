"""What stands around the sentence: said beside its count, changed by a switch, kept in the link."""

from __future__ import annotations

import numpy as np
from page_driver import checked, load, open_page, packets, text

import attn_core as ac

TEXT = "a fluffy blue creature"


def test_a_link_leaves_the_frame_out_and_says_so() -> None:
    trace = ac.trace(load("minilm"), TEXT, frame="typed")
    page = open_page("all_heads", text=TEXT, frame="typed", layer=2, head=5)
    np.testing.assert_allclose(packets(page)["heatmap"][1], trace.pattern(2, 5), atol=1e-6)
    assert "4 of 512 tokens, as typed, no frame" in text(page)
    assert "6 of 512 tokens, 2 of its frame" in text(open_page("all_heads", text=TEXT))
    assert "4 of 512 tokens, as typed, no frame" in text(open_page("delta_e", text=TEXT, frame="typed"))


def test_the_switch_keeps_the_followed_word() -> None:
    load("minilm")
    page = open_page("all_heads", text=TEXT, query=3)
    (switch,) = [each for each in page.get("button_group") if each.key == "frame"]
    checked(switch.set_value("typed").run())
    assert page.query_params["frame"] in ("typed", ["typed"])
    header = packets(page)["heatmap"][0]
    assert header["rows"]["texts"][header["chosen"][0]] == "blue" and header["rows"]["texts"] == TEXT.split()


def test_a_model_without_a_frame_has_no_switch() -> None:
    model = load("tiny-decoder")
    without = model.tokenizer.num_special_tokens_to_add(pair=False) == 0
    page = open_page("all_heads", model="tiny-decoder", text="a hungry creature")
    assert without == ("of its frame" not in text(page))
    assert without == all(each.key != "frame" for each in page.get("button_group"))


def test_a_head_is_switched_off_in_what_was_read_and_a_pair_keeps_its_frame() -> None:
    model = load("minilm")
    off, plain = (ac.trace(model, TEXT, frame="typed", without=without) for without in ([(2, 5)], []))
    a, b = (trace.final_embedding()[3].astype(float) for trace in (off, plain))
    turn = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert f"{turn:.2f}°" in text(open_page("all_heads", text=TEXT, frame="typed", layer=2, head=5, query=3))
    pair = open_page("all_heads", text=TEXT, second_text="it slept", frame="typed")
    assert packets(pair)["heatmap"][0]["segments"] and "3 of its frame" in text(pair)
