"""Folders that hold an adapter alone: put on the model that they name, judged by peft itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import own_heads
import peft
import pytest
import torch
from families import FAMILIES, TEXT, word_tokenizer

import attn_core as ac
from attn_core.models.catalogue import entry_of
from attn_core.models.formats import adapter_folder


def saved(folder: Path) -> tuple[Path, Path, Path, torch.nn.Module]:
    """A base model, an adapter of it alone, both merged, and peft's own object."""
    base, adapter, merged = (folder / name for name in ("base", "adapter", "merged"))
    model = FAMILIES["llama"].build()
    model.save_pretrained(base)
    owners = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "o_proj"])).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in (p for p in owners.parameters() if p.requires_grad):
            weight.add_(torch.randn_like(weight) * 0.3)
    owners.save_pretrained(adapter)
    said = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(said | {"base_model_name_or_path": str(base)}))
    whole = peft.PeftModel.from_pretrained(FAMILIES["llama"].build(), adapter).merge_and_unload()
    whole.save_pretrained(merged)
    for each in (base, merged):
        word_tokenizer().save_pretrained(each)
    return base, adapter, merged, owners


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, torch.nn.Module]:
    return saved(tmp_path_factory.mktemp("adapters"))


def test_it_is_read_as_peft_reads_it(folders: tuple[Path, Path, Path, torch.nn.Module]) -> None:
    base, adapter, merged, owners = folders
    trace = ac.trace(ac.load(adapter), TEXT)
    assert trace.check().ok
    with torch.no_grad():
        seen = owners(torch.tensor([trace.tokens.ids])).logits[0]
    np.testing.assert_allclose(trace.final_embedding() @ owners.lm_head.weight.numpy().T, seen.numpy(), atol=1e-5)
    assert np.abs(ac.trace(ac.load(base), TEXT).pattern(1, 0) - trace.pattern(1, 0)).max() > 1e-3
    np.testing.assert_allclose(ac.trace(ac.load(merged), TEXT).patterns(1), trace.patterns(1), atol=1e-5)
    entry, of_base = entry_of(str(adapter)), entry_of(str(base))
    assert (entry.title, entry.n_layers, entry.n_heads, entry.family) == ("adapter", 2, 4, of_base.family)
    half = ac.trace(ac.load(adapter, dtype="bfloat16"), TEXT)
    assert np.abs(half.pattern(1, 0) - trace.pattern(1, 0)).max() < 0.05


def test_a_whole_model_with_what_it_was_trained_with_beside_it_is_no_adapter(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").touch()
    assert adapter_folder.is_adapter(tmp_path)
    (tmp_path / "config.json").touch()
    assert not adapter_folder.is_adapter(tmp_path)


def test_heads_beside_the_base_and_beside_the_merged_weights(
    folders: tuple[Path, Path, Path, torch.nn.Module],
) -> None:
    base, adapter, merged, owners = folders
    found = ac.changed_heads(base, adapter, [TEXT]).set_index(["layer", "head"])
    own = owners.base_model.model.model.layers[1].self_attn.q_proj
    change = own.get_delta_weight("default").detach().double()[8:16]  # of head 1, [d_head, d_model]
    judge = float(change.norm() / own.weight.detach().double()[8:16].norm())
    assert found["query"][1, 1] == pytest.approx(judge, rel=1e-5)
    assert (found[["key", "value"]] == 0).all(axis=None) and (found["output"] > 0.01).all()
    same = ac.changed_heads(adapter, merged, [TEXT])
    assert (same[["query", "key", "value", "output"]] < 1e-5).all(axis=None) and (same.pattern < 1e-3).all()


@pytest.mark.parametrize(
    ("name", "task"),
    [("roberta", "SEQ_CLS"), ("llama", "SEQ_CLS"), ("tokens", "TOKEN_CLS"), ("answers", "QUESTION_ANS")],
)
def test_the_head_that_an_adapter_brings_is_read_with_it(tmp_path: Path, name: str, task: str) -> None:
    theirs = own_heads.save(name, tmp_path / "whole")
    theirs.base_model.save_pretrained(tmp_path / "base")
    word_tokenizer().save_pretrained(tmp_path / "base")
    targets = [own for own in ("query", "q_proj", "q_lin") if any(n.endswith(own) for n, _ in theirs.named_modules())]
    owners = peft.get_peft_model(theirs, peft.LoraConfig(task_type=task, r=2, target_modules=targets)).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for own, weight in owners.named_parameters():
            weight.add_(torch.randn_like(weight) * 0.3 * ("lora_B" in own))
    owners.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    owners.save_pretrained(tmp_path / "adapter")
    trace = ac.trace(ac.load(tmp_path / "adapter"), TEXT)
    assert trace.check().ok
    said = trace.label_probabilities()
    np.testing.assert_allclose(said.logits, own_heads.logits(owners, trace.tokens.ids), atol=1e-5)


def test_an_adapters_head_is_not_read_over_noise(tmp_path: Path) -> None:
    """Its base lacks the pooler that the head looks at."""
    theirs = own_heads.save("bert", tmp_path / "whole")
    theirs.base_model.pooler = None
    theirs.base_model.save_pretrained(tmp_path / "base")
    word_tokenizer().save_pretrained(tmp_path / "base")
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
    owners = peft.get_peft_model(own_heads.build("bert"), config)
    owners.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    owners.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ac.DamagedModel, match="lacks weights: 2 are missing, the first is bert.pooler.dense.bias"):
        ac.load(tmp_path / "adapter")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_model_name_or_path": None}, "does not say which model it is for"),
        ({"base_model_name_or_path": "no-such-model"}, "There is no model called 'no-such-model'"),
        ({"task_type": "SEQ_CLS"}, "do not say enough of it"),
        ({"r": 3}, "does not fit its model"),
        (None, "is not kept as safetensors"),
    ],
)
def test_what_cannot_be_put_on_is_said(
    folders: tuple[Path, Path, Path, torch.nn.Module], tmp_path: Path, change: dict[str, object] | None, said: str
) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes((folders[1] / name).read_bytes())
    if change is None:
        (tmp_path / "adapter_model.safetensors").unlink()
    else:
        config = json.loads((tmp_path / "adapter_config.json").read_text())
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(ac.HeadlightError, match=said):
        ac.load(tmp_path)


def test_an_adapter_of_an_adapter_and_one_without_peft_are_refused(
    folders: tuple[Path, Path, Path, torch.nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes((folders[1] / name).read_bytes())
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ac.UnsupportedFamily, match="needs the package peft: pip install"):
        ac.load(tmp_path)
    monkeypatch.undo()
    config["base_model_name_or_path"] = str(folders[1])
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ac.DamagedModel, match="which is an adapter itself"):
        entry_of(str(tmp_path))
