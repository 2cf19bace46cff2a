"""What a server of ours never does is not imported: to compile a model, or to spread it over several machines.

The library that we load models with imports both, 70 MB and about half of what it takes to load the first one.
`leave_out()` stands in for them while it is imported, and afterwards for whoever asks for the compiler's marks alone;
whoever asks the compiler for more gets the real one. For programs of ours, which never compile: in somebody else's
Python nothing is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from attn_core.importing import ONE_AT_A_TIME, import_transformers

COMPILER = "torch._dynamo"
MARKS = ("assume_constant_result", "disable", "allow_in_graph")  # what a function says of itself to the compiler


def leave_out() -> None:
    """Import transformers without torch's compiler and its distributed tensors; without effect where it is there."""
    with ONE_AT_A_TIME:
        if COMPILER in sys.modules or "transformers.modeling_utils" in sys.modules:
            return
        import torch

        import_transformers()
        _leave_out_machines()
        sys.modules.setdefault(COMPILER, _StandIn(Path(torch.__file__).parent / "_dynamo"))
        import transformers.modeling_utils  # noqa: F401, what it brings along is what matters


def _leave_out_machines() -> None:
    """Have transformers note once and for all that nothing is spread over several machines, or by accelerate."""
    import torch.distributed
    from transformers.utils import import_utils

    def is_installed(pkg_name: str, return_version: bool = False) -> tuple[bool, str]:
        return (False, "N/A") if pkg_name == "accelerate" else whether(pkg_name, return_version)

    is_available, torch.distributed.is_available = torch.distributed.is_available, lambda: False
    whether, import_utils._is_package_available = import_utils._is_package_available, is_installed
    try:
        for question in (import_utils.is_torch_distributed_available, import_utils.is_accelerate_available):
            question.cache_clear()
            question()  # whose answer is kept
    finally:
        torch.distributed.is_available = is_available
        import_utils._is_package_available = whether


class _StandIn(ModuleType):
    """The compiler's package as far as functions are marked for it; asked for more, it becomes the real one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(COMPILER)
        self.__path__ = [str(folder)]  # its smaller modules are read as they are
        self._real = spec_from_file_location(COMPILER, folder / "__init__.py", submodule_search_locations=self.__path__)

    def __getattr__(self, name: str) -> Any:
        if name in MARKS:
            return _unmarked
        real = self.__dict__.get("_real")
        if name.startswith("__") or real is None:
            raise AttributeError(f"module {COMPILER!r} has no attribute {name!r}")
        self._real, self.__spec__ = None, real
        real.loader.exec_module(self)
        return getattr(self, name)


def _unmarked(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Any:
    """The function itself; or, called with options alone, what gives it."""
    return function if function is not None else lambda marked: marked
