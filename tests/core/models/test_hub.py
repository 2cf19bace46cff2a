"""The hub path, through the library's real `from_pretrained`, against a small hub on this machine's loopback.

The hub's library reads its settings once, when it is imported, so what is tried runs in processes of their own: a
first one with a hub that has good and bad repositories, a second one in which that hub goes.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers

COMMIT = "c0ffee" * 6 + "c0ff"
CHUNK = 10 * 2**20  # the hub's library takes up a download at its last whole chunk
CUT_AT = CHUNK + 300_000  # bytes of the weights after which a bad line drops
PICKLED = "Helsinki-NLP/opus-mt-en-fr"  # of the catalogue, and without safetensors
WITHOUT = {
    PICKLED: ("model.safetensors",),
    "t5-small": ("model.safetensors",),
    "roberta-base": ("model.safetensors", "pytorch_model.bin"),
    "owner/pickled": ("model.safetensors",),
    "owner/other-kind": ("model.safetensors", "pytorch_model.bin"),
}
CONVERTED, CONVERTED_COMMIT = "refs/pr/4", "ab" * 20  # where the hub's bot put what PICKLED lacks on its main branch
DISCUSSIONS = [  # (number, who opened it, what became of it)
    (9, "somebody", "open"),
    (7, "SFconvertbot", "closed"),
    (4, "SFconvertbot", "open"),
]
TRY = """
import gc, json, os, sys, time, urllib.request
from dataclasses import replace
from attn_core import HeadlightError, load, settings, trace
from attn_core.models import catalogue, downloads
pause, time.sleep = time.sleep, lambda seconds: pause(min(seconds, 0.05))  # between the five tries of the hub's library
results = {}
for step in sys.argv[1:]:  # a name, or how a try is called, the name, the mode and its pin
    called, name, mode, pin = json.loads(step) if step.startswith("[") else (step, step, "local", None)
    if mode == "gone":  # the hub ends, and whatever is asked from now on finds nobody there
        urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/end").close()
        mode = "local"
    if pin:
        catalogue.CATALOGUE[name] = replace(catalogue.CATALOGUE[name], **pin)
    os.environ["HEADLIGHT_MODE"], os.environ["HF_HUB_OFFLINE"] = ("local", "1") if mode == "offline" else (mode, "0")
    settings.read_again()
    said, downloads.MINUTE = [], 3.0 if "trickle" in called else 300.0
    try:
        model = load(name, progress=lambda message, fraction=None: said.append((message, fraction)))
        tensors = model.hf.state_dict()
        result = {
            "sum": sum(float(t.double().sum()) for t in tensors.values()),
            "labels": trace(model, "a fluffy blue creature").tokens.labels,
            "kept_as": model.kept_as,
            "shape": [catalogue.entry_of(name).n_layers, catalogue.entry_of(name).n_heads],
        }
    except HeadlightError as error:
        result = {"error": type(error).__name__, "says": str(error)}
    model = tensors = None
    gc.collect()  # the next try is not given this one's model
    results[called] = result | {"said": said}
    if result.get("error") != "UnknownModel":
        results[called]["downloaded"] = catalogue.hub.is_downloaded(name)
print("RESULTS", json.dumps(results))
"""


def save_model(folder: Path) -> Path:
    config = transformers.BertConfig(
        vocab_size=48_000, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128
    )
    transformers.BertModel(config).save_pretrained(folder)
    words = ["[UNK]", "[PAD]", "a", "fluffy", "blue", "creature"]
    fast = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=fast, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        folder
    )
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    return folder


class Hub(ThreadingHTTPServer):
    """Serves one model under several names; the name says what goes wrong with it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.requests: list[tuple[str, str, str | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def asked(self, repo: str, file: str, method: str = "GET") -> list[str | None]:
        """The ranges asked of a file, in order; None stands for all of it."""
        return [
            span
            for m, path, span in self.requests
            if m == method and path.startswith(f"/{repo}/resolve/") and path.endswith(file)
        ]


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        if path == "/end":
            self.server.shutdown()
            self.server.server_close()
            return self._send(200, b"", {}, body)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        parts = path.removeprefix("/api/models/").strip("/").split("/")
        repo = "/".join(parts[: 1 if parts[1:2] in ([], ["revision"], ["resolve"], ["tree"], ["discussions"]) else 2])
        if repo == "owner/gone":
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if repo == "owner/gated":
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body)
        if repo == "owner/forbidden":
            return self._send(403, b"", {}, body)
        if repo == "owner/crowded":
            return self._send(429, b"", {"Retry-After": "0"}, body)
        if "/resolve/" in path and repo == "owner/kept-back":
            return self._send(403, b"", {}, body)
        if "/resolve/" in path and repo == "owner/circle":
            return self._send(302, b"", {"Location": self.path}, body)
        if path == f"/api/models/{repo}/discussions":
            return self._send(200, json.dumps(self._discussions(repo)).encode(), {}, body)
        if path.startswith(f"/api/models/{repo}/revision") or path == f"/api/models/{repo}":
            return self._send(200, json.dumps(self._facts(repo)).encode(), {}, body)
        if path.startswith(f"/api/models/{repo}/tree/"):
            return self._send(200, json.dumps(self._tree(repo)).encode(), {}, body)
        if "/resolve/" not in path:
            return self._send(404, b"", {}, body)
        file = path.split("/resolve/")[1].split("/", 1)[1]
        data = self._content(repo, file)
        if data is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, body)
        tag = hashlib.sha256(data).hexdigest()
        commit = "../../../../escaped" if repo == "owner/out-by-file" else self._commit()
        facts = {"ETag": f'"{tag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            facts["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        stop = self._line_drops_at(repo, file, start)
        return self._send(206 if start else 200, data[start:], facts, body, stop)

    def _commit(self) -> str:
        asked = unquote(self.path)
        return CONVERTED_COMMIT if CONVERTED in asked or CONVERTED_COMMIT in asked else COMMIT

    def _discussions(self, repo: str) -> dict[str, object]:
        opened = {"title": "Adding `safetensors`", "createdAt": "2023-05-02T10:00:00.000Z", "isPullRequest": True}
        listed = [
            opened | {"num": n, "author": {"name": who}, "status": status, "repo": {"name": repo, "type": "model"}}
            for n, who, status in (DISCUSSIONS if repo == PICKLED else ())
        ]
        return {"count": len(listed), "start": 0, "discussions": listed}

    def _facts(self, repo: str) -> dict[str, object]:
        siblings = [{"rfilename": name, "size": len(data)} | self._lfs(name, data) for name, data in self._files(repo)]
        commit = "../../../../escaped" if repo == "owner/out" else self._commit()
        return {"id": repo, "sha": commit, "siblings": siblings, "cardData": {"license": "mit"}}

    def _tree(self, repo: str) -> list[dict[str, object]]:
        """What a repository holds, as the real hub lists it."""
        return [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            | self._lfs(name, data, key="oid")
            for name, data in self._files(repo)
        ]

    def _files(self, repo: str) -> list[tuple[str, bytes]]:
        names = [file.name for file in sorted(self.server.folder.iterdir())]
        found = [(name, self._content(repo, name)) for name in names]
        return [(name, data) for name, data in found if data is not None]

    def _lfs(self, name: str, data: bytes, key: str = "sha256") -> dict[str, object]:
        if not name.endswith((".safetensors", ".bin")):
            return {}
        return {"lfs": {key: hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}

    def _content(self, repo: str, file: str) -> bytes | None:
        converted = self._commit() == CONVERTED_COMMIT
        hidden = repo == "owner/empty" or (file in WITHOUT.get(repo, ()) and not converted)
        path = self.server.folder / file
        if hidden or not path.is_file():
            return None
        data = path.read_bytes()
        return data[: len(data) // 2] if (repo, file) == ("owner/damaged", "model.safetensors") else data

    def _line_drops_at(self, repo: str, file: str, start: int) -> int | None:
        if file != "model.safetensors":
            return None
        if repo == "owner/cut-once" and start == 0:
            return CUT_AT
        if repo == "owner/cut-today" and not (self.server.folder / "mended").exists():
            return max(CUT_AT - start, 0)
        return None

    def _send(self, status: int, data: bytes, facts: dict[str, str], body: bool, stop: int | None = None) -> None:
        self.send_response(status)
        for name, value in facts.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body and "/owner/trickle/resolve/" in self.path and self.path.endswith("model.safetensors"):
            with suppress(OSError):
                for at in range(0, 120_000, 100):  # a minute of it
                    self.wfile.write(data[at : at + 100])
                    time.sleep(0.05)
        elif body:
            self.wfile.write(data[:stop])
        if stop is not None:
            self.close_connection = True


def environment_for(endpoint: str, cache: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HTTP", "http"))}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HEADLIGHT_CACHE": str(cache / "headlight")}
    return environment | {"HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "*"}


def attempt(endpoint: str, cache: Path, *steps: str) -> dict:
    environment = environment_for(endpoint, cache)
    done = subprocess.run([sys.executable, "-c", TRY, *steps], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("RESULTS ")[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def hub(folder):
    with Hub(folder) as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Deep enough in a folder of its own that what climbs out of it is found there."""
    (inside := tmp_path_factory.mktemp("hub") / "cache").mkdir()
    return inside


@pytest.fixture(scope="module")
def first(hub, cache, pinned):
    """What came of each repository while the hub was there, and of models of the catalogue, first as a hosted instance
    without a pin."""
    names = ["good", "empty", "cut-once", "cut-today", "pickled", "damaged", "gone", "gated"]
    names += ["forbidden", "crowded", "kept-back", "circle", "out", "out-by-file", "trickle", "other-kind"]
    pins, _, _ = pinned
    steps = [
        ("hosted, no pin", PICKLED, "public", None),
        ("pinned", PICKLED, "local", pins[PICKLED]),
        ("pickled", "t5-small", "local", pins["t5-small"]),
        ("hosted", PICKLED, "public", pins[PICKLED]),
    ]
    owned = (f"owner/{name}" for name in names)
    return attempt(f"http://127.0.0.1:{hub.server_port}", cache, *map(json.dumps, steps), *owned)


@pytest.fixture(scope="module")
def later(hub, cache, folder, first):
    """The same after the line was mended, of one that was loaded before, and of another one while the hub is switched
    off, then while nothing answers at its address; and what the hub was asked meanwhile."""
    (folder / "mended").touch()
    before = len(hub.requests)
    steps = [
        ("switched off", "owner/other", "offline", None),
        ("mended", "owner/cut-today", "local", None),
        ("again", "owner/good", "local", None),
        ("gone, good", "owner/good", "gone", None),
        ("gone, other", "owner/other", "local", None),
        ("gone, no name", "owner/..", "local", None),
    ]
    found = attempt(f"http://127.0.0.1:{hub.server_port}", cache, *map(json.dumps, steps))
    return found, [path for _, path, _ in hub.requests[before:]]


def total(folder: Path) -> float:
    return sum(float(t.double().sum()) for t in load_file(folder / "model.safetensors").values())


def test_a_model_comes_from_the_hub_as_it_was_saved(first, folder):
    good = first["owner/good"]
    assert good["sum"] == pytest.approx(total(folder), abs=1e-9)
    assert good["labels"] == ["a", "fluffy", "blue", "creature"]
    assert good["downloaded"]
    assert good["shape"] == [2, 2]


def test_the_download_reports_its_bytes(first, folder):
    fractions = [fraction for message, fraction in first["owner/good"]["said"] if "downloading" in message]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    assert any(f"of {megabytes:.0f} MB" in message for message, _ in first["owner/good"]["said"])


def test_a_cut_in_the_middle_of_a_file_is_taken_up_where_it_broke(first, hub, folder):
    assert first["owner/cut-once"]["sum"] == pytest.approx(total(folder), abs=1e-9)
    assert hub.asked("owner/cut-once", "model.safetensors") == [None, f"bytes={CHUNK}-"]


def test_a_line_that_stays_cut_says_so_and_leaves_nothing_that_looks_whole(first):
    broken = first["owner/cut-today"]
    assert broken["error"] == "NoNetwork" and "broke off" in broken["says"]
    assert not broken["downloaded"]


def test_trying_again_later_works(first, later, folder):
    assert first["owner/cut-today"]["error"] == "NoNetwork"
    assert later[0]["mended"]["sum"] == pytest.approx(total(folder), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("other-kind", "DamagedModel", "neither as safetensors nor as pytorch_model.bin"),
        ("damaged", "DamagedModel", "cut or damaged"),
        ("empty", "DamagedModel", "no config.json"),
        ("gone", "UnknownModel", "no model 'owner/gone' on the hub"),
        ("gated", "UnknownModel", "granted access"),
        ("forbidden", "UnknownModel", "The hub does not let this computer have 'owner/forbidden'."),
        ("kept-back", "UnknownModel", "The hub does not let this computer have 'owner/kept-back'."),
        ("crowded", "NoNetwork", "asked too often at this moment: try 'owner/crowded' again in a few minutes."),
        ("circle", "NoNetwork", "leads round in a circle"),
        ("out", "DamagedModel", "The hub's answer about 'owner/out' makes no sense"),
        ("out-by-file", "DamagedModel", "The hub's answer about 'owner/out-by-file' makes no sense"),
        ("trickle", "NoNetwork", "less than 20 kB a second came for 3 seconds"),
    ],
)
def test_what_is_wrong_with_a_repository_is_said(first, hub, name, error, says):
    found = first[f"owner/{name}"]
    assert found["error"] == error
    assert says in found["says"]


def test_a_trickle_is_asked_for_once_and_a_revision_writes_nothing_outside_the_cache(first, hub, cache):
    asked = [method for method, path, _ in hub.requests if "trickle/resolve" in path and "model.safetensors" in path]
    assert asked.count("GET") == 1
    assert not [*cache.parent.rglob("escaped*")]


def test_pickled_weights_are_fetched_only_where_there_are_no_others(first, hub, folder):
    assert not hub.asked("owner/good", "pytorch_model.bin")
    pickled = first["owner/pickled"]
    assert pickled["sum"] == pytest.approx(total(folder), abs=1e-9) and pickled["downloaded"]
    assert pickled["kept_as"] == "converted from pytorch_model.bin" and first["owner/good"]["kept_as"] == ""


def test_what_was_downloaded_needs_no_hub(later, folder):
    assert later[0]["gone, good"]["sum"] == pytest.approx(total(folder), abs=1e-9)


def test_a_hub_that_does_not_answer(later):
    assert later[0]["gone, other"]["error"] == "NoNetwork"
    assert "cannot be reached" in later[0]["gone, other"]["says"]


def test_a_name_that_the_hub_cannot_have(later):
    assert later[0]["gone, no name"]["error"] == "UnknownModel"


def test_a_second_load_asks_the_hub_nothing(later):
    found, asked = later
    assert found["again"]["downloaded"] and found["again"]["kept_as"] == ""
    assert asked and not [path for path in asked if "owner/good" in path]


def test_the_switch_for_offline_is_obeyed(later):
    found, asked = later
    assert found["switched off"]["error"] == "NoNetwork" and "switched off" in found["switched off"]["says"]
    assert asked and not [path for path in asked if "owner/other" in path]


@pytest.fixture(scope="module")
def pinned(hub, tmp_path_factory):
    """What pinning wrote, how it ended, and how often the hub had been asked then."""
    place = tmp_path_factory.mktemp("pinned")
    command = [sys.executable, "-m", "attn_core.models.pinning", str(place / "pins.json")]
    environment = environment_for(f"http://127.0.0.1:{hub.server_port}", place)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return json.loads((place / "pins.json").read_text()), done, len(hub.requests)


def test_a_hosted_instance_does_not_even_fetch_pickled_weights(hub, first, pinned):
    asked = [path for _, path, _ in hub.requests[pinned[2] :]]
    hosted = first["hosted, no pin"]
    assert (hosted["error"], hosted["downloaded"]) == ("DamagedModel", False)
    assert hosted["says"] == (
        f"{PICKLED} has its weights as pytorch_model.bin only, and a hosted Headlight keeps to safetensors; a copy on "
        "your own computer opens it."
    )
    assert not [path for path in asked if path.startswith(f"/{PICKLED}/") and path.endswith("pytorch_model.bin")]


def test_pins_are_what_the_hub_says(pinned, folder):
    pins, done, _ = pinned
    weights = (folder / "model.safetensors").read_bytes()
    expected = {"revision": COMMIT, "sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights)}
    assert pins["gpt2"] == expected
    assert "its card says mit, the catalogue says Apache-2.0" in done.stdout
    # without safetensors on its main branch: those of the hub's bot, whose pull request is open; nobody else's
    assert pins[PICKLED] == expected | {"revision": CONVERTED_COMMIT}
    assert f"revision {CONVERTED_COMMIT}, of refs/pr/4" in done.stdout
    pickled = (folder / "pytorch_model.bin").read_bytes()
    assert pins["t5-small"] == {
        "revision": COMMIT, "sha256": hashlib.sha256(pickled).hexdigest(), "size": len(pickled),
        "weights_file": "pytorch_model.bin",
    }  # fmt: skip
    assert "of pytorch_model.bin, which a hosted instance does not open" in done.stdout
    assert "roberta-base" not in pins and done.returncode == 1
    said = "neither model.safetensors, nor a conversion of the hub's own, nor pytorch_model.bin"
    assert f"roberta-base: not pinned (it has {said})" in done.stdout


def test_a_pinned_model_is_the_one_that_was_pinned(first, folder):
    assert [first[name]["sum"] for name in ("pinned", "pickled")] == pytest.approx([total(folder)] * 2, abs=1e-9)
    assert [first[name]["kept_as"] for name in ("pinned", "pickled")] == ["", "converted from pytorch_model.bin"]
    assert "error" not in first["hosted"]  # pinned so, a hosted instance opens it, too


def test_pins_stay_where_the_hub_cannot_be_asked(tmp_path):
    file = tmp_path / "pins.json"
    file.write_text('{"gpt2": {"size": 1}}')
    command = [sys.executable, "-m", "attn_core.models.pinning", str(file)]
    done = subprocess.run(command, env=environment_for("http://127.0.0.1:9", tmp_path), capture_output=True, text=True)
    assert done.returncode == 1 and "not pinned" in done.stdout
    assert json.loads(file.read_text()) == {"gpt2": {"size": 1}}
