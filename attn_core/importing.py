"""The library that models are run with is imported by one thread at a time.

It puts another module into its own place when it has been read. A thread that asked for it meanwhile is given the first
one, which has nothing in it: its import fails, on a server the page of a visitor who came while a model was loading.
"""

from __future__ import annotations

import threading

ONE_AT_A_TIME = threading.RLock()


def import_transformers() -> None:
    """Import transformers, after whoever does so now; to be called wherever a thread may be the first to ask for it."""
    with ONE_AT_A_TIME:
        import transformers  # noqa: F401
