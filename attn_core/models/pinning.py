"""Ask the hub what only it knows of the catalogue's models, and write it down: `make pin`.

    python -m attn_core.models.pinning            # renews assets/data/pins.json

A pinned model is loaded at that revision, and its weights are checked by their hash. Where a model's own branch has no
safetensors, those of the hub's conversion bot are pinned, in its pull request; without one, pytorch_model.bin, which a
hosted instance does not open. What cannot be asked stays as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from attn_core.models.catalogue import CATALOGUE, PINS
from attn_core.models.formats import pickled
from attn_core.models.verification import WEIGHTS
from attn_core.settings import assets_folder

CONVERSION_BOT = "SFconvertbot"  # anybody may open a pull request; only what the hub's own bot converted is taken


class Pin(NamedTuple):
    """What the hub says of a model: `facts` as the catalogue's entry has them, where they lie, its card's licence."""

    facts: dict[str, Any]
    where: str
    licence: str


def pin(repo: str) -> Pin:
    """The revision of a model that has its weights best, with their hash and bytes, as the hub tells them now."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(repo, files_metadata=True)
    licence = str(getattr(info.card_data, "license", None))
    facts, where = _facts(info, WEIGHTS), "its main branch"
    for reference in () if facts else _conversions(repo):
        facts = _facts(HfApi().model_info(repo, revision=reference, files_metadata=True), WEIGHTS)
        if facts:
            return Pin(facts, reference, licence)
    if not facts:
        facts, where = _facts(info, pickled.WEIGHTS), f"{pickled.WEIGHTS}, which a hosted instance does not open"
    if not facts:
        raise ValueError(f"it has neither {WEIGHTS}, nor a conversion of the hub's own, nor {pickled.WEIGHTS}")
    return Pin(facts, where, licence)


def _facts(info: Any, file: str) -> dict[str, Any]:
    """Revision, hash and bytes of a file of weights; empty where that revision has none."""
    weights = next((each for each in info.siblings or () if each.rfilename == file), None)
    if weights is None:
        return {}
    if weights.lfs is None:
        raise ValueError("the hub gives no hash for its weights")
    facts = {"revision": info.sha, "sha256": weights.lfs.sha256, "size": weights.size}
    return facts if file == WEIGHTS else facts | {"weights_file": file}


def _conversions(repo: str) -> Iterator[str]:
    """The pull requests in which the hub's bot offers a model as safetensors, "refs/pr/4", the newest first."""
    from huggingface_hub import HfApi

    for each in HfApi().get_repo_discussions(repo, author=CONVERSION_BOT, discussion_type="pull_request"):
        if each.author == CONVERSION_BOT and each.is_pull_request and each.status != "closed":
            yield f"refs/pr/{each.num}"


def main(file: Path) -> int:
    """Renew the pins in `file`; gives how many models could not be asked."""
    pins = json.loads(file.read_text()) if file.is_file() else {}
    failed = 0
    for name, entry in CATALOGUE.items():
        if entry.kind != "hub":
            continue
        try:
            found = pin(entry.source)
        except Exception as error:  # no network, a model that moved: say it and go on with the next
            failed += 1
            print(f"{name}: not pinned ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            continue
        pins[name] = found.facts
        print(f"{name}: {found.facts['size']:,} bytes, revision {found.facts['revision']}, of {found.where}")
        if found.licence.lower() != entry.licence.lower():
            print(f"  its card says {found.licence}, the catalogue says {entry.licence}: please look")
    file.write_text(json.dumps(pins, indent=2, sort_keys=True) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]) if len(sys.argv) > 1 else assets_folder() / "data" / PINS)))
