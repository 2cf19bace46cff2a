"""What holds for every test: no network, one thread a process, the settings of a local run."""

import os

# Set before torch and the hub's library are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("HEADLIGHT_MODE", None)
