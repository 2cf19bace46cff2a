"""Every model of the catalogue that lies on the hub, against the real hub: `make test-network`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from attn_core.models.catalogue import CATALOGUE

ON_THE_HUB = [name for name, entry in CATALOGUE.items() if entry.kind == "hub"]
TRY = """
import json, sys
from attn_core import load, trace
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.pinning import pin
entry = CATALOGUE[sys.argv[1]]
found = pin(entry.source)
model = load(entry.name)
options = {"target": "a"} if model.kind == "encoder-decoder" else {}
seen = trace(model, "a fluffy blue creature", **options)
said = {"pin": found.facts, "licence": found.licence, "parameters": model.n_parameters, "ok": seen.check().ok}
print("RESULT", json.dumps(said))
"""


@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ON_THE_HUB)
def test_it_can_be_pinned_and_opens_as_the_catalogue_says(name: str) -> None:
    online = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HEADLIGHT_CACHE")}
    done = subprocess.run([sys.executable, "-c", TRY, name], env=online, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.split("RESULT ")[1])
    assert len(said["pin"]["revision"]) == 40 and len(said["pin"]["sha256"]) == 64
    assert said["parameters"] == CATALOGUE[name].parameters and said["ok"]
    assert said["licence"].lower() == CATALOGUE[name].licence.lower()


def test_every_model_on_the_hub_is_tried() -> None:
    assert "Helsinki-NLP/opus-mt-en-fr" in ON_THE_HUB
    assert {CATALOGUE[name].kind for name in CATALOGUE if name not in ON_THE_HUB} <= {"bundled", "shipped", "package"}
