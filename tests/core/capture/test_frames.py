"""What stands around a text: its tokenizer's own frame, or nothing; said in lines of Python, files and captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.__main__ import main
from attn_core.capture.again import trace_again
from attn_core.capture.batches import traces_beside
from attn_core.views import files
from attn_core.views.view import View

TEXT = "a fluffy blue creature"


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("minilm")


@pytest.fixture(scope="module")
def typed(model: ac.Model) -> ac.Trace:
    return ac.trace(model, TEXT, frame="typed")


def test_as_typed_is_what_the_library_reads_without_special_tokens(model: ac.Model, typed: ac.Trace) -> None:
    given = model.tokenizer(TEXT, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        theirs = np.asarray(model.hf(**given).last_hidden_state[0])
    np.testing.assert_allclose(typed.final_embedding(), theirs, atol=1e-5)
    assert typed.tokens.labels == TEXT.split() and typed.tokens.frame == "typed" and typed.check().ok
    by_hand = ac.trace(model, f"[CLS] {TEXT} [SEP]", frame="typed")
    np.testing.assert_allclose(by_hand.final_embedding(), ac.trace(model, TEXT).final_embedding(), atol=1e-6)
    assert not by_hand.tokens.doubled and ac.trace(model, f"[CLS] {TEXT} [SEP]").tokens.doubled == ("[CLS]", "[SEP]")


def test_changed_and_many_passes_keep_the_frame_out(model: ac.Model, typed: ac.Trace) -> None:
    without = ac.trace(model, TEXT, frame="typed", without=[(3, 1)])
    (again, (plain, beside)) = (
        trace_again(model, typed, without=[(3, 1)]),
        traces_beside(model, TEXT, [(3, 1)], "typed"),
    )
    for ours in (again, beside):
        np.testing.assert_allclose(ours.final_embedding(), without.final_embedding(), atol=1e-5)
    np.testing.assert_allclose(plain.final_embedding(), typed.final_embedding(), atol=1e-5)
    for text, many in zip(("fox", TEXT), ac.trace_many(model, ["fox", TEXT], frame="typed"), strict=True):
        assert many.tokens == ac.trace(model, text, frame="typed").tokens
    patched = ac.trace(model, TEXT, frame="typed", patch={ac.at.mlp(1): without})
    assert eval(patched.changes.patches[0].donor.as_python(), {"ac": ac}).tokens.ids == typed.tokens.ids


def test_lines_files_and_captions_say_it(model: ac.Model, typed: ac.Trace, tmp_path: Path) -> None:
    view = View(typed, 2, 5)
    names: dict[str, Any] = {}
    exec(view.as_python().replace("Showing(view)", ""), names)
    np.testing.assert_array_equal(names["view"].pattern, typed.pattern(2, 5))
    assert "as typed, without the model's own frame" in view.caption()
    assert json.loads(files.json(view))["link"]["frame"] == "typed"
    own = View(ac.trace(model, TEXT))
    assert "frame" not in own.caption() and "frame" not in json.loads(files.json(own))["link"]
    typed.save(tmp_path / "x")
    assert ac.open_trace(tmp_path / "x", model).tokens == typed.tokens


def test_the_command_line_leaves_the_frame_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TEXT, "--as-typed", "--quiet"]) == 0
    assert "[CLS]" not in (said := capsys.readouterr().out) and "as typed" in said


def test_what_has_no_such_frame_is_refused(model: ac.Model) -> None:
    with pytest.raises(ValueError, match='"own" or "typed"'):
        ac.trace(model, TEXT, frame="none")  # type: ignore[arg-type]
    for given in ([101, 102], (TEXT, TEXT)):
        with pytest.raises(ValueError, match="is about one text"):
            ac.trace(model, given, frame="typed")
    with pytest.raises(ValueError, match="is about a text"):
        ac.trace(model, messages=[{"role": "user", "content": TEXT}], frame="typed")
