"""Headlight's library: exact attention patterns and ΔE of transformer models, for notebooks and for the app.

Here are the public names, each imported when it is first used: `import attn_core` costs milliseconds, `attn_core.load`
brings in torch. The packages below hold no Streamlit and never import `ui`.
Start with `attention` (the mathematics), then `capture.run.trace` and `traces.stream`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from attn_core.errors import (
    CannotFetch,
    DamagedModel,
    EmptyText,
    HeadlightError,
    NoModel,
    NoNetwork,
    TextWasCut,
    UnknownModel,
    UnsupportedFamily,
)
from attn_core.settings import VERSION as __version__

if TYPE_CHECKING:
    from attn_core.capture.batches import trace_many
    from attn_core.capture.model import Model
    from attn_core.capture.opened import open_trace
    from attn_core.capture.run import trace
    from attn_core.capture.wrapping import unwrap, wrap
    from attn_core.circuits.fine_tuning.changed_heads import changed_heads
    from attn_core.circuits.head_card import head_card
    from attn_core.circuits.patching.activation import patching
    from attn_core.circuits.patching.path import path_patching
    from attn_core.heads.collection import collect
    from attn_core.heads.kinds import classify_heads
    from attn_core.models.loading import load
    from attn_core.parameters.count import count_parameters
    from attn_core.places import at
    from attn_core.study.run import run_study
    from attn_core.traces.parity import Parity, worst_parity
    from attn_core.traces.trace import Trace
    from attn_core.views.notebook import show

_MODULES = {  # public name → the module that defines it, imported when the name is first used
    "Model": "capture.model",
    "Parity": "traces.parity",
    "Trace": "traces.trace",
    "at": "places",
    "changed_heads": "circuits.fine_tuning.changed_heads",
    "classify_heads": "heads.kinds",
    "collect": "heads.collection",
    "count_parameters": "parameters.count",
    "head_card": "circuits.head_card",
    "load": "models.loading",
    "open_trace": "capture.opened",
    "patching": "circuits.patching.activation",
    "path_patching": "circuits.patching.path",
    "run_study": "study.run",
    "show": "views.notebook",
    "trace": "capture.run",
    "trace_many": "capture.batches",
    "unwrap": "capture.wrapping",
    "worst_parity": "traces.parity",
    "wrap": "capture.wrapping",
}
__all__ = [
    "CannotFetch",
    "DamagedModel",
    "EmptyText",
    "HeadlightError",
    "Model",
    "NoModel",
    "NoNetwork",
    "Parity",
    "TextWasCut",
    "Trace",
    "UnknownModel",
    "UnsupportedFamily",
    "__version__",
    "at",
    "changed_heads",
    "classify_heads",
    "collect",
    "count_parameters",
    "head_card",
    "load",
    "open_trace",
    "patching",
    "path_patching",
    "run_study",
    "show",
    "trace",
    "trace_many",
    "unwrap",
    "worst_parity",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """A public name, or a module of this package: `attn_core.figures`."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"attn_core.{_MODULES[name]}"), name)
    try:
        return importlib.import_module(f"attn_core.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"attn_core.{name}":
            raise
        raise AttributeError(f"module 'attn_core' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    """The public names, and the modules and packages inside."""
    modules = {info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")}
    return sorted({*__all__, *modules})
