"""Loading a model by its name: bundled, trained here, a folder of your own, or from the hub.

    model = load("minilm")
    model = load("./my-fine-tuned-bert")

A loaded model is shared: whoever asks for it while somebody still holds it gets the same one.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from attn_core.errors import DamagedModel, NoNetwork
from attn_core.models import hub
from attn_core.models.catalogue import CATALOGUE, Entry, availability, bundled_folder, entry_of, folder_of
from attn_core.models.checkpoint import check_hash, read_checkpoint
from attn_core.models.hub import Progress
from attn_core.settings import token_limit

if TYPE_CHECKING:
    from attn_core.capture.model import Model

__all__ = ["CATALOGUE", "Entry", "availability", "bundled_folder", "entry_of", "load"]

_loaded: WeakValueDictionary[tuple[str, float], Model] = WeakValueDictionary()
_locks: dict[str, threading.Lock] = {}  # one a model, so that it is read once, whoever asks at the same time


def load(name: str | Path, progress: Progress | None = None) -> Model:
    """Load a model: a name of the catalogue, a folder or, where it is allowed, a hub id such as "owner/name".

    `progress(message, fraction)` is told what happens; the fraction is None where nobody knows it. Weights come as
    float32, from safetensors alone, and no code that lies beside them is run. On a public server only the catalogue's
    names load. Raises UnknownModel, NoNetwork, DamagedModel or UnsupportedFamily, each with a sentence for the reader.
    """
    told = progress or (lambda message, fraction=None: None)
    entry = entry_of(str(name))
    key = (entry.name, _age(entry))
    with _locks.setdefault(entry.name, threading.Lock()):
        model = _loaded.get(key)
        if model is None:
            model = _loaded[key] = _open(entry, told)
    return model


def _age(entry: Entry) -> float:
    """When a folder's weights were last written: after more training it is another model."""
    if entry.kind != "folder":
        return 0.0
    return max(file.stat().st_mtime for file in Path(entry.source).expanduser().glob("*.safetensors"))


def _open(entry: Entry, progress: Progress) -> Model:
    hf_model, tokenizer = _from_hub(entry, progress) if entry.kind == "hub" else _from_folder(entry, progress)
    from attn_core.capture.model import wrap

    progress("finding where attention happens")
    return wrap(hf_model, tokenizer, name=entry.name, limit=token_limit(), reload=lambda: load(entry.name))


def _from_folder(entry: Entry, progress: Progress) -> tuple[Any, Any]:
    folder = Path(entry.source).expanduser() if entry.kind == "folder" else folder_of(entry)
    if folder is None:
        raise DamagedModel(f"{entry.title} cannot be opened: {availability(entry.name)[1]}.")
    if entry.sha256 is not None:
        progress("checking the weights")
        check_hash(folder / "model.safetensors", entry.sha256)
    try:
        return read_checkpoint(str(folder), progress, local_files_only=True)
    except OSError as error:  # a shard or a tokenizer's file that is not there
        raise DamagedModel(f"{folder} is not complete: {str(error).splitlines()[0]}") from error


def _from_hub(entry: Entry, progress: Progress) -> tuple[Any, Any]:
    """What was downloaded before is used without a question to the hub; what was not is fetched."""
    source: dict[str, Any] = {"revision": entry.revision} if entry.revision else {}
    if hub.is_downloaded(entry.source, entry.revision):
        try:
            return _verified(entry, read_checkpoint(entry.source, progress, local_files_only=True, **source))
        except (OSError, DamagedModel) as error:  # perhaps only a part was fetched: see whether the hub has the rest
            problem = hub.explain(error, entry.source)
            try:
                hub.require_network()
            except NoNetwork:
                raise problem from error
    progress("asking the hub")
    hub.require_network()
    try:
        hub.require_safetensors(entry.source, entry.revision)
        return _verified(entry, read_checkpoint(entry.source, progress, **source))
    except Exception as error:
        explained = hub.explain(error, entry.source)
        if explained is error:
            raise
        raise explained from error


def _verified(entry: Entry, read: tuple[Any, Any]) -> tuple[Any, Any]:
    file = hub.downloaded_file(entry.source, "model.safetensors", entry.revision)
    if entry.sha256 is not None and file is not None:
        check_hash(file, entry.sha256)
    return read
