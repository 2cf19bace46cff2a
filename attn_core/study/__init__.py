"""The same measures over many sentences: a mean and an interval for every head, in batches, in shards, from a file.

`run` reads sentences and counts; `sums` are what is counted, and add up; `result` is what comes of it; `merging` puts
shards together; `files` keeps a result. `painted_rules` are rules of one's own. `command` is the command line.
May import `heads`, `capture` and what lies below. Start with `run.run_study`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attn_core.study.merging import merge
    from attn_core.study.painted_rules import PaintedRule
    from attn_core.study.result import StudyResult, open_study

__all__ = ["PaintedRule", "StudyResult", "merge", "open_study"]


def __getattr__(name: str) -> Any:
    """A public name of the package, imported when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'attn_core.study' has no attribute {name!r}")
    from attn_core.study import merging, painted_rules, result

    return next(getattr(module, name) for module in (merging, painted_rules, result) if hasattr(module, name))
