"""Ask the hub what only it knows of the catalogue's models, and write it down: `make pin`.

    python -m attn_core.models.pinning            # renews assets/data/pins.json

A pinned model is loaded at that revision, and its weights are checked by their hash. What cannot be asked stays
as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from attn_core.models.catalogue import CATALOGUE, PINS
from attn_core.settings import assets_folder


def pin(repo: str) -> tuple[dict[str, Any], str]:
    """(revision, hash and bytes of the weights; the licence that the model's card names), as the hub tells them now."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(repo, files_metadata=True)
    weights = next(file for file in info.siblings or () if file.rfilename == "model.safetensors")
    if weights.lfs is None:
        raise ValueError("the hub gives no hash for its weights")
    pinned = {"revision": info.sha, "sha256": weights.lfs.sha256, "size": weights.size}
    return pinned, str(getattr(info.card_data, "license", None))


def main(file: Path) -> int:
    """Renew the pins in `file`; gives how many models could not be asked."""
    pins = json.loads(file.read_text()) if file.is_file() else {}
    failed = 0
    for name, entry in CATALOGUE.items():
        if entry.kind != "hub":
            continue
        try:
            pins[name], licence = pin(entry.source)
        except Exception as error:  # no network, a model that moved: say it and go on with the next
            failed += 1
            print(f"{name}: not pinned ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            continue
        print(f"{name}: {pins[name]['size']:,} bytes, revision {pins[name]['revision']}")
        if licence.lower() != entry.licence.lower():
            print(f"  its card says {licence}, the catalogue says {entry.licence}: please look")
    file.write_text(json.dumps(pins, indent=2, sort_keys=True) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]) if len(sys.argv) > 1 else assets_folder() / "data" / PINS)))
