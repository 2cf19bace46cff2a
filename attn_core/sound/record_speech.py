"""Make the recordings that come with Headlight: three sentences, spoken by espeak-ng, a free synthesiser.

python -m attn_core.sound.record_speech        # writes assets/data/speech/*.flac

Needs the program espeak-ng (version 1.51 made those that are here), and nothing from a network.
"""

from __future__ import annotations

import io
import subprocess

from attn_core.settings import assets_folder
from attn_core.sound.decoding import RATE, read_sound

FOLDER = "speech"
SENTENCES = {
    "keys": "The keys to the cabinet are on the table.",
    "creature": "A fluffy blue creature roamed the verdant forest.",
    "drink": "When Mary and John went to the store, John gave a drink to Mary.",
}
VOICE = ("-v", "en-us", "-s", "140", "-g", "3")  # 140 words a minute, 30 ms between them


def main() -> None:
    import soundfile

    folder = assets_folder() / "data" / FOLDER
    folder.mkdir(exist_ok=True)
    for name, sentence in SENTENCES.items():
        spoken = subprocess.run(
            ["espeak-ng", *VOICE, "--stdout", sentence], capture_output=True, check=True, timeout=60
        ).stdout
        samples = read_sound(_whole(spoken))
        soundfile.write(folder / f"{name}.flac", samples, RATE, subtype="PCM_16")
        print(f"{name}: {len(samples) / RATE:.2f} s")


def _whole(wav: bytes) -> bytes:
    """A WAV from a pipe says no length of its own: read what follows its header as it is."""
    import numpy as np
    import soundfile

    rate = int.from_bytes(wav[24:28], "little")
    samples = np.frombuffer(wav[44 : 44 + 2 * ((len(wav) - 44) // 2)], "<i2")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


if __name__ == "__main__":
    main()
