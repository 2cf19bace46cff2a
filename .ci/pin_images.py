"""Pin the images that Dockerfile and compose.yaml start from to their content: python .ci/pin_images.py

Asks the registry through docker for each tag's digest and writes it behind the tag, `python:3.11-slim@sha256:…`. Run
where docker is; a later run takes the newest digest of the same tag.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FILES = ("Dockerfile", "deploy/compose.yaml")
IMAGE = re.compile(r"^(FROM |    image: )([\w./-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?$", re.MULTILINE)


def digest_of(image: str) -> str:
    """What the registry says that a tag is now."""
    ask = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", said):
        raise SystemExit(f"{image}: {said!r} is no digest")
    return said


def pinned(text: str) -> str:
    """A file's text with every image behind its newest digest."""
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digest_of(found[2])}", text)


def main(folder: Path) -> None:
    for name in FILES:
        file = folder / name
        file.write_text(pinned(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(__file__).parents[1])
    except FileNotFoundError:
        sys.exit("docker is not installed here: only its registry can say which content a tag is")
