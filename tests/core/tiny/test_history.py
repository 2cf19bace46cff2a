"""The kept checkpoints: of the shipped model's own training, small, dense at the change, true to their scores."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import attn_core as ac
from attn_core.errors import DamagedModel, UnknownModel
from attn_core.models import history
from attn_core.models.cards import shipped_folder
from attn_core.models.history import FILE, SCORES, checkpoint, history_of
from attn_core.tiny import history as kept
from attn_core.tiny.decoder import Decoder, DecoderShape
from attn_core.tiny.evaluation import list_scores
from attn_core.tiny.train import DECODER, SHIPPED, new_decoder, train
from attn_core.tiny.training_loop import Recipe

FOLDER = shipped_folder("tiny-decoder")
HUNGRY = "a hungry fluffy blue creature"


def test_twelve_checkpoints_fit_eight_megabytes_and_stand_where_the_training_changes() -> None:
    found = history_of("tiny-decoder")
    assert found.steps == kept.STEPS and len(found.steps) == 12
    assert sum(800 <= step <= 2200 for step in found.steps) >= 9
    assert (FOLDER / FILE).stat().st_size + (FOLDER / SCORES).stat().st_size <= 8_000_000
    weights = load_file(FOLDER / FILE)
    assert {each.dtype for each in weights.values()} == {torch.float16}
    assert sum(each.numel() for each in weights.values()) == 12 * 329_600


def test_the_last_is_the_shipped_model_rounded_and_the_first_has_learnt_nothing() -> None:
    weights, shipped = load_file(FOLDER / FILE), load_file(FOLDER / "model.safetensors")
    assert weights.keys() == shipped.keys()
    assert all(torch.equal(stacked[-1], shipped[name].half()) for name, stacked in weights.items())
    first = new_decoder(SHIPPED["decoder"])
    assert torch.equal(weights["transformer.wte.weight"][0], first.word.weight.detach().half())
    assert history_of("tiny-decoder").steps[-1] == DECODER.steps


def test_a_checkpoint_is_traced_like_any_model_and_the_last_as_the_shipped_one() -> None:
    end = ac.trace(ac.load("tiny-decoder"), HUNGRY)
    late, early = (ac.trace(checkpoint("tiny-decoder", at), HUNGRY) for at in (11, 3))
    assert np.abs(late.pattern(1, 1) - end.pattern(1, 1)).max() < 1e-3
    assert np.abs(early.pattern(1, 1) - end.pattern(1, 1)).max() > 0.1
    assert early.check().ok
    for wrong in (-1, 12):
        with pytest.raises(IndexError, match="0 … 11"):
            checkpoint("tiny-decoder", wrong)
    with pytest.raises(UnknownModel, match="No training"):
        history_of("minilm")


def test_the_scores_are_of_these_weights() -> None:
    """Measured again, by our own forward pass on other random lists."""
    found, weights = history_of("tiny-decoder"), load_file(FOLDER / FILE)
    model = Decoder(DecoderShape(weights["transformer.wte.weight"].shape[1])).eval()
    assert model.shape.d_model == 128
    for at in (0, 6, 11):
        with torch.no_grad():
            _restore(model, {name: each[at].float() for name, each in weights.items()})
            _, induction = list_scores(model, Random("another"), lists=20)
        assert np.abs(induction.numpy() - found.induction[at]).max() < 0.08


def _restore(model: Decoder, weights: dict[str, torch.Tensor]) -> None:
    from attn_core.tiny.checkpoints import gpt2_names

    for name, parts in gpt2_names(model).items():
        for ours, theirs in zip(parts, weights[name].split([part.shape[-1] for part in parts], dim=-1), strict=True):
            ours.copy_(theirs)


def test_the_change_is_where_induction_grows_fastest() -> None:
    found = history_of("tiny-decoder")
    before, after = found.change
    best = found.induction.max(axis=(1, 2))
    assert (found.steps[before], found.steps[after]) == (1400, 1500) and after == before + 1
    assert best[before] < 0.4 and best[after] > 0.7
    assert found.loss[-1] < found.loss[0] and (found.loss > found.floor).all()
    assert DECODER.sharpen_at(found.first_sharp_step - 1) == 0 < DECODER.sharpen_at(found.first_sharp_step)


def test_a_file_that_was_changed_is_refused(tmp_path, monkeypatch) -> None:
    for name in (SCORES, "config.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / FILE).write_bytes((FOLDER / FILE).read_bytes()[:-2] + b"xx")
    monkeypatch.setattr(history, "shipped_folder", lambda name: tmp_path)
    with pytest.raises(DamagedModel, match="its hash differs"):
        checkpoint("tiny-decoder", 0)


def test_training_writes_its_checkpoints(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(kept, "STEPS", (0, 1, 2))
    monkeypatch.setattr(kept, "decoder_report", lambda model: {})
    monkeypatch.setattr("attn_core.tiny.train.decoder_report", lambda model: {"deciding_adjective": {"1": [[0.0]]}})
    train("decoder", 0, tmp_path, Recipe(steps=2, batch=1, weight_decay=0.0, sharpen=0.1), lambda step, loss: None)
    weights, end = load_file(tmp_path / FILE), load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(stacked[-1], end[name].half()) for name, stacked in weights.items())
    assert not torch.equal(weights["transformer.wte.weight"][0], weights["transformer.wte.weight"][1])
    assert json.loads((tmp_path / SCORES).read_text())["steps"] == [0, 1, 2]
    assert not list(tmp_path.glob("weights-after-*"))
