"""Sound: from a file to samples, from samples to the spectrogram that a speech model reads, and when words were said.

`decoding.py` opens what somebody uploads, bounded; `spectrogram.py` is Whisper's log-mel; `word_times.py` aligns words
with the recording. May import `errors`, `settings` and `tolerances` alone. Start with `decoding.py`.
"""
