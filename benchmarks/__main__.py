"""`python -m benchmarks [name …]`: run all benchmarks, or those that are named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALL = sorted(
    file.stem
    for file in HERE.glob("*.py")
    if file.stem not in ("__init__", "__main__", "tables", "torch_memory", "load")
)

for name in sys.argv[1:] or ALL:
    importlib.import_module(f"benchmarks.{name}").main()
