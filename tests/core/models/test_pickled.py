"""Weights as torch pickles them: opened as data, converted once, said so; whatever asks for more is refused unrun."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers import models as token_models
from tokenizers.pre_tokenizers import Whitespace

import attn_core as ac
from attn_core.errors import DamagedModel
from attn_core.models import conversion, other_formats
from attn_core.models.catalogue import entry_of
from attn_core.models.formats import pickled

WORDS = ["[PAD]", "[UNK]", "a", "fluffy", "blue", "creature"]
SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A BERT with pytorch_model.bin alone, as models were saved before 2023."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**SIZES)).save_pretrained(folder)
    words = Tokenizer(token_models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "truth")
    return folder


@pytest.fixture
def folder(saved, tmp_path, operator_sets) -> Path:
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    return Path(shutil.copytree(saved, tmp_path / "mine"))


def truth(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "truth")


def left(tmp_path: Path) -> list[str]:
    kept = tmp_path / "cache" / "models"
    return [each.name for each in kept.iterdir() if each.suffix != ".lock"] if kept.is_dir() else []


def same(model: Any, folder: Path) -> bool:
    read = model.hf.state_dict()
    return all(torch.equal(read[name], tensor) for name, tensor in truth(folder).items())


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before torch 1.6"])
def test_it_opens_as_it_was_saved_and_is_converted_once(folder, tmp_path, is_zip):
    weights = OrderedDict(truth(folder))
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)
    said: list[str] = []
    model = ac.load(folder, progress=lambda message, fraction=None: said.append(message))
    assert same(model, folder) and model.kept_as == "converted from pytorch_model.bin"
    assert "converting, once" in said
    (made,) = left(tmp_path)
    kept = tmp_path / "cache" / "models" / made
    assert sorted(conversion.hashes_of(kept)) == sorted(
        ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
    )
    del model
    said.clear()
    assert same(ac.load(folder, progress=lambda message, fraction=None: said.append(message)), folder)
    assert left(tmp_path) == [made]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-5}))
    os.utime(folder / "pytorch_model.bin", (2e9, 2e9))  # trained on, or so it seems: read anew
    assert ac.load(folder).hf.config.layer_norm_eps == 1e-5 and len(left(tmp_path)) == 2


def test_weights_in_several_files_with_an_index(folder, tmp_path):
    names = sorted(truth(folder))
    halves = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, part in halves.items():
        torch.save({name: truth(folder)[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "pytorch_model.bin").unlink()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert same(ac.load(folder), folder)
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(DamagedModel, match=r"not complete: pytorch_model-00002-of-00002\.bin is not there"):
        ac.load(folder)
    for bad in ({"weight_map": {"x": "../pytorch_model.bin"}}, {"weight_map": {"x": 3}}, {"weight_map": {}}, []):
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(bad))
        with pytest.raises(DamagedModel, match="no list of the files"):
            pickled.parts_of(folder)


class Bomb:
    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.ran}",)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before torch 1.6"])
def test_a_hostile_file_is_refused_and_nothing_of_it_runs(folder, tmp_path, is_zip):
    hostile = {**truth(folder), "bomb": Bomb(tmp_path / "ran")}
    torch.save(hostile, folder / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(DamagedModel, match=r"asks for posix\.system\. Nothing of it was run\."):
        ac.load(folder)
    assert not (tmp_path / "ran").exists() and left(tmp_path) == []


def test_the_loader_behind_it_refuses_a_hostile_file_too(folder, tmp_path, monkeypatch):
    torch.save({"bomb": Bomb(tmp_path / "ran")}, folder / "pytorch_model.bin")
    monkeypatch.setattr(pickled, "_check", lambda *_: None)
    with pytest.raises(DamagedModel, match="cut or damaged"):
        ac.load(folder)
    assert not (tmp_path / "ran").exists()


def write_zip(file: Path, program: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/version", "3")
        archive.writestr("a/data/0", bytes(64))


def pickle_of(value: object) -> bytes:
    return pickle.dumps(value, protocol=2)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (b"\x80\x02cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", r"asks for builtins\.bytearray"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "objects of its own"),
        (b"(cposix\nsystem\no.", r"asks for posix\.system"),
        (b"(S'touch x'\nios\nsystem\n.", "objects of its own"),
        (b"\x80\x02" + b"]" * 600_000 + b".", "more than any model needs"),
        (pickle_of([1, 2]), "no list of names and tensors"),
        (pickle_of({"epoch": 3}), "'epoch' is no tensor"),
        (pickle_of({}), "no list of names and tensors"),
        (b"\x80\x02}", "cut or damaged"),
    ],
)  # fmt: skip
def test_what_asks_for_anything_but_tensors_is_named(folder, tmp_path, program, says):
    write_zip(folder / "pytorch_model.bin", program)
    with pytest.raises(DamagedModel, match=says):
        ac.load(folder)
    assert left(tmp_path) == []


def test_no_more_is_read_than_a_file_holds(folder):
    torch.save({"x": torch.ones(1).expand(10**12)}, folder / "pytorch_model.bin")
    with pytest.raises(DamagedModel, match="claims more numbers than it holds"):
        ac.load(folder)
    wide = torch.ones(10_000)
    torch.save({str(i): wide for i in range(100)}, folder / "pytorch_model.bin")
    with pytest.raises(DamagedModel, match="claims more numbers than it holds"):
        ac.load(folder)
    write_zip(folder / "pytorch_model.bin", pickle_of({"x": 1}), zipfile.ZIP_DEFLATED)
    with pytest.raises(DamagedModel, match="it is compressed"):
        ac.load(folder)
    whole = {"x": torch.ones(1000)}
    torch.save(whole, folder / "pytorch_model.bin")
    data = (folder / "pytorch_model.bin").read_bytes()
    for kept in (0, 100, len(data) // 2, len(data) - 30):
        (folder / "pytorch_model.bin").write_bytes(data[:kept])
        with pytest.raises(DamagedModel):
            ac.load(folder)


def test_tied_weights_are_each_written_whole(folder, tmp_path):
    table = torch.arange(12.0).reshape(4, 3)
    torch.save({"a": table, "b": table, "c": table.T, "d": table[1:]}, folder / "pytorch_model.bin")
    (into := tmp_path / "into").mkdir()
    pickled.convert([folder / "pytorch_model.bin"], into, "mine")
    read = load_file(into / "model.safetensors")
    assert torch.equal(read["a"], table) and torch.equal(read["b"], table)
    assert torch.equal(read["c"], table.T) and torch.equal(read["d"], table[1:])


def test_a_hosted_instance_keeps_to_safetensors(folder, operator_sets, monkeypatch):
    entry = replace(entry_of(str(folder)), source="mine")
    operator_sets(HEADLIGHT_MODE="public")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(DamagedModel, match=r"mine has its weights as pytorch_model\.bin only, and a hosted Headlight"):
        other_formats.conversion_of_folder(entry, folder, lambda *_: None)


def test_a_file_with_a_known_hash_is_compared_before_it_is_parsed(folder, monkeypatch):
    entry = replace(entry_of(str(folder)), weights_file="pytorch_model.bin", sha256="0" * 64)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(DamagedModel, match="not the published file"):
        other_formats.conversion_of_folder(entry, folder, lambda *_: None)
